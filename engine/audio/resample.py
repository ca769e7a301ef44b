"""Any input becomes 44.1 kHz: NaNs silenced, channels picked and folded to at most two, resampled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import soxr

from engine.audio import SAMPLE_RATE
from engine.audio.sound_file import AudioFile

BLOCK_FRAMES = 8192
_ABSURD = 1e3
"""60 dB over full scale: no sound, whatever the file says."""


class Intake:
    """One input stream on its way to 44.1 kHz; keeps the resampler's state, so it belongs to one stream.

    `picks` are channel numbers from 0, all if empty. `channels` of the result is 1 or 2: more are folded, odd ones
    left, even ones right, as a mixer's pairs are. Those named in `beside` follow it, each as it is.
    """

    def __init__(self, sample_rate: int, channels: int, picks: Sequence[int] = (), beside: Sequence[int] = ()) -> None:
        self._width = channels
        self._picks = list(picks) or list(range(channels))
        self._beside = list(beside)
        self._as_is = self._picks == list(range(channels)) and channels <= 2
        self.channels = min(len(self._picks), 2)
        self.sample_rate = sample_rate
        self.received = 0
        """Input frames so far."""
        self.bad_samples = 0
        """NaN, infinite or absurd samples replaced by zero."""
        self._resampler = (
            None
            if sample_rate == SAMPLE_RATE
            else soxr.ResampleStream(
                sample_rate, SAMPLE_RATE, self.channels + len(self._beside), dtype="float32", quality="HQ"
            )
        )

    def push(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """(n, channels) at the input's rate to (m, 1 or 2 and those beside) at 44.1 kHz; `last` ends the stream."""
        self.received += len(samples)
        clean = self._clean(samples)
        folded = self._fold(clean)
        if self._beside:
            folded = np.concatenate([folded, clean[:, self._beside]], axis=1)
        if self._resampler is None:
            return folded
        return self._resampler.resample_chunk(np.ascontiguousarray(folded), last=last)

    def whole(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """A stream from its first block to its end, as `push` takes and gives them; at any length, the same samples."""
        for block in blocks:
            yield self.push(block)
        yield self.push(np.zeros((0, self._width), np.float32), last=True)

    def _clean(self, samples: np.ndarray) -> np.ndarray:
        sound = np.abs(samples) < _ABSURD
        if sound.all():
            return samples
        self.bad_samples += int(sound.size - np.count_nonzero(sound))
        return np.where(sound, samples, np.float32(0))

    def _fold(self, samples: np.ndarray) -> np.ndarray:
        if self._as_is:
            return samples
        picked = samples[:, self._picks]
        if len(self._picks) <= 2:
            return picked
        return np.stack([picked[:, 0::2].mean(1), picked[:, 1::2].mean(1)], axis=1)


def mono(samples: np.ndarray) -> np.ndarray:
    """(n, 1 or 2) to (n,)."""
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(1, dtype=np.float32)


def read_sound(file: AudioFile, picks: Sequence[int] = (), beside: Sequence[int] = ()) -> Iterator[np.ndarray]:
    """A whole file at 44.1 kHz, as `Intake` gives it, a block at a time: for offline use."""
    return Intake(file.sample_rate, file.channels, picks, beside).whole(file.blocks(BLOCK_FRAMES))
