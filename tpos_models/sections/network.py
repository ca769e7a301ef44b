"""The section network as it runs: one GRU and a softmax, in numpy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tpos_models import weights

WEIGHTS = Path(__file__).parent / "weights"
CLASSES = ("none", "breakdown", "build", "drop")


class SectionNet:
    """One stream through the network; `tensors` by torch's names: a GRU (FEATURES -> hidden), `out` (hidden -> 4)."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self._w_in, self._w_state = tensors["gru.weight_ih_l0"], tensors["gru.weight_hh_l0"]
        self._b_in, self._b_state = tensors["gru.bias_ih_l0"], tensors["gru.bias_hh_l0"]
        self._w_out, self._b_out = tensors["out.weight"], tensors["out.bias"]
        self._state = np.zeros(self._w_state.shape[1], np.float32)

    def push(self, features: np.ndarray) -> np.ndarray:
        """(FEATURES,) of one tick to (4,) probabilities of `CLASSES` (Cho et al. 2014, with torch's biases)."""
        given = np.split(self._w_in @ features + self._b_in, 3)
        kept = np.split(self._w_state @ self._state + self._b_state, 3)
        reset, update = (1 / (1 + np.exp(-(a + b))) for a, b in zip(given[:2], kept[:2], strict=True))
        new = np.tanh(given[2] + reset * kept[2])
        self._state = (1 - update) * new + update * self._state
        score = self._w_out @ self._state + self._b_out
        likely = np.exp(score - score.max())
        return likely / likely.sum()


@cache
def _shipped() -> dict[str, np.ndarray]:
    return weights.load_arrays(WEIGHTS, "sections")[0]


def section_net() -> SectionNet:
    """The shipped weights, at a stream's start."""
    return SectionNet(_shipped())
