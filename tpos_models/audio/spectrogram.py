"""The picture of sound that TPoS listens to: a spectrogram in decibels, cut into segments.

44.1 kHz mono, periodic Hann window of 1024, hop 512; column k is centred on sample 512 k, as in a centred STFT.
Amplitudes become decibels, `/80 + 1`, 513 bins are resized to 128 rows (bilinear between pixel centres, no smoothing).
A window of mel scale gathers the bins' power into bands instead.

The decibel reference. Columns are kept in dB of a full-scale sine (amplitude 1, magnitude n_fft / 4 under a Hann
window), which no picture's reference changes. What the pictures are:

| reference  | 0 dB is                          | floor                      | in         | for                     |
|------------|----------------------------------|----------------------------|------------|-------------------------|
| `absolute` | amplitude 1 of an unscaled STFT  | 80 dB under the loudest    | -0.25..1.6 | TPoS, as it is released |
| `peak`     | the loudest point of the window  | 80 dB under it             | 0..1       | TPoS on mel pictures    |
| `segment`  | the loudest point of the segment | 80 dB under it             | 0..1       | `pocket`                |

An `absolute` picture is the darker the quieter the sound; in the others magnitude is left to the loudness beside the
picture, and what is quieter than QUIETEST_DB is black.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np

from tpos_models.contracts import AudioWindow

Reference = Literal["absolute", "peak", "segment"]

RANGE_DB = 80.0
QUIETEST_DB = -70.0
"""What has its loudest point below is a black picture: a quiet room is not a storm far away."""
FRESH_COLUMNS = 40
FADE_DB = 10 / 113
"""What `faded` leaves as it is, 0.46 s; and what it takes from the older ones, for each further column: 7.6 dB/s."""
ABSOLUTE_DB = 20 * math.log10(1024 / 4)
"""A full-scale sine's magnitude in an unscaled STFT of TPoS's n_fft."""
FLOOR_DB = -100 - ABSOLUTE_DB
"""Digital silence in a column: an amplitude of 1e-5, the least that the reference implementation tells apart."""


def columns_db(samples: np.ndarray, window: AudioWindow) -> np.ndarray:
    """STFT columns in dB of a full-scale sine: float32 (n_fft / 2 + 1, columns), no padding.

    `samples` (n,) float32; column k covers samples hop k .. hop k + n_fft, n >= n_fft. NaN and infinity count as 0.
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(samples, posinf=0, neginf=0), window.n_fft)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window.n_fft) / window.n_fft)
    amplitude = np.abs(np.fft.rfft(frames[:: window.hop_length] * hann)) / (window.n_fft / 4)
    return (20 * np.log10(np.maximum(amplitude, 10 ** (FLOOR_DB / 20)))).T.astype(np.float32)


def resize(values: np.ndarray, rows: int) -> np.ndarray:
    """Bilinear resizing of the first axis, (bins, ...) to (rows, ...), between pixel centres."""
    bins = values.shape[0]
    centre = np.clip((np.arange(rows) + 0.5) * bins / rows - 0.5, 0, bins - 1)
    low = np.minimum(centre.astype(int), bins - 2)
    share = (centre - low).astype(np.float32)[:, None]
    return values[low] * (1 - share) + values[low + 1] * share


def to_picture(db: np.ndarray, window: AudioWindow, reference: Reference, loudest_db: float) -> np.ndarray:
    """Columns in dB, of bins or the window's rows, to the network's picture: float32 (rows, columns).

    `loudest_db` is the loudest point of all that is heard together, of which these may be a part.
    """
    if reference == "absolute":
        picture = (np.maximum(db, loudest_db - RANGE_DB) + ABSOLUTE_DB) / RANGE_DB + 1
    else:
        picture = np.maximum((db - loudest_db) / RANGE_DB + 1, 0) * (loudest_db >= QUIETEST_DB)
    return resize(picture.astype(np.float32), window.rows) if window.scale == "linear" else picture.astype(np.float32)


def in_rows(db: np.ndarray, window: AudioWindow) -> np.ndarray:
    """Columns in dB (bins, columns) to the window's rows, on its scale: (rows, columns), unclipped."""
    if window.scale == "linear":
        return resize(db, window.rows)
    bands = slaney_bands(window) if window.scale == "slaney" else mel_bands(window.rows, db.shape[0])
    power = np.exp(db * np.float32(np.log(10) / 10))
    summed = np.einsum("rb,bc->rc", bands, power)  # in one order: that of @ depends on how many threads NumPy has
    return 10 * np.log10(np.maximum(summed, 10 ** (FLOOR_DB / 10)))


@cache
def slaney_bands(window: AudioWindow) -> np.ndarray:
    """The usual mel filters (Slaney 1998: linear to 1 kHz, then logarithmic, of even area), (rows, bins)."""
    from transformers.audio_utils import mel_filter_bank

    bins, nyquist_hz = window.n_fft // 2 + 1, window.sample_rate / 2
    filters = mel_filter_bank(bins, window.rows, 0.0, nyquist_hz, window.sample_rate, norm="slaney", mel_scale="slaney")
    return filters.T.astype(np.float32)


@cache
def mel_bands(rows: int, bins: int, corner: float = 16.0) -> np.ndarray:
    """Triangles of weight 1 over the bins, (rows, bins): even up to about `corner` bins, in even ratios above (mel)."""
    edges = corner * np.expm1(np.linspace(0, 1, rows + 2) * np.log1p(bins / corner))
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    down, up = np.maximum(centre - left, 1.0), np.maximum(right - centre, 1.0)
    at = np.arange(bins)
    triangles = np.maximum(np.minimum(1 - (centre - at) / down, 1 - (at - centre) / up), 0)
    return (triangles / triangles.sum(1, keepdims=True)).astype(np.float32)


def relative(rows_db: np.ndarray) -> np.ndarray:
    """Rows in dB (..., rows, columns) to pictures in 0..1: the loudest point of each at 1, those of silence all 0."""
    top_db = rows_db.max((-2, -1), keepdims=True)
    return (np.clip((rows_db - top_db) / RANGE_DB + 1, 0, 1) * (top_db >= QUIETEST_DB)).astype(np.float32)


def faded(rows_db: np.ndarray) -> np.ndarray:
    """Rows in dB (..., rows, columns), the softer the longer ago: what has ended must not hide what began.

    For listening to relative pictures, where a sound that is alone stays as bright as it was. Networks that learn from
    faded pictures learn to undo it.
    """
    age = np.arange(rows_db.shape[-1])[::-1]
    return rows_db - (FADE_DB * np.maximum(age - FRESH_COLUMNS, 0)).astype(np.float32)


def segments(picture: np.ndarray, window: AudioWindow) -> np.ndarray:
    """Cut the newest segments from a picture: (rows, columns) to (segments, rows, segment_frames), oldest first."""
    newest = picture[:, picture.shape[1] - window.segments * window.segment_frames :]
    return newest.reshape(window.rows, window.segments, window.segment_frames).swapaxes(0, 1)


def spectrogram(samples: np.ndarray, window: AudioWindow, reference: Literal["absolute", "peak"]) -> np.ndarray:
    """The picture of a whole clip, padded with half a window of silence at both ends: (rows, 1 + n // hop)."""
    db = columns_db(np.pad(samples, window.n_fft // 2), window)
    db = db if window.scale == "linear" else in_rows(db, window)
    return to_picture(db, window, reference, float(db.max()))


class SpectrogramStream:
    """Columns of a stream, each computed once; owned by the encoder's thread.

    `advance` takes the newest window of a stream and skips what it has seen by its number.
    """

    def __init__(self, window: AudioWindow, columns_kept: int, rows: bool = False) -> None:
        """`rows`: keep the window's rows rather than the transform's bins; those of mel scale are kept in any case."""
        self.window, self._kept, self._rows = window, columns_kept, rows or window.scale != "linear"
        self._start()

    def _start(self) -> None:
        """A new stream: silence lies before its first sample."""
        height = self.window.rows if self._rows else self.window.n_fft // 2 + 1
        self.db = np.full((height, self._kept), FLOOR_DB, np.float32)
        """The newest columns, dB of a full-scale sine: bins or rows (..., columns_kept)."""
        self.columns = 0
        """Columns since the start of the stream."""
        self._end_index: int | None = None
        self._pending = np.zeros(self.window.n_fft // 2, np.float32)

    def advance(self, samples: np.ndarray, end_index: int) -> bool:
        """Take in what is new in `samples` (mono float32, newest last); True when a new stream began.

        `end_index` counts the stream's samples up to and including the last one. A window that goes back behind the
        last call's, or leaves a hole after it, begins a new stream with its first sample.
        """
        new = samples.size if self._end_index is None else end_index - self._end_index
        begins = self._end_index is None or not 0 <= new <= samples.size
        if begins:
            self._start()
            new = samples.size
        self._end_index = end_index
        self._push(samples[samples.size - new :].astype(np.float32, copy=False))
        return begins

    def _scaled(self, db: np.ndarray) -> np.ndarray:
        return in_rows(db, self.window) if self._rows else db

    def _push(self, samples: np.ndarray) -> None:
        self._pending = np.concatenate([self._pending, samples])
        added = (self._pending.size - self.window.n_fft) // self.window.hop_length + 1
        if added > 0:
            db = self._scaled(columns_db(self._pending, self.window))
            self._pending = self._pending[added * self.window.hop_length :]
            self.db = np.concatenate([self.db, db], axis=1)[:, -self._kept :]
            self.columns += added
