"""The camera: where the music takes it, and what it sees, against Pillow's own turning and magnifying."""

from __future__ import annotations

import colorsys
import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image
from render_scenes import CONTEXT, LOUD, STILL, frame, picture

from engine.core.course import Section
from engine.core.messages import SILENCE, AudioFeatures, ShaderAmounts, SoundState
from engine.render import gl
from engine.render.audio_reactive import AudioReactiveLayer, Camera, Look, View, colour_matrix, foretold
from engine.render.bloom import Bloom
from engine.render.renderer import Renderer

NONE = ShaderAmounts(0, 0, 0, 0, 0, 0)
ALL = replace(NONE, fly=1.0, turn=1.0, sway=1.0)
BPM = 120.0


def heard(now_s: float, bpm: float = BPM, **known: Any) -> AudioFeatures:
    """Music of four beats a bar from 0 s on."""
    beats = now_s * bpm / 60 + 1e-9
    beat = int(beats)
    at: dict[str, Any] = {
        "time_s": now_s,
        "beat": beat,
        "beat_phase": beats - beat,
        "bar": beat // 4,
        "bar_beat": beat % 4,
    }
    features = replace(SILENCE, bpm=bpm, tempo_confidence=1.0, state=SoundState.OK, **at)
    return replace(features, **known)


def seen(image: np.ndarray, view: View, mask: np.ndarray | None = None, **look: Any) -> np.ndarray:
    """What the camera sees of uint8 (height, width, 3)."""
    CONTEXT.switch_to()
    size = image.shape[1], image.shape[0]
    bloom = Bloom(gl.Canvas(), size)
    where = None if mask is None else gl.Texture((mask.shape[1], mask.shape[0]), mask)
    bloom.draw(gl.Texture(size, image), Look(view=view, **look), where)
    return bloom.target.read().astype(int)


def by_pillow(image: np.ndarray, degrees: float = 0.0, scale: float = 1.0) -> np.ndarray:
    """The picture turned anticlockwise and magnified about its middle, mirrored at its edges."""
    height, width, _ = image.shape
    wide = Image.fromarray(np.pad(image, ((height, height), (width, width), (0, 0)), "symmetric"))
    turned = wide.rotate(degrees, Image.Resampling.BICUBIC)
    left, top = width * (1.5 - 0.5 / scale), height * (1.5 - 0.5 / scale)
    part = (left, top, left + width / scale, top + height / scale)
    there = (1 / scale, 0.0, part[0], 0.0, 1 / scale, part[1])
    return np.asarray(turned.transform((width, height), Image.Transform.AFFINE, there, Image.Resampling.BICUBIC), int)


def ways(rate_hz: float, seconds: float, amounts: ShaderAmounts = ALL, **known: Any) -> list[View]:
    """The views of a drawing at that rate, motion 1, the first at 0 s."""
    camera = Camera()
    times = np.arange(round(seconds * rate_hz) + 1) / rate_hz
    return [camera.step(heard(now_s, **known), amounts, 1 / rate_hz, 1.0, 0.0) for now_s in times]


@pytest.mark.parametrize("size", [(96, 96), (72, 128)])
@pytest.mark.parametrize("turn", [0.3, -1.1, 2.5])
def test_a_turn_is_clockwise_and_mirrors_at_the_edges(size, turn):
    image = picture(*size)
    wanted = by_pillow(image, -math.degrees(turn))
    assert np.abs(seen(image, View(turn=turn)) - wanted).mean() < 0.6
    assert np.abs(image - wanted).mean() > 8


def test_a_quarter_turn_moves_every_pixel_to_its_place():
    image = picture(64, 64)
    assert np.abs(seen(image, View(turn=math.pi / 2)) - np.rot90(image, -1)).max() <= 1


def test_flying_magnifies_and_what_arrives_is_the_same_half_as_large():
    image = picture(96, 128)
    drawn = seen(image, View(fly=0.5))
    y, x = np.mgrid[:96, :128]
    far = np.hypot(x - 63.5, y - 47.5) / np.hypot(64, 48)
    for scale, where in ((2**0.5, far > 0.82), (2**-0.5, far < 0.18)):
        wanted = by_pillow(image, scale=scale)
        assert np.abs(drawn - wanted)[where].mean() < 0.6
        assert np.abs(image - wanted)[where].mean() > 3


def test_flying_never_ends():
    """Over the octave no step is larger than a few of those beside it, the one from its end to its start included."""
    image = picture()
    views = [seen(image, View(fly=k / 64 % 1.0)) for k in range(66)]
    steps = [float(np.abs(b - a).mean()) for a, b in pairwise(views)]
    assert np.array_equal(views[64], image)
    assert max(steps[62:]) < 1.5 * max(steps[:62])
    assert min(steps) > 0


def test_nothing_is_black_that_was_not():
    white = np.full((36, 64, 3), 255, np.uint8)
    assert seen(white, View(0.9, 0.8, 0.3)).min() == 255


def test_where_the_sound_is_drawn_is_seen_by_the_camera_too():
    """Upside down what was top right is bottom left, and only there is grey made of the colours."""
    corner = np.zeros((9, 16, 1), np.uint8)
    corner[:4, 10:] = 255
    upside_down, grey = View(turn=math.pi), colour_matrix(0.0, 0.0)
    changed = np.abs(seen(picture(), upside_down, corner, local=1.0, colour=grey) - seen(picture(), upside_down)).max(
        -1
    )
    assert changed[44:, :44].mean() > 10
    assert changed[:36].max() == 0
    assert changed[:, 52:].max() == 0


@pytest.mark.parametrize("amounts", [NONE, ALL])
def test_without_motion_the_camera_is_not_there(amounts):
    image = picture()
    renderer = Renderer(CONTEXT, (128, 72))
    renderer.show(frame(image))
    for k in range(40):
        renderer.redraw(partial(heard, k / 20), replace(STILL, shader=amounts, motion=0.0), k / 20)
        assert np.array_equal(renderer.read(), image)


def test_without_motion_a_steady_sound_is_a_still():
    """Whatever is turned up, film grain included."""
    state = replace(
        STILL, shader=replace(ALL, zoom=1.0, warp=1.0, glow=1.0, colour=1.0, grain=1.0, beat_pulse=1.0), motion=0.0
    )
    renderer = Renderer(CONTEXT, (128, 72))
    renderer.show(frame(picture()))
    drawn = []
    for k in range(400):
        renderer.redraw(lambda: replace(LOUD, bpm=0.0, tempo_confidence=0.0), state, k / 20)
        drawn.append(renderer.read())
    assert all(np.array_equal(one, drawn[-1]) for one in drawn[-40:])


def test_at_any_frame_rate_a_beat_finds_the_camera_in_the_same_place():
    """A quarter of an octave and a twenty-fourth of a turn each, at full amounts and motion."""
    for beats in (1, 3, 7):
        for rate_hz in (24, 60, 144):
            view = ways(rate_hz, beats * 60 / BPM)[-1]
            assert (view.fly - beats / 4 + 0.5) % 1 == pytest.approx(0.5, abs=1e-6)
            assert view.turn == pytest.approx((beats / 24 * 2 * math.pi + _sway(beats)) % (2 * math.pi), abs=1e-6)


def test_most_of_a_beats_way_is_gone_80_ms_after_it_and_it_never_rests():
    flown = np.unwrap([view.fly for view in ways(100, 2.0)], period=1.0)
    steps = np.diff(flown).reshape(4, 50)
    assert (steps > 0).all()
    assert (steps[:, :8].sum(1) > 0.6 * steps.sum(1)).all()
    assert steps[:, :8].mean() > 5 * steps[:, 8:].mean()
    assert steps[:, -1] == pytest.approx(steps[:, 25], rel=0.1), "it has settled before the next"


def test_below_0_it_goes_the_other_way():
    there, back = (ways(50, 0.5, replace(NONE, fly=way, turn=way))[-1] for way in (1.0, -1.0))
    assert back.fly == pytest.approx(1 - there.fly)
    assert back.turn == pytest.approx(2 * math.pi - there.turn)


def test_a_build_up_hurries_a_breakdown_rests_at_the_bar_lines_and_a_drop_throws():
    def flown(seconds: float, **known: Any) -> np.ndarray:
        return np.unwrap([view.fly for view in ways(100, seconds, **known)], period=1.0)

    plain = flown(4.0)[-1]
    assert flown(4.0, build=1.0)[-1] > 1.5 * plain
    breath = flown(8.0, section=Section.BREAKDOWN, breakdown=1.0)
    assert breath[-1] - breath[-401] < 0.7 * plain
    speed = np.diff(breath)[400:].reshape(2, 200)  # bars of 2 s
    assert (speed[:, [0, -1]] < 0.05 * speed.max()).all()
    thrown = flown(1.0, sections=1, section=Section.DROP)
    assert thrown[30] - flown(1.0)[30] > 0.3, "before the next beat"


def test_without_a_tempo_it_drifts_and_a_hit_pushes_it():
    def flown(hit: float) -> float:
        camera = Camera()
        return [camera.step(SILENCE, ALL, 0.01, 1.0, hit) for _ in range(100)][-1].fly

    assert 0 < flown(0.0) < 0.25
    assert flown(1.0) > 3 * flown(0.0)


def test_what_is_turned_off_goes_home():
    camera = Camera()
    for k in range(31):
        camera.step(heard(k / 20), ALL, 1 / 20, 1.0, 0.0)
    assert [camera.step(heard(1.5), NONE, 0.05, 1.0, 0.0) for _ in range(100)][-1] == View()


def test_a_beat_is_foretold_between_hops_but_not_where_there_are_none():
    features = heard(1.98)
    assert foretold(features, 2.03).beat == features.beat + 1
    assert (foretold(features, 2.03).bar, foretold(features, 2.03).bar_beat) == (1, 0)
    assert foretold(features, 2.03).beat_phase == pytest.approx(0.06)
    assert foretold(features, 99.0) == foretold(features, 1.98 + 0.25)
    assert foretold(features, 1.0) == features


def test_between_two_hops_the_camera_goes_on():
    renderer = Renderer(CONTEXT, (128, 72))
    renderer.show(frame(picture()))
    drawn = []
    for k in range(3):
        renderer.redraw(partial(heard, 0.1), replace(STILL, shader=ALL, motion=1.0), 0.1 + k / 60)
        drawn.append(renderer.read().astype(int))
    assert all(np.abs(after - before).mean() > 0.1 for before, after in pairwise(drawn))


def test_a_tempo_that_is_remembered_through_silence_moves_nothing_with_the_beat():
    steps = np.diff([view.fly for view in ways(100, 1.0, state=SoundState.SILENCE)])
    assert steps == pytest.approx(steps[0], abs=1e-9)


@pytest.mark.parametrize("colour", [(200, 40, 90), (20, 60, 140), (120, 110, 30), (0, 0, 0), (255, 255, 255)])
def test_a_beat_is_answered_in_the_pictures_own_hues(colour):
    image = np.full((36, 64, 3), colour, np.uint8)
    renderer = Renderer(CONTEXT, (64, 36))
    renderer.show(frame(image))
    state = replace(STILL, shader=replace(NONE, beat_pulse=1.0))
    for k in range(4):
        renderer.redraw(partial(heard, k / 60), state, k / 60)
    before, after = (colorsys.rgb_to_hsv(*np.asarray(c) / 255) for c in (colour, renderer.read()[18, 32]))
    assert after[:2] == pytest.approx(before[:2], abs=0.02)
    assert after[2] > before[2] + 0.05 or before[2] in (0, 1)


def test_a_clipping_input_has_a_beat_too():
    clipping = heard(0.0, state=SoundState.CLIPPING)
    assert AudioReactiveLayer().step(clipping, replace(NONE, beat_pulse=1.0), 0.1).zoom > 1.05


def _sway(beats: int) -> float:
    """Radians to the side: none at the first beat of a bar of four, one way at the second, the other at the fourth."""
    return 0.07 * (0, 1, 0, -1)[beats % 4]
