"""Flashes counted in rendered pixels by a plain counter that shares nothing with the limiter."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from render_scenes import CONTEXT, LOUD, STILL, frame, picture

from engine.core.effects import EffectAmounts
from engine.core.messages import SILENCE, AudioFeatures, ShaderAmounts, ShowState
from engine.render import gl
from engine.render.flash_limiter import FlashLimiter, covers_too_much, luminance, redness
from engine.render.renderer import Renderer

LIMITED = replace(STILL, flash_limiter=True)
RATE_HZ = 60
"""Fast enough to show a strobe of 30 Hz."""
COLUMNS, ROWS = 24, 15


def linear_light(code: np.ndarray) -> np.ndarray:
    """WCAG 2.x, from uint8 RGB."""
    c = code / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def relative_luminance(code: np.ndarray) -> np.ndarray:
    """WCAG 2.x, from uint8 RGB."""
    light = linear_light(code)
    return 0.2126 * light[..., 0] + 0.7152 * light[..., 1] + 0.0722 * light[..., 2]


def red_change_times(colours: list[np.ndarray]) -> list[int]:
    """Indices at which one cell, uint8 RGB, completed a transition of WCAG 2.x's red flash against the one before.

    "If, for either or both states involved in each transition, R/(R+G+B) >= 0.8, and the change in the value of
    (R-G-B)x320 is > 20 (negative values of (R-G-B)x320 are set to zero) for both transitions", R, G, B in linear light.
    """
    light = [linear_light(colour) for colour in colours]
    saturated = [bool(r >= 0.8 * (r + g + b) > 0) for r, g, b in light]
    values = [max(0.0, 320 * (r - g - b)) for r, g, b in light]
    times, extreme, direction = [], 0, 0
    for now, value in enumerate(values):
        moved = value - values[extreme]
        if abs(moved) > 20 and (saturated[now] or saturated[extreme]) and np.sign(moved) != direction:
            times.append(now)
            direction, extreme = int(np.sign(moved)), now
        elif direction and np.sign(moved) == direction:
            extreme = now
    return times


def change_times(values: list[float], step: float = 0.1, dark: float = 0.8) -> list[int]:
    """Indices at which one cell completed a change of `step` against the direction of the change before."""
    times, extreme, direction = [], values[0], 0
    for index, value in enumerate(values):
        moved = value - extreme
        if abs(moved) >= step and min(value, extreme) < dark and np.sign(moved) != direction:
            times.append(index)
            direction, extreme = int(np.sign(moved)), value
        elif direction == 0 or np.sign(moved) == direction:
            extreme = extreme if direction == 0 else value
    return times


def worst_field(pictures: list[np.ndarray], most_flashes: int = 3) -> float:
    """Largest part of a third x third of the picture whose cells flash more often than allowed in one second."""
    values = np.stack([relative_luminance(p) for p in pictures])
    failing: np.ndarray = np.zeros(values.shape[1:], bool)
    for y, x in np.ndindex(failing.shape):
        times = change_times(list(values[:, y, x]))
        allowed = 2 * most_flashes
        failing[y, x] = any(times[k + allowed] - times[k] < RATE_HZ for k in range(len(times) - allowed))
    high, wide = failing.shape[0] // 3, failing.shape[1] // 3
    return max(
        failing[y : y + high, x : x + wide].mean()
        for y in range(failing.shape[0] - high + 1)
        for x in range(failing.shape[1] - wide + 1)
    )


def film(
    image_at: Callable[[float], np.ndarray],
    state_at: Callable[[float], ShowState],
    seconds: float = 2.0,
    features_at: Callable[[float], AudioFeatures] = lambda _: SILENCE,
    size: tuple[int, int] = (COLUMNS, ROWS),
) -> list[np.ndarray]:
    renderer = Renderer(CONTEXT, size)
    pictures = []
    for k in range(round(seconds * RATE_HZ)):
        now_s = k / RATE_HZ
        renderer.show(frame(image_at(now_s), k, now_s))
        renderer.redraw(partial(features_at, now_s), state_at(now_s), now_s)
        pictures.append(renderer.read())
    return pictures


def strobe(rate_hz: float, part: tuple[slice, slice] = (slice(None), slice(None)), low: int = 0, high: int = 255):
    def at(now_s: float) -> np.ndarray:
        image = np.full((45, 72, 3), 60, np.uint8)
        image[part] = high if int(2 * rate_hz * now_s + 1e-6) % 2 else low
        return image

    return at


QUARTER = (slice(0, 22), slice(0, 36))


def test_the_counter_counts():
    assert worst_field(film(strobe(5), lambda _: STILL)) == 1.0
    assert worst_field(film(strobe(2.5), lambda _: STILL)) == 0.0
    assert len(change_times([0, 1, 0, 1, 0])) == 4
    assert len(change_times([0, 0.3, 0.6, 1.0, 0.95, 1.0])) == 1


@pytest.mark.parametrize("rate_hz", [5, 10, 30])
@pytest.mark.parametrize("part", [(slice(None), slice(None)), QUARTER], ids=["full", "quarter"])
def test_strobes_are_held_to_three_a_second(rate_hz, part):
    assert worst_field(film(strobe(rate_hz, part), lambda _: LIMITED)) < 0.25


def test_weak_and_uneven_strobes_are_held_too():
    assert worst_field(film(strobe(7, low=90, high=150), lambda _: LIMITED)) < 0.25
    uneven = lambda t: strobe(4 + 8 * (t % 1))(t)  # noqa: E731
    assert worst_field(film(uneven, lambda _: LIMITED, 3.0)) < 0.25


def test_a_strobe_through_crossfades_and_the_full_look_is_held():
    def features(now_s: float) -> AudioFeatures:
        return replace(LOUD, onset=float(int(20 * now_s) % 2), beat_phase=(10 * now_s) % 1)

    state = ShowState(shader=ShaderAmounts(1, 1, 1, 1, 0, 1))
    assert worst_field(film(strobe(8), lambda _: state, 2.0, features)) < 0.25
    assert worst_field(film(lambda _: picture(45, 72), lambda _: state, 2.0, features)) < 0.25


@pytest.mark.parametrize("flashes", [2, 8])
def test_the_strobe_among_the_effects_is_held(flashes):
    def features(now_s: float) -> AudioFeatures:
        return replace(LOUD, beat_phase=(2 * now_s) % 1)

    def at(now_s: float) -> np.ndarray:
        return np.full((45, 72, 3), 230, np.uint8)

    on = EffectAmounts(strobe=1.0, strobe_flashes=flashes)
    assert worst_field(film(at, lambda _: replace(STILL, effects=on), 2.5, features)) == 1.0
    assert worst_field(film(at, lambda _: replace(LIMITED, effects=on), 2.5, features)) < 0.25


def test_a_strobe_of_the_blackout_switch_is_held():
    def state(now_s: float) -> ShowState:
        return replace(LIMITED, blackout=bool(int(16 * now_s) % 2))

    assert worst_field(film(lambda _: np.full((45, 72, 3), 230, np.uint8), state, 2.5)) < 0.25


def test_a_strobe_of_the_blackout_switch_over_a_frozen_picture_is_held():
    def state(now_s: float) -> ShowState:
        return replace(LIMITED, freeze=now_s > 0.2, blackout=now_s > 0.3 and bool(int(16 * now_s) % 2))

    assert worst_field(film(lambda _: np.full((45, 72, 3), 230, np.uint8), state, 2.5)) < 0.25


def test_without_the_limiter_the_strobe_passes():
    assert worst_field(film(strobe(10), lambda _: STILL)) == 1.0


def test_slow_changes_pass_untouched():
    def swell(now_s: float) -> np.ndarray:
        image = picture(45, 72).astype(float)
        return (image * (0.55 - 0.45 * np.cos(2 * np.pi * 0.8 * now_s))).astype(np.uint8)

    free = film(swell, lambda _: STILL)
    assert all(np.array_equal(a, b) for a, b in zip(film(swell, lambda _: LIMITED), free, strict=True))


def test_three_flashes_a_second_and_small_areas_pass_untouched():
    for flashing in (strobe(2.8), strobe(10, (slice(20, 25), slice(30, 36)))):
        free = film(flashing, lambda _: STILL)
        assert all(np.array_equal(a, b) for a, b in zip(film(flashing, lambda _: LIMITED), free, strict=True))


def test_after_a_strobe_the_live_picture_returns():
    image = picture(45, 72)
    pictures = film(lambda t: strobe(10)(t) if t < 1.0 else image, lambda _: LIMITED, 4.5)
    free = film(lambda _: image, lambda _: STILL, 0.1)
    assert np.array_equal(pictures[-1], free[-1])


@pytest.mark.parametrize("red", [(150, 0, 0), (188, 58, 58), (200, 60, 0)], ids=["pure", "0.85", "0.93"])
def test_red_flashes_are_held(red):
    """Red, pure or with that share of it in the light, against a green of the same luminance: only the red flashes."""
    grey = float(relative_luminance(np.array(red)))
    greens = [np.array((0, green, 40)) for green in range(256)]
    green = min(greens, key=lambda colour: abs(float(relative_luminance(colour)) - grey))

    def at(now_s: float) -> np.ndarray:
        return np.full((45, 72, 3), red if int(16 * now_s) % 2 == 0 else green, np.uint8)

    def reds(state: ShowState) -> int:
        return len(red_change_times([p[5, 5] for p in film(at, lambda _: state, 1.0)]))

    assert reds(STILL) > 12
    assert reds(LIMITED) <= 6


def test_the_counter_of_reds_counts():
    red, green, pink = np.array((150, 0, 0)), np.array((0, 75, 0)), np.array((255, 180, 180))
    assert red_change_times([red, green] * 3) == [1, 2, 3, 4, 5]
    assert red_change_times([pink, green] * 3) == []
    assert red_change_times([red, red]) == []


def test_a_strobe_between_bright_and_brighter_is_held():
    """The darker state's luminance is 0.63: below 0.8, so that it counts."""
    bright = strobe(10, low=208, high=255)
    assert 0.6 < float(relative_luminance(np.array([208, 208, 208]))) < 0.66
    assert worst_field(film(bright, lambda _: STILL)) == 1.0
    assert worst_field(film(bright, lambda _: LIMITED)) < 0.25


def test_where_the_darker_state_is_bright_nothing_flashes():
    """From a luminance of 0.83 to white is no flash, however often."""
    dazzling = strobe(10, low=235, high=255)
    assert float(relative_luminance(np.array([235, 235, 235]))) > 0.82
    free = film(dazzling, lambda _: STILL)
    assert all(np.array_equal(a, b) for a, b in zip(film(dazzling, lambda _: LIMITED), free, strict=True))


def test_what_is_watched_is_what_is_seen():
    """A strobe that is small in the model's picture but large in the part of it that the screen shows is held."""

    def at(now_s: float) -> np.ndarray:
        image = np.full((90, 90, 3), 60, np.uint8)
        image[41:49, 0:20] = 255 if int(20 * now_s + 1e-6) % 2 else 0
        return image

    wide = (48, 16)
    assert worst_field(film(at, lambda _: STILL, size=wide)) > 0.4
    assert worst_field(film(at, lambda _: LIMITED, size=wide)) < 0.25


def test_luminance_and_redness_have_the_standards_values():
    colours = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0.5, 0.5, 0.5]], float)
    assert luminance(colours) == pytest.approx([1.0, 0.0, 0.2126, 0.21404], abs=1e-4)
    assert redness(colours) == pytest.approx([0.0, 0.0, 1.0, 0.0])


def test_a_quarter_of_a_third_is_too_much():
    cells = np.zeros((18, 32), bool)
    cells[0:3, 0:5] = True
    assert not covers_too_much(cells)
    cells[0:3, 0:6] = True
    assert covers_too_much(cells)


def test_still_pictures_are_admitted_whole():
    limiter, grid = FlashLimiter(), np.full((18, 32, 3), 0.5)
    for k in range(100):
        assert limiter.admit(grid, grid, 1.0, k / 30, 1 / 30) == 1.0
        limiter.record(grid, k / 30)


def scenes(rng: np.random.Generator) -> Callable[[float], np.ndarray]:
    """Half a second each of grey strobes, red strobes and stillness, of any rate, strength and place."""
    acts = []
    for _ in range(8):
        rate_hz, low, high = rng.uniform(1, 12), *sorted(rng.integers(0, 256, 2))
        top, left = rng.integers(0, 30), rng.integers(0, 50)
        part = (slice(top, top + rng.integers(5, 45)), slice(left, left + rng.integers(5, 72)))
        acts.append((strobe(rate_hz, part, low, high), rng.choice([[1, 1, 1], [1, 0, 0]])))

    def at(now_s: float) -> np.ndarray:
        act, colour = acts[int(2 * now_s)]
        return (act(now_s) * colour).astype(np.uint8)

    return at


@pytest.mark.parametrize("seed", range(4))
def test_what_is_measured_afterwards_is_shown_as_if_it_had_been_measured_before(monkeypatch, seed):
    """A limiter that waits for every measurement shows the same, pixel for pixel, in strobes and between them."""
    at, measured_before = scenes(np.random.default_rng(seed)), list[bool]()
    foreseen = FlashLimiter.admits_anything

    def state(now_s: float) -> ShowState:
        return replace(LIMITED, blackout=1.2 < now_s < 1.3 or 3.1 < now_s < 3.3, freeze=2.2 < now_s < 2.4)

    def counted(limiter: FlashLimiter, now_s: float) -> bool:
        measured_before.append(not foreseen(limiter, now_s))
        return not measured_before[-1]

    monkeypatch.setattr(FlashLimiter, "admits_anything", counted)
    shown = film(at, state, 4.0)
    assert 20 < sum(measured_before) < len(measured_before) - 20, "both ways were gone"
    monkeypatch.setattr(FlashLimiter, "admits_anything", lambda limiter, now_s: False)
    assert all(np.array_equal(a, b) for a, b in zip(shown, film(at, state, 4.0), strict=True))
    assert worst_field(shown) < 0.25


@pytest.mark.parametrize("seed", range(8))
def test_where_anything_is_admitted_so_are_the_brightest_the_darkest_and_the_reddest(seed):
    """Whatever was wanted and shown before, each with changes of its own."""
    rng, limiter, foreseen = np.random.default_rng(seed), FlashLimiter(), 0
    colours = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.5, 0.5, 0.5]])
    wanted = shown = np.zeros((18, 32, 3))
    for k in range(240):
        now_s = k / 60
        if limiter.admits_anything(now_s):
            foreseen += 1
            for colour in colours:
                assert copy.deepcopy(limiter).admit(shown, np.full_like(shown, colour), 1.0, now_s, 1 / 60) == 1.0
        wanted, shown = (
            np.full_like(shown, colours[rng.integers(4)]) if rng.random() < rate else picture
            for rate, picture in ((0.03 * seed, wanted), (0.03 * (7 - seed), shown))
        )
        limiter.admit(shown, wanted, 1.0, now_s, 1 / 60)
        limiter.record(shown, now_s)
    assert foreseen > 20


def test_a_show_that_does_not_flash_never_waits_for_the_gpu(monkeypatch):
    """Two beats a second at the full look: the limiter sees every picture, one redraw later."""

    def features(now_s: float) -> AudioFeatures:
        beat = now_s % 0.5
        return replace(LOUD, onset=max(0.0, 1 - 4 * beat), beat_phase=2 * beat, hit=beat < 0.02)

    renderer, state, seen = Renderer(CONTEXT, (COLUMNS, ROWS)), ShowState(), list[float]()
    record = FlashLimiter.record
    monkeypatch.setattr(gl, "read_pixels", lambda size: pytest.fail("the thread that draws waits for the GPU"))
    monkeypatch.setattr(
        FlashLimiter, "record", lambda self, code, now_s: seen.append(now_s) or record(self, code, now_s)
    )
    times = [k / RATE_HZ for k in range(3 * RATE_HZ)]
    for k, now_s in enumerate(times):
        renderer.show(frame(picture(45, 72), k, now_s))
        renderer.redraw(partial(features, now_s), state, now_s)
    assert seen == times[:-1]
