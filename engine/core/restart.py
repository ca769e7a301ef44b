"""How soon what failed is tried again."""

from __future__ import annotations

RESTART_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between restarts after failures in a row; the last one repeats."""


def pause_s(failures: int) -> float:
    """The pause after so many failures in a row, one at least."""
    return RESTART_S[min(failures, len(RESTART_S)) - 1]
