"""Pixels read back from the EGL context."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from render_scenes import CONTEXT, LOUD, STILL, flat, frame, picture

from engine.core.messages import SILENCE, AudioFeatures, Fit, ShaderAmounts, ShowState
from engine.render import gl
from engine.render.compositor import faded
from engine.render.picture import place
from engine.render.renderer import Renderer


def draw(renderer: Renderer, state: ShowState, now_s: float, features: AudioFeatures = SILENCE) -> np.ndarray:
    renderer.redraw(lambda: features, state, now_s)
    return renderer.read().astype(int)


def renderer_of(image: np.ndarray, size: tuple[int, int] | None = None) -> Renderer:
    renderer = Renderer(CONTEXT, size or (image.shape[1], image.shape[0]))
    renderer.show(frame(image))
    return renderer


def test_before_the_first_frame_it_is_black():
    assert draw(Renderer(CONTEXT, (32, 18)), STILL, 0.0).max() == 0


@pytest.mark.parametrize("size", [(64, 36), (128, 72), (50, 90)])
def test_a_placeholder_of_any_size_is_shown_at_once_and_gives_way_to_the_frames(size):
    """Its light falls from 200 to the frames' 40 over a second, and never turns back."""
    renderer = Renderer(CONTEXT, (64, 36))
    renderer.show_placeholder(flat(200, size[1], size[0]))
    assert draw(renderer, STILL, 0.0).min() == 200
    levels = []
    for k in range(16):
        renderer.show(frame(flat(40), k, k * 0.1))
        levels.append(draw(renderer, STILL, 1.0 + k * 0.1).mean())
    assert levels[0] > 150
    assert 60 < levels[5] < 180
    assert levels == sorted(levels, reverse=True)
    assert levels[11:] == [40] * 5


def test_a_placeholder_lies_as_the_frames_do():
    """Right way up, and cropped as a frame is: the same picture before and after changes nothing."""
    image = picture(64, 64)
    renderer = Renderer(CONTEXT, (64, 32))
    renderer.show_placeholder(image)
    before = draw(renderer, STILL, 0.0)
    assert np.array_equal(before, image[16:48])
    renderer.show(frame(image))
    assert np.array_equal(draw(renderer, STILL, 0.3), before)


def test_a_placeholder_answers_the_music():
    renderer = Renderer(CONTEXT, (128, 72))
    renderer.show_placeholder(picture())
    for k in range(6):
        loud = draw(renderer, ShowState(flash_limiter=False), 0.02 * k, LOUD)
    assert np.abs(loud - picture()).mean() > 0.5


def test_the_plain_picture_is_exact_at_its_own_size():
    image = picture()
    assert np.array_equal(draw(renderer_of(image), STILL, 0.0, LOUD), image)


def test_every_code_value_passes_unchanged():
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 256, 1), 3, axis=2).repeat(4, axis=0)
    assert np.array_equal(draw(renderer_of(ramp), STILL, 0.0), ramp)


def test_enlarging_keeps_colours_where_they_are():
    image = picture(36, 64)
    large = draw(renderer_of(image, (640, 360)), STILL, 0.0)
    centres = large[5::10, 5::10]
    assert np.abs(centres - image).mean() < 1.5
    assert np.abs(large.mean((0, 1)) - image.mean((0, 1))).max() < 1.0


def test_enlarging_a_smooth_ramp_is_smooth():
    ramp = np.repeat(np.linspace(20, 230, 32).reshape(1, 32, 1), 3, axis=2).repeat(18, axis=0).round().astype(np.uint8)
    row = draw(renderer_of(ramp, (640, 360)), STILL, 0.0)[180, 40:-40, 0]
    assert np.abs(np.diff(row)).max() <= 2


def test_what_is_reduced_is_not_sharpened():
    """At half its size each pixel lies where four meet: of one tap, no darker and no lighter than those."""
    if not gl.is_software():
        pytest.skip("a GPU takes Catmull-Rom's five taps, which overshoot")
    image = picture(72, 128)
    image[::6] //= 2
    reduced = draw(renderer_of(image, (64, 36)), STILL, 0.0)
    four = image.reshape(36, 2, 64, 2, 3).astype(int)
    assert (reduced >= four.min((1, 3)) - 1).all()
    assert (reduced <= four.max((1, 3)) + 1).all()


def test_enlarging_is_catmull_roms():
    """Pillow's bicubic has the same a = -0.5; what is merely bilinear is twice as far from it."""
    image = np.random.default_rng(3).integers(40, 216, (9, 16, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(image).resize((64, 36), Image.Resampling.BICUBIC))
    wanted, plain = (
        np.asarray(Image.fromarray(image).resize((160, 90), kind), int)
        for kind in (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)
    )
    enlarged = draw(renderer_of(image, (160, 90)), STILL, 0.0)
    off = np.abs(enlarged - wanted)
    assert off.max() <= 4
    assert off.mean() < 0.6 * np.abs(plain - wanted).mean()


@pytest.mark.parametrize(
    ("picture_px", "output_px", "fit", "rect", "span"),
    [
        ((256, 256), (640, 360), Fit.FIT, (140, 0, 360, 360), (1.0, 1.0)),
        ((256, 256), (640, 360), Fit.FILL, (0, 0, 640, 360), (1.0, 0.5625)),
        ((256, 256), (360, 640), Fit.FIT, (0, 140, 360, 360), (1.0, 1.0)),
        ((256, 256), (360, 640), Fit.FILL, (0, 0, 360, 640), (0.5625, 1.0)),
        ((512, 256), (640, 360), Fit.FIT, (0, 20, 640, 320), (1.0, 1.0)),
        ((640, 360), (1280, 720), Fit.FIT, (0, 0, 1280, 720), (1.0, 1.0)),
        ((640, 360), (1280, 720), Fit.FILL, (0, 0, 1280, 720), (1.0, 1.0)),
    ],
)
def test_placement(picture_px, output_px, fit, rect, span):
    where = place(picture_px, output_px, fit)
    assert where.rect == rect
    assert where.span == pytest.approx(span)


def test_fit_draws_bars_and_the_whole_picture():
    image = picture(64, 64)
    drawn = draw(renderer_of(image, (128, 64)), replace(STILL, fit=Fit.FIT), 0.0)
    assert np.array_equal(drawn[:, 32:96], image)
    assert drawn[:, :32].max() == 0
    assert drawn[:, 96:].max() == 0


def test_fill_crops_the_middle():
    image = picture(64, 64)
    drawn = draw(renderer_of(image, (64, 32)), STILL, 0.0)
    assert np.array_equal(drawn, image[16:48])


def test_a_new_frame_fades_in_over_the_time_between_frames():
    renderer = Renderer(CONTEXT, (64, 36))
    for index in range(3):
        renderer.show(frame(flat(40), index, index * 0.1))
        draw(renderer, STILL, index * 0.1)
    draw(renderer, STILL, 0.275)
    renderer.show(frame(flat(240), 3, 0.3))
    levels = [draw(renderer, STILL, 0.3 + k * 0.025).mean() for k in range(5)]
    assert levels == pytest.approx([90, 140, 190, 240, 240], abs=1.0)


def test_after_stillness_a_new_frame_fades_in_as_fast_as_any_other():
    """Ten seconds in which nothing changed, then two frames 0.05 s apart, the first of them begun at 10.2 s."""
    renderer = Renderer(CONTEXT, (64, 36))
    for index in range(3):
        renderer.show(frame(flat(40), index, index * 0.1))
        draw(renderer, STILL, index * 0.1)
    draw(renderer, STILL, 10.275)
    renderer.show(replace(frame(flat(240), 3, 10.3), still_until_s=10.2))
    levels = [draw(renderer, STILL, 10.3 + k * 0.025).mean() for k in range(5)]
    assert levels == pytest.approx([90, 140, 190, 240, 240], abs=1.0)
    renderer.show(frame(flat(40), 4, 10.4))
    levels = [draw(renderer, STILL, 10.425 + k * 0.025).mean() for k in range(4)]
    assert levels == pytest.approx([190, 140, 90, 40], abs=1.0)


def test_where_redraws_are_rarer_than_frames_each_frame_is_whole():
    renderer = Renderer(CONTEXT, (64, 36))
    for index in range(4):
        renderer.show(frame(flat(50 * index), index, index * 0.05))
        assert draw(renderer, STILL, index * 0.1).mean() == 50 * index


def test_frames_of_another_size_take_over():
    renderer = renderer_of(picture(), (64, 36))
    draw(renderer, STILL, 0.0)
    renderer.show(frame(flat(99, 128, 128), 1, 0.1))
    assert np.array_equal(draw(renderer, STILL, 0.1), flat(99))


@pytest.mark.parametrize("fade", [{"blackout_fade_s": 0.2}, {"blackout_fade_bars": 0.1}])
def test_blackout_is_exact_black_and_comes_back(fade):
    """A bar without a tempo is of 2 s."""
    image = picture()
    renderer = renderer_of(image)
    draw(renderer, STILL, 0.0)
    dark = replace(STILL, blackout=True, **fade)
    half = draw(renderer, dark, 0.1)
    assert half.mean() == pytest.approx(image.mean() / 2, abs=1.0)
    draw(renderer, dark, 0.2)
    assert draw(renderer, dark, 0.21).max() == 0
    assert np.array_equal(draw(renderer, STILL, 0.22), image)


def test_blackout_is_immediate_with_the_limiter_too():
    renderer = renderer_of(flat(255))
    limited = replace(STILL, flash_limiter=True)
    for k in range(30):
        renderer.show(frame(flat(255 * (k % 2)), k, k / 30))
        draw(renderer, limited, k / 30)
    assert draw(renderer, replace(limited, blackout=True), 1.0).max() == 0


def test_faded_moves_in_seconds():
    assert faded(1.0, True, 2.0, 0.5) == pytest.approx(0.75)
    assert faded(0.2, True, 2.0, 1.0) == 0.0
    assert faded(0.9, False, 0.0, 0.0) == 1.0


def test_freeze_stands_still_and_thaws_to_the_newest():
    renderer = renderer_of(picture())
    state = ShowState(flash_limiter=False)
    before = draw(renderer, state, 0.5, LOUD)
    frozen = replace(state, freeze=True)
    renderer.show(frame(flat(10, 72, 128), 1, 0.6))
    after = draw(renderer, frozen, 0.51, SILENCE)
    assert np.array_equal(before, after)
    draw(renderer, STILL, 5.0)
    assert draw(renderer, STILL, 7.0).mean() == 10


@pytest.mark.parametrize("name", ["zoom", "warp", "glow", "colour", "grain", "beat_pulse"])
def test_each_amount_answers_the_music(name):
    image = picture()
    amounts = replace(STILL.shader, **{name: 0.5})
    state = replace(STILL, shader=amounts)
    renderer = renderer_of(image)
    draw(renderer, state, 0.0)
    quiet = draw(renderer, state, 0.02, SILENCE)
    for k in range(6):
        loud = draw(renderer, state, 0.04 + 0.02 * k, LOUD)
    assert np.abs(loud - quiet).mean() > 0.5
    if name != "grain":
        assert np.array_equal(quiet, image)


def test_amounts_of_zero_leave_the_plain_picture():
    image = picture()
    renderer = renderer_of(image)
    for k in range(5):
        assert np.array_equal(draw(renderer, STILL, k * 0.02, LOUD), image)


def test_the_full_look_stays_mild():
    """At the default amounts and the loudest sound the picture is still the picture."""
    image = picture()
    renderer = renderer_of(image)
    state = ShowState(shader=ShaderAmounts(), flash_limiter=False)
    for k in range(30):
        drawn = draw(renderer, state, k / 30, LOUD)
    assert np.corrcoef(drawn.ravel(), image.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("gap_s", [1.0, 600.0])
def test_after_a_pause_the_effects_go_on_from_where_they_were(gap_s):
    """A window that was dragged, a laptop that slept: no more than a quarter of a second passes for the effects."""

    def after(pause_s: float) -> np.ndarray:
        renderer = renderer_of(picture())
        state = ShowState(shader=ShaderAmounts(1, 1, 1, 1, 0, 0), flash_limiter=False)
        for k in range(6):
            draw(renderer, state, k / 30, LOUD)
        return draw(renderer, state, 5 / 30 + pause_s, SILENCE)

    assert np.array_equal(after(gap_s), after(0.25))
    assert not np.array_equal(after(0.25), after(0.1))


def test_features_are_asked_for_once_a_redraw():
    asked: list[int] = []

    def features() -> AudioFeatures:
        asked.append(1)
        return SILENCE

    renderer = renderer_of(picture())
    renderer.redraw(features, STILL, 0.0)
    assert len(asked) == 1
