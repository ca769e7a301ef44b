"""A stream through the TPoS encoder: columns, segments and their features, each computed once.

Segments are aligned to the newest sound, not to a fixed partition of the stream: the newest segment always holds the
newest 1.78 s, so what starts now is looked at whole a moment later, never split by a boundary or buried in padding.
Since 153 columns are nine grid steps of 17, the four older segments of every window are the newest segments of 9, 18,
27 and 36 steps ago: their features are in the cache, and a step (0.197 s) costs exactly one new segment. Where pictures
are measured against the loudest point of the window, another loudest point makes them all anew: five segments.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Self

import numpy as np
import torch

from tpos_models.audio.loudness import loudness_db
from tpos_models.audio.spectrogram import FLOOR_DB, Reference, SpectrogramStream, faded, relative, to_picture
from tpos_models.contracts import AudioEmbedding, AudioWindow
from tpos_models.network import MAX_BATCH

SegmentNet = Callable[[torch.Tensor], torch.Tensor]
"""Pictures (B, rows, segment_frames), `MAX_BATCH` at most, to features (B, size)."""
TemporalNet = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""Features (B, N, size) to tokens (B, TOKENS, TOKEN_SIZE), joint (B, joint_size), beta (B, N)."""

STEPS_PER_SEGMENT = 9


class Listener:
    """The AudioEncoder contract over any pair of networks, in torch or ONNX Runtime.

    One instance belongs to one stream and one thread. `segments_computed` counts the costly part. One that `attends`
    has tokens without attention in them: the newest segment's beta is the embedding's.
    """

    def __init__(
        self,
        segment: SegmentNet,
        temporal: TemporalNet,
        window: AudioWindow,
        reference: Reference = "absolute",
        attends: bool = False,
    ) -> None:
        self.window = window
        self._attends = attends
        self.segments_computed = 0
        self._segment, self._temporal, self._reference = segment, temporal, reference
        self._step = window.segment_frames // STEPS_PER_SEGMENT
        self._stream = SpectrogramStream(window, window.frames + self._step, rows=reference == "segment")
        self._features: dict[int, torch.Tensor] = {}
        self._loudest = 0.0
        """Of all the window, dB: what the pictures behind the features were measured against."""
        self._heard: AudioEmbedding | None = None
        self._answered = 0
        """The column before which the last answer's window ended."""

    def another(self) -> Self:
        """The same networks for another stream (see `contracts.AudioEncoder`)."""
        other = copy(self)
        Listener.__init__(other, self._segment, self._temporal, self.window, self._reference, self._attends)
        return other

    @torch.no_grad()
    def hear(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """Encode the newest window of a stream (see `contracts.AudioEncoder`).

        Between two grid steps the last answer is returned again.
        """
        if self._stream.advance(samples, end_index):
            self._features.clear()
            self._heard = None
        end = self._stream.columns // self._step * self._step
        if self._heard is None or end != self._answered:
            behind_s = (self._stream.columns - end) * self.window.hop_length / self.window.sample_rate
            self._heard = self._answer(end, loudness_db(samples[-self.window.segment_samples :]), time_s - behind_s)
            self._answered = end
        return self._heard

    def _answer(self, end: int, loudness: float, time_s: float) -> AudioEmbedding:
        loudest_db = self._loudest_db(end)
        if loudest_db != self._loudest:  # their pictures were others
            self._features.clear()
            self._loudest = loudest_db
        first = end - (self.window.segments - 1) * self.window.segment_frames
        ends = [max(at, 0) for at in range(first, end + 1, self.window.segment_frames)]
        self._features = {at: known for at, known in self._features.items() if at >= first or at == 0}
        self._compute([at for at in dict.fromkeys(ends) if at not in self._features])
        newest = torch.stack([self._features[at] for at in ends])
        tokens, joint, beta = self._temporal(newest[None])
        attention = float(beta[0, -1]) if self._attends else 1.0
        return AudioEmbedding(tokens[0], joint[0], beta[0].numpy(), loudness, time_s, attention)

    def _loudest_db(self, end: int) -> float:
        """The loudest point of the window that ends before a column; of no meaning where each segment has its own."""
        return 0.0 if self._reference == "segment" else float(self._columns(end, self.window.frames).max())

    def _compute(self, ends: list[int]) -> None:
        """Features of the segments that end before these columns; before the first lies silence."""
        if ends:
            pictures = torch.from_numpy(np.stack([self._picture(end) for end in ends]))
            features = torch.cat([self._segment(batch) for batch in pictures.split(MAX_BATCH)])
            self._features |= dict(zip(ends, features, strict=True))
            self.segments_computed += len(ends)

    def _columns(self, end: int, count: int) -> np.ndarray:
        """So many of the newest columns before a column, silence before the stream's first."""
        stop = self._stream.db.shape[1] - (self._stream.columns - end)
        db = self._stream.db[:, max(0, stop - count) : max(0, stop)]
        return np.pad(db, ((0, 0), (count - db.shape[1], 0)), constant_values=FLOOR_DB)

    def _picture(self, end: int) -> np.ndarray:
        db = self._columns(end, self.window.segment_frames)
        if self._reference == "segment":
            return relative(faded(db))
        return to_picture(db, self.window, self._reference, self._loudest)
