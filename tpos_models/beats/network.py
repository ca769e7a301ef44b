"""A causal temporal convolutional network in numpy: one hop's band powers in, what it makes of them out.

After Davies and Böck, "Temporal convolutional networks for musical audio beat tracking" (EUSIPCO 2019), but causal:
residual blocks whose dilation doubles, each remembering its own past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tpos_models import weights
from tpos_models.beats.bands import BANDS, FEATURES, filter_bank, log_powers
from tpos_models.errors import ModelError

WEIGHTS = Path(__file__).parent / "weights"
SLOWEST_BPM, FASTEST_BPM = 54.0, 200.0
TEMPI = 48
"""Tempo classes, evenly spaced in octaves from the slowest to the fastest."""
DELAY_HOPS = 4
"""A beat is named in the fourth hop after the one it falls into: by then its attack has been heard."""
CHANNELS, TAPS, BLOCKS = 48, 5, 8
OUTPUTS = 3 + TEMPI

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Activations:
    """Log odds that a beat, a downbeat fell `DELAY_HOPS` before this hop, and that there is a beat to follow at all."""

    beat: float
    downbeat: float
    rhythm: float
    tempi: np.ndarray
    """(TEMPI,) log probability of each tempo class."""


def tempo_class(bpm: np.ndarray) -> np.ndarray:
    """Which class each tempo is in; below 0 or from TEMPI on where it is in none."""
    return np.floor(TEMPI * np.log(bpm / SLOWEST_BPM) / np.log(FASTEST_BPM / SLOWEST_BPM)).astype(int)


class _Block:
    """x + W2 relu(W1 [x now, x d hops ago, ... 4 d hops ago]), with its own past."""

    def __init__(self, arrays: Arrays, index: int) -> None:
        spread = arrays[f"blocks.{index}.spread.weight"]  # (CHANNELS, CHANNELS, TAPS), oldest tap first
        self._spread = np.ascontiguousarray(spread.transpose(0, 2, 1).reshape(CHANNELS, TAPS * CHANNELS))
        self._spread_bias = arrays[f"blocks.{index}.spread.bias"]
        self._mix = np.ascontiguousarray(arrays[f"blocks.{index}.mix.weight"][:, :, 0])
        self._mix_bias = arrays[f"blocks.{index}.mix.bias"]
        length = (TAPS - 1) * 2**index + 1
        self._past = np.zeros((length, CHANNELS), np.float32)
        self._taps = (np.arange(length)[:, None] + np.arange(1 - TAPS, 1) * 2**index) % length
        self._at = 0

    def push(self, x: np.ndarray) -> np.ndarray:
        self._past[self._at] = x
        heard = self._past[self._taps[self._at]].ravel()
        self._at = (self._at + 1) % len(self._past)
        inner = np.maximum(self._spread @ heard + self._spread_bias, 0)
        return x + self._mix @ inner + self._mix_bias


class BeatNetwork:
    """One stream through the network; owned by the thread that pushes."""

    def __init__(self, arrays: Arrays) -> None:
        self._bank = filter_bank()
        self.logs = log_powers(np.zeros(BANDS, np.float32))
        """(BANDS,) log powers of the newest hop."""
        self._first, self._first_bias = arrays["first.weight"][:, :, 0], arrays["first.bias"]
        self._last, self._last_bias = arrays["last.weight"][:, :, 0], arrays["last.bias"]
        self._blocks = [_Block(arrays, index) for index in range(BLOCKS)]

    def push(self, magnitudes: np.ndarray) -> Activations:
        """(513,) magnitudes of one hop's spectrum (see `bands.band_powers` for the scale)."""
        logs = log_powers(self._bank @ np.square(magnitudes, dtype=np.float32))
        x = self._first @ np.concatenate([logs, np.maximum(logs - self.logs, 0)]) + self._first_bias
        self.logs = logs
        for block in self._blocks:
            x = block.push(x)
        out = self._last @ np.maximum(x, 0) + self._last_bias
        tempi = out[3:] - out[3:].max()
        beat, downbeat, rhythm = out[:3].tolist()
        return Activations(beat, downbeat, rhythm, tempi - np.log(np.exp(tempi).sum()))


def shapes() -> dict[str, tuple[int, ...]]:
    """The arrays of a network, by name."""
    found: dict[str, tuple[int, ...]] = {"first.weight": (CHANNELS, FEATURES, 1), "first.bias": (CHANNELS,)}
    for index in range(BLOCKS):
        found |= {
            f"blocks.{index}.spread.weight": (CHANNELS, CHANNELS, TAPS),
            f"blocks.{index}.spread.bias": (CHANNELS,),
            f"blocks.{index}.mix.weight": (CHANNELS, CHANNELS, 1),
            f"blocks.{index}.mix.bias": (CHANNELS,),
        }
    return found | {"last.weight": (OUTPUTS, CHANNELS, 1), "last.bias": (OUTPUTS,)}


@cache
def _arrays(folder: Path) -> Arrays:
    halves, _ = weights.load_arrays(folder, "beats")
    arrays = {name: value.astype(np.float32) for name, value in halves.items()}
    found = {name: value.shape for name, value in arrays.items()}
    if found != shapes():
        raise ModelError(f"{folder}: weights do not fit: {weights.describe_difference(shapes(), found)}")
    return arrays


def load_network(folder: Path = WEIGHTS) -> BeatNetwork:
    """The trained network at a stream's start; raises `ModelError`."""
    return BeatNetwork(_arrays(folder))
