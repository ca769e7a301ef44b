"""A stream through the TPoS encoder: columns, segments and their features, each computed once.

Segments are aligned to the newest sound, not to a fixed partition of the stream: the newest segment always holds the
newest 1.78 s, so what starts now is looked at whole a moment later, never split by a boundary or buried in padding.
Since 153 columns are nine grid steps of 17, the four older segments of every window are the newest segments of 9, 18,
27 and 36 steps ago: their features are in the cache, and a step (0.197 s) costs exactly one new segment.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from tpos_models.audio.spectrogram import Reference, SpectrogramStream, faded, relative, to_picture
from tpos_models.contracts import AudioEmbedding, AudioWindow
from tpos_models.network import MAX_BATCH

SegmentNet = Callable[[torch.Tensor], torch.Tensor]
"""Pictures (B, rows, segment_frames), `MAX_BATCH` at most, to features (B, size)."""
TemporalNet = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""Features (B, N, size) to tokens (B, TOKENS, TOKEN_SIZE), joint (B, joint_size), beta (B, N)."""

STEPS_PER_SEGMENT = 9
SILENCE_DB = -90.0


class Listener:
    """The AudioEncoder contract over any pair of networks, in torch or ONNX Runtime.

    One instance belongs to one stream and one thread. `segments_computed` counts the costly part.
    """

    def __init__(
        self, segment: SegmentNet, temporal: TemporalNet, window: AudioWindow, reference: Reference = "full_scale"
    ) -> None:
        self.window = window
        self.segments_computed = 0
        self._segment, self._temporal, self._reference = segment, temporal, reference
        self._step = window.segment_frames // STEPS_PER_SEGMENT
        self._stream = SpectrogramStream(window, window.frames + self._step, rows=reference == "segment")
        self._features: dict[int, torch.Tensor] = {}
        self._heard: AudioEmbedding | None = None

    @torch.no_grad()
    def hear(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """Encode the newest window of a stream (see `contracts.AudioEncoder`).

        Between two grid steps the last answer is returned again.
        """
        if self._stream.advance(samples, end_index):
            self._features.clear()
            self._heard = None
        end = self._stream.columns // self._step * self._step
        if self._heard is None or end not in self._features:
            behind_s = (self._stream.columns - end) * self.window.hop_length / self.window.sample_rate
            self._heard = self._answer(end, loudness_db(samples[-self.window.segment_samples :]), time_s - behind_s)
        return self._heard

    def _answer(self, end: int, loudness: float, time_s: float) -> AudioEmbedding:
        first = end - (self.window.segments - 1) * self.window.segment_frames
        grid = range(first, end + 1, self._step)
        self._features = {at: self._features[at] for at in grid if at in self._features}
        self._compute([at for at in grid if at not in self._features])
        newest = torch.stack([self._features[at] for at in grid[::STEPS_PER_SEGMENT]])
        tokens, joint, beta = self._temporal(newest[None])
        return AudioEmbedding(tokens[0], joint[0], beta[0].numpy(), loudness, time_s)

    def _compute(self, ends: list[int]) -> None:
        """Features of the segments that end before these columns; silence is encoded once for all."""
        silent = [end for end in ends if end <= 0]
        sounding = [end for end in ends if end > 0]
        pictures = [self._picture(end) for end in sounding]
        if silent:
            pictures.append(np.zeros((self.window.rows, self.window.segment_frames), np.float32))
        batches = torch.from_numpy(np.stack(pictures)).split(MAX_BATCH)
        features = torch.cat([self._segment(batch) for batch in batches])
        self.segments_computed += len(pictures)
        self._features |= dict.fromkeys(silent, features[-1]) | dict(zip(sounding, features, strict=False))

    def _picture(self, end: int) -> np.ndarray:
        stop = self._stream.db.shape[1] - (self._stream.columns - end)
        db = self._stream.db[:, max(0, stop - self.window.segment_frames) : stop]
        if self._reference == "segment":
            picture = relative(faded(db))
        else:
            loudest = self._reference == "window"
            top_db = float(self._stream.db[:, -self.window.frames :].max()) if loudest else 0.0
            picture = to_picture(db, self.window, top_db)
        return np.pad(picture, ((0, 0), (self.window.segment_frames - picture.shape[1], 0)))


def loudness_db(samples: np.ndarray) -> float:
    """RMS level, 0 dB = full scale (RMS 1), at least SILENCE_DB; to 0.001 dB, whatever the samples' order."""
    power = (
        float(np.mean(np.square(np.nan_to_num(samples, posinf=0, neginf=0), dtype=np.float64))) if samples.size else 0
    )
    return max(SILENCE_DB, round(10 * float(np.log10(max(power, 1e-12))), 3))
