"""The facade: one picture for screen and readers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from render_scenes import CONTEXT, LOUD, STILL, flat, frame, picture

from engine.core.clock import VirtualClock
from engine.core.messages import SILENCE, ShowState
from engine.render.pacing import redraw_loop
from engine.render.renderer import Renderer


def test_read_later_gives_the_picture_of_the_call_before():
    renderer = Renderer(CONTEXT, (64, 36))
    given = []
    for k, value in enumerate((10, 120, 230)):
        renderer.show(frame(flat(value), k, float(k)))
        renderer.redraw(lambda: SILENCE, STILL, float(2 * k))
        renderer.redraw(lambda: SILENCE, STILL, float(2 * k + 1))
        given.append(renderer.read_later())
    assert given[0] is None
    assert [int(p.mean()) for p in given[1:] if p is not None] == [10, 120]


def test_read_is_right_way_up_contiguous_and_its_own_copy():
    renderer = Renderer(CONTEXT, (128, 72))
    renderer.show(frame(picture()))
    renderer.redraw(lambda: SILENCE, STILL, 0.0)
    first = renderer.read()
    assert first.shape == (72, 128, 3)
    assert first.dtype == np.uint8
    assert first.flags["C_CONTIGUOUS"]
    assert np.array_equal(first[0], picture()[0])
    first[:] = 0
    assert renderer.read().any()


def test_the_size_may_change_between_redraws():
    renderer = Renderer(CONTEXT, (64, 36))
    renderer.show(frame(picture()))
    for size in ((64, 36), (90, 160), (320, 180)):
        renderer.size = size
        renderer.redraw(lambda: SILENCE, STILL, 0.0)
        assert renderer.read().shape == (size[1], size[0], 3)


def test_a_bigger_picture_shows_the_same_moment():
    renderer = Renderer(CONTEXT, (128, 72))
    renderer.show(frame(picture()))
    renderer.redraw(lambda: LOUD, ShowState(), 0.0)
    renderer.redraw(lambda: LOUD, ShowState(), 0.1)
    small = renderer.read().astype(int)
    renderer.size = (256, 144)
    renderer.redraw(lambda: LOUD, ShowState(), 0.1)
    halved = renderer.read().astype(int).reshape(72, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(halved - small).mean() < 4


def test_the_same_inputs_give_the_same_pixels():
    def film() -> list[np.ndarray]:
        renderer = Renderer(CONTEXT, (160, 90))
        pictures = []
        for k in range(6):
            renderer.show(frame(picture() // (1 + k % 2), k, k / 15))
            renderer.redraw(lambda: LOUD, ShowState(), k / 30)
            pictures.append(renderer.read())
        return pictures

    assert all(np.array_equal(a, b) for a, b in zip(film(), film(), strict=True))


class Nothing:
    """A screen that is never closed and has no events."""

    closed = False

    def dispatch(self) -> None:
        pass


def test_the_loop_runs_on_the_given_clock_at_the_given_rate():
    clock = VirtualClock()
    times: list[float] = []
    gaps = redraw_loop(Nothing(), times.append, clock, 25.0, lambda: clock.now() >= 1.99)
    stats = gaps.stats()
    assert len(times) == stats.redraws == 50
    assert abs(stats.per_s - 25.0) < 1e-6
    assert abs(stats.median_gap_ms - 40.0) < 1e-6


def test_a_late_redraw_is_not_made_up_for():
    clock = VirtualClock()
    times: list[float] = []

    def redraw(now_s: float) -> None:
        times.append(now_s)
        clock.sleep(0.5 if len(times) == 3 else 0.01)

    stats = redraw_loop(Nothing(), redraw, clock, 10.0, lambda: clock.now() > 2.0).stats()
    assert min(b - a for a, b in pairwise(times)) > 0.09
    assert stats.longest_gap_ms > 400


def test_redraws_that_fail_are_told_and_do_not_end_the_show():
    clock = VirtualClock()
    told: list[Exception] = []
    drawn: list[float] = []

    def redraw(now_s: float) -> None:
        if 0.5 < now_s < 1.5:
            raise ValueError("a driver hiccups")
        drawn.append(now_s)

    redraw_loop(Nothing(), redraw, clock, 10.0, lambda: clock.now() > 2.0, told.append)
    assert min(drawn) < 0.5 < 1.5 < max(drawn)
    assert 8 <= len(told) <= 11


def test_a_key_that_fails_is_told_and_does_not_end_the_show():
    clock, told, drawn = VirtualClock(), list[Exception](), list[float]()

    class Keys(Nothing):
        def dispatch(self) -> None:
            if 0.45 < clock.now() < 0.55:
                raise IndexError("a point that is gone")

    redraw_loop(Keys(), drawn.append, clock, 10.0, lambda: clock.now() > 2.0, told.append)
    assert [str(error) for error in told] == ["a point that is gone"]
    assert len(drawn) == 19, "all but the redraw of its turn"


def test_a_show_that_can_draw_nothing_any_more_ends_with_the_reason():
    clock = VirtualClock()
    told: list[Exception] = []

    def redraw(now_s: float) -> None:
        raise ValueError("the context is lost")

    with pytest.raises(ValueError, match="the context is lost"):
        redraw_loop(Nothing(), redraw, clock, 60.0, lambda: clock.now() > 60.0, told.append)
    assert 1 < clock.now() < 10
