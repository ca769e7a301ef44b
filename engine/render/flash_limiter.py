"""The flash limiter: at most three flashes in any second over large areas (WCAG 2.3.1), whatever the picture does.

WCAG's general flash is a pair of opposing changes in relative luminance of 10 % or more of the maximum where the darker
state is below 0.80; a red flash is a pair of opposing changes involving a saturated red. More than three in one second
fail where they cover, together, more than a quarter of any 10-degree field of view.

Simplified here as follows. Luminance is the mean over the cells of a coarse grid, taken from sRGB means. The 10-degree
field is any third x third of the picture (341 x 256 of WCAG's 1024 x 768 screen). Cells count together when each
flashed too often within the same second, in phase or not. Thresholds are a tenth stricter than the standard's, for
what a coarse grid misses. Red value is R - G - B of linear light where R is at least 0.8 of the sum, else 0; the
standard's 320 * (R - G - B) > 20 makes the threshold 1/16.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

GRID = (32, 18)
"""Columns, rows of the grid that is watched."""
CHANGES_PER_S = 6
"""Three flashes, each a pair of opposing changes."""
PERIOD_S = 1.02
"""A second, and a little for redraw times that jitter."""
AREA = 0.25
CAUTION = 0.8
"""Part of a step that a foreseen picture may move: what is drawn comes out a code value beside what was foreseen."""
LUMINANCE_STEP, DARK_BELOW = 0.09, 0.82
RED_STEP = 0.9 / 16
CALM_S = 0.6
"""Time constant of the soft blend that replaces flashing, and of the way back to the live picture."""

_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)


def linear(code: np.ndarray) -> np.ndarray:
    """sRGB code values 0..1 to linear light."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def luminance(code: np.ndarray) -> np.ndarray:
    """WCAG's relative luminance of sRGB code values (..., 3), 0..1."""
    return linear(code) @ _WEIGHTS


def redness(code: np.ndarray) -> np.ndarray:
    """R - G - B of saturated reds in linear light, 0 for all else, 0..1."""
    light = linear(code)
    red, total = light[..., 0], light.sum(-1)
    return np.where(red >= 0.8 * np.maximum(total, 1e-6), np.maximum(2 * red - total, 0.0), 0.0)


class Changes:
    """Counts opposing changes of one value in every cell; `step` and `dark_below` say what counts as one."""

    def __init__(self, value: Callable[[np.ndarray], np.ndarray], step: float, dark_below: float = np.inf) -> None:
        self._value, self._step, self._dark_below = value, step, dark_below
        shape = (GRID[1], GRID[0])
        self._extreme = np.zeros(shape)
        """The furthest value since the last counted change, in the direction of that change."""
        self._direction = np.zeros(shape)
        """1 after a rise, -1 after a fall, 0 before the first change."""
        self._times = np.full((CHANGES_PER_S + 1, *shape), -np.inf)
        self._started = False

    def turns(self, code: np.ndarray, part: float = 1.0) -> np.ndarray:
        """Cells in which `code` (rows, columns, 3) makes an opposing change, or that `part` of one; changes nothing."""
        if not self._started:
            return np.zeros(self._extreme.shape, bool)
        value = self._value(code)
        moved = value - self._extreme
        back = np.where(self._direction == 0.0, np.abs(moved), -self._direction * moved)
        return (back >= part * self._step) & (np.minimum(value, self._extreme) < self._dark_below)

    def over(self, turned: np.ndarray, now_s: float, reserve: int = 0) -> np.ndarray:
        """Cells with more changes within the period than three flashes less `reserve`, were `turned` to happen now."""
        seventh_last = np.where(turned, self._times[1 + reserve], self._times[0])
        return seventh_last > now_s - PERIOD_S

    def breaks(self, code: np.ndarray, now_s: float, reserve: int = 0) -> bool:
        """Whether showing `code` now adds a change where three flashes, less `reserve` changes, were had."""
        turned = self.turns(code, CAUTION)
        if not turned.any():
            return False
        over = self.over(turned, now_s, reserve)
        return bool((over & turned).any()) and covers_too_much(over)

    def record(self, code: np.ndarray, now_s: float) -> None:
        """`code` is shown now."""
        turned = self.turns(code)
        value = self._value(code)
        if not self._started:
            self._extreme, self._started = value, True
            return
        self._direction = np.where(turned, np.sign(value - self._extreme), self._direction)
        further = self._direction * (value - self._extreme) > 0.0
        self._extreme = np.where(turned | further, value, self._extreme)
        self._times = np.where(
            turned, np.concatenate([self._times[1:], np.full_like(self._times[:1], now_s)]), self._times
        )

    def indifferent(self, now_s: float) -> bool:
        """Whether not even an opposing change of every cell now would be one too many."""
        return not covers_too_much(self.over(np.ones(self._extreme.shape, bool), now_s))

    def flashing(self, now_s: float) -> bool:
        """Whether what was recorded flashed too often over too much within the period."""
        return covers_too_much(self.over(np.zeros(self._extreme.shape, bool), now_s))


def covers_too_much(cells: np.ndarray) -> bool:
    """Whether some third x third of the grid has a quarter or more of its cells set."""
    rows, columns = cells.shape
    high, wide = round(rows / 3), round(columns / 3)
    sums = np.zeros((rows + 1, columns + 1))
    sums[1:, 1:] = cells.cumsum(0).cumsum(1)
    field = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    return bool(field.max() >= AREA * high * wide)


def _watchers() -> tuple[Changes, Changes]:
    return Changes(luminance, LUMINANCE_STEP, DARK_BELOW), Changes(redness, RED_STEP)


class FlashLimiter:
    """Says how much of each wanted picture may reach the screen. Owned by the thread that draws.

    Two sets of watchers: one follows what is wanted, and calms the picture while that flashes; one follows what is
    shown, and is the guarantee.
    """

    def __init__(self) -> None:
        self._wanted = _watchers()
        self._shown = _watchers()
        self._calm = 0.0

    def admit(self, shown: np.ndarray, wanted: np.ndarray, fade: float, now_s: float, dt_s: float) -> float:
        """The largest safe weight of `wanted` over `shown`, 0..1; 1 leaves the picture untouched.

        Both are sRGB means 0..1 of shape (GRID rows, columns, 3) before `fade`, which dims both.
        """
        for watcher in self._wanted:
            watcher.record(wanted * fade, now_s)
        flashing = any(watcher.flashing(now_s) for watcher in self._wanted)
        soft = -np.expm1(-dt_s / CALM_S)
        self._calm = 1.0 if flashing else self._calm * (1.0 - soft)
        if self._calm < 0.02:
            self._calm = 0.0
        weight = float(1.0 - self._calm * (1.0 - soft))
        return self._largest_safe(shown, wanted, fade, now_s, weight)

    def admits_anything(self, now_s: float) -> bool:
        """Whether `admit` will say 1 whatever is wanted now, so that it may be asked when the picture is on the screen.

        It will where in the last second nowhere so much changed that one more change could make a flash too many.
        """
        return self._calm == 0.0 and all(watcher.indifferent(now_s) for watcher in (*self._wanted, *self._shown))

    def _largest_safe(self, shown: np.ndarray, wanted: np.ndarray, fade: float, now_s: float, most: float) -> float:
        def safe(weight: float) -> bool:
            return self.allows((shown + weight * (wanted - shown)) * fade, now_s)

        if safe(most):
            return most
        low, high = 0.0, most
        for _ in range(6):
            middle = (low + high) / 2
            low, high = (middle, high) if safe(middle) else (low, middle)
        return low

    def allows(self, code: np.ndarray, now_s: float, reserve: int = 0) -> bool:
        """Whether `code`, as it would reach the screen now, leaves `reserve` changes of three flashes a second."""
        return not any(watcher.breaks(code, now_s, reserve) for watcher in self._shown)

    def record(self, code: np.ndarray, now_s: float) -> None:
        """`code` (rows, columns, 3), fade included, reaches the screen now."""
        for watcher in self._shown:
            watcher.record(code, now_s)
