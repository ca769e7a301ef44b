"""The picture of the test: when it flashes, what a slow film shows of the time, and that it flashes safely."""

from __future__ import annotations

import numpy as np
import pytest
from render_scenes import CONTEXT

from engine.app.sync.card import draw_card
from engine.app.sync.signal import stamp
from engine.render import gl
from engine.render.flash_limiter import GRID, FlashLimiter, luminance

SIZE = (408, 234)
PERIOD_S = 1.0118


def drawn(played_s: float) -> np.ndarray:
    """The picture, first row at the top."""
    CONTEXT.switch_to()
    target = gl.Target(SIZE)
    target.begin()
    draw_card(stamp(played_s), SIZE)
    pixels = target.read()[::-1].copy()
    target.delete()
    return pixels


@pytest.mark.parametrize(
    ("played_s", "white"),
    [(0.05, False), (0.99, False), (1.001, True), (1.119, True), (1.121, False), (1.0 + PERIOD_S + 0.001, True)],
)
def test_it_is_white_for_the_tenth_of_a_second_after_each_moment(played_s: float, white: bool) -> None:
    picture = drawn(played_s)
    assert bool(np.median(picture) > 250) is white
    assert luminance(picture / 255.0).mean() > 0.6 if white else luminance(picture / 255.0).mean() < 0.25


def test_the_lit_cell_says_when_to_ten_milliseconds() -> None:
    width = SIZE[0] / 51
    for late_ms in (-250, -120, -44, 0, 37, 163, 250):
        picture = drawn(1.0 + 3 * PERIOD_S + late_ms / 1000).astype(int)
        red = (picture[..., 0] - picture[..., 2] > 100) & (picture[..., 0] > 200)
        middle = np.flatnonzero(red.any(0)).mean()
        assert (middle / width - 25.5) * 10 == pytest.approx(late_ms, abs=7)


def test_the_digits_change_with_every_millisecond() -> None:
    pictures = [drawn(1.0 + 2 * PERIOD_S + 0.2 + ms / 1000) for ms in range(8)]
    assert len({picture.tobytes() for picture in pictures}) == 8


def test_it_flashes_once_a_second_and_the_limiter_would_let_it() -> None:
    limiter, light = FlashLimiter(), []
    shown = np.zeros((GRID[1], GRID[0], 3))
    for n in range(90):
        wanted = drawn(n / 30)[:, :384].reshape(GRID[1], -1, GRID[0], 12, 3)[:, :13].mean((1, 3)) / 255
        assert limiter.admit(shown, wanted, 1.0, n / 30, 1 / 30) == 1.0
        limiter.record(wanted, n / 30)
        shown = wanted
        light.append(luminance(wanted).mean())
    jumps = np.flatnonzero(np.abs(np.diff(light)) > 0.1)
    assert len(jumps) == 4
    assert max(np.count_nonzero((jumps >= n) & (jumps < n + 30)) for n in range(60)) == 2
