"""The reactive layer where the sound is drawn: pixels read back from the EGL context."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_scenes import CONTEXT, LOUD, STILL, frame, picture

from engine.core.messages import Frame, ShaderAmounts, ShowState
from engine.render.renderer import Renderer

MOVES = ("zoom", "beat_pulse", "warp")
LIGHTS = ("glow", "colour")
CORNER = np.zeros((9, 16), np.float32)
"""The sound is drawn in the top right corner: on a picture of 128 x 72, columns from 80, rows to 31."""
CORNER[:4, 10:] = 1.0


def masked(image: np.ndarray, mask: np.ndarray | None, index: int = 0, time_s: float = 0.0) -> Frame:
    return replace(frame(image, index, time_s), mask=mask)


def layer(local: float, **amounts: float) -> ShowState:
    return replace(STILL, shader=replace(ShaderAmounts(0, 0, 0, 0, 0, 0, local), **amounts))


def loud(mask: np.ndarray | None, state: ShowState, image: np.ndarray | None = None) -> np.ndarray:
    """What a loud tenth of a second makes of a picture."""
    image = picture() if image is None else image
    renderer = Renderer(CONTEXT, (image.shape[1], image.shape[0]))
    renderer.show(masked(image, mask))
    for k in range(7):
        renderer.redraw(lambda: LOUD, state, 0.02 * k)
    return renderer.read().astype(int)


@pytest.mark.parametrize("name", [*MOVES, *LIGHTS])
def test_only_what_the_sound_draws_answers_the_music(name):
    """But for half a cell on each side of the edge, over which a mask of 16 x 9 fades."""
    changed = np.abs(loud(CORNER, layer(1.0, **{name: 0.8})) - picture()).max(-1)
    assert changed[:28, 84:].mean() > 1
    assert changed[36:].max() == 0
    assert changed[:, :76].max() == 0
    everywhere = np.abs(loud(CORNER, layer(0.0, **{name: 0.8})) - picture()).max(-1)
    assert everywhere[36:].mean() > 1


def test_at_0_it_is_the_same_everywhere_and_so_it_is_where_nobody_knows_where():
    amounts = {name: 0.7 for name in (*MOVES, *LIGHTS, "grain")}
    today = loud(None, layer(0.0, **amounts))
    assert np.array_equal(loud(CORNER, layer(0.0, **amounts)), today)
    assert np.array_equal(loud(None, layer(1.0, **amounts)), today)


@pytest.mark.parametrize("name", [*LIGHTS, "warp"])
def test_where_all_of_the_picture_is_the_sounds_it_is_as_without_a_mask(name):
    whole = loud(np.ones((9, 16), np.float32), layer(1.0, **{name: 0.8}))
    assert np.abs(whole - loud(None, layer(0.0, **{name: 0.8}))).max() <= 1


@pytest.mark.parametrize("name", ["zoom", "beat_pulse"])
def test_a_zoom_that_is_local_everywhere_is_the_zoom(name):
    """Drawn in another pass: but for what enlarging a picture twice makes of it."""
    whole = loud(np.ones((9, 16), np.float32), layer(1.0, **{name: 1.0}))
    zoomed = loud(None, layer(0.0, **{name: 1.0}))
    assert np.abs(whole - zoomed).mean() < 0.1 * np.abs(picture() - zoomed).mean()


def test_half_way_the_rest_of_the_picture_has_half():
    plain = picture()
    half, whole = (loud(CORNER, layer(local, colour=1.0))[40:] - plain[40:] for local in (0.5, 0.0))
    assert np.abs(half - whole / 2).max() <= 1
    assert np.abs(whole).mean() > 5


def test_grain_is_the_films_and_lies_everywhere():
    assert np.array_equal(loud(CORNER, layer(1.0, grain=1.0)), loud(None, layer(0.0, grain=1.0)))


def test_it_follows_from_frame_to_frame_as_the_picture_does():
    """A picture that stands still, and a sound that moves from its left half to its right and back, each in a frame."""
    left = np.zeros((9, 16), np.float32)
    left[:, :8] = 1.0
    image, state, renderer = picture(), layer(1.0, colour=1.0), Renderer(CONTEXT, (128, 72))
    for index in range(8):
        renderer.show(masked(image, left, index, index * 0.1))
        renderer.redraw(lambda: LOUD, state, index * 0.1)
    full = np.abs(renderer.read().astype(int) - image)
    assert full[:, 72:].max() == 0, "the first mask is there at once"
    renderer.redraw(lambda: LOUD, state, 0.775)
    sides = []
    for index, mask in ((8, 1 - left), (9, left)):
        renderer.show(masked(image, mask, index, index * 0.1))
        for k in range(4):
            renderer.redraw(lambda: LOUD, state, index * 0.1 + 0.025 * k)
            drawn = np.abs(renderer.read().astype(int) - image)
            sides.append((drawn[:, :56].mean() / full[:, :56].mean(), drawn[:, 72:].mean()))
    there = np.array([0.75, 0.5, 0.25, 0.0, 0.25, 0.5, 0.75, 1.0])
    assert [side for side, _ in sides] == pytest.approx(there, abs=0.06)
    assert [side / sides[3][1] for _, side in sides] == pytest.approx(1 - there, abs=0.06)


def test_a_mask_may_come_go_and_change_its_size():
    image, state, renderer = picture(), layer(1.0, colour=1.0), Renderer(CONTEXT, (128, 72))
    below = []
    for index, mask in enumerate((None, CORNER, np.ones((18, 32), np.float32), CORNER, None)):
        renderer.show(masked(image, mask, index, index * 0.1))
        for k in range(6):
            renderer.redraw(lambda: LOUD, state, index * 0.1 + 0.016 * k)
        below.append(np.abs(renderer.read().astype(int) - image)[40:].max() > 0)
    assert below == [True, False, True, False, True]
