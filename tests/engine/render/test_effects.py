"""Each built-in effect against what it should be, worked out in numpy from the picture alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from render_scenes import CONTEXT, LOUD, STILL, flat, frame, picture

from engine.core.effects import EffectAmounts, Mirror
from engine.core.messages import SILENCE, AudioFeatures, SoundState
from engine.render.effects.chain import fine
from engine.render.renderer import Renderer

BEAT = replace(LOUD, tempo_confidence=1.0, onset=0.0)


def beats(frames: int, per_beat: int = 15) -> list[AudioFeatures]:
    """A steady beat, at 30 redraws a second of 120 a minute."""
    return [
        replace(BEAT, beat=k // per_beat, beat_phase=k / per_beat % 1, time_s=k * 0.5 / per_beat) for k in range(frames)
    ]


def film(
    images: Sequence[np.ndarray],
    amounts: EffectAmounts | Callable[[int], EffectAmounts],
    rate_hz: float = 30.0,
    features: Sequence[AudioFeatures] = (SILENCE,),
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """What is drawn of pictures, each shown at once and whole; the last of them, and of the features, stays."""
    renderer = Renderer(CONTEXT, size or images[0].shape[1::-1])
    drawn = []
    for k in range(max(len(images), len(features))):
        image, heard = images[min(k, len(images) - 1)], features[min(k, len(features) - 1)]
        renderer.show(frame(image, k, k / rate_hz))
        effects = amounts(k) if callable(amounts) else amounts
        renderer.redraw(partial(replace, heard), replace(STILL, effects=effects), k / rate_hz)
        drawn.append(renderer.read().astype(int))
    return np.stack(drawn)


def one(image: np.ndarray, amounts: EffectAmounts, features: AudioFeatures = SILENCE) -> np.ndarray:
    return film([image], amounts, features=[features])[0]


def dot(y: int, x: int, size: int = 64) -> np.ndarray:
    image = flat(0, size, size)
    image[y - 2 : y + 2, x - 2 : x + 2] = 255
    return image


def middle_of_light(image: np.ndarray) -> tuple[float, float]:
    """(y, x) from the picture's middle, in pixels."""
    light = image.sum(-1)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]] - np.array(light.shape).reshape(2, 1, 1) / 2 + 0.5
    return float((light * y).sum() / light.sum()), float((light * x).sum() / light.sum())


@pytest.mark.parametrize(
    ("picture_px", "output_px", "drawn_px"),
    [
        ((256, 256), (256, 256), (256, 256)),
        ((256, 256), (100, 100), (256, 256)),
        ((256, 256), (720, 720), (720, 720)),
        ((256, 256), (1920, 1080), (1024, 1024)),
        ((1280, 720), (1920, 1080), (1280, 720)),
        ((512, 288), (640, 480), (853, 480)),
    ],
)
def test_effects_are_as_fine_as_the_output_within_limits(picture_px, output_px, drawn_px):
    assert fine(picture_px, output_px) == drawn_px


@pytest.mark.parametrize("size", [(128, 72), (300, 170)])
def test_turned_off_again_the_picture_is_bit_for_bit_what_it_was(size):
    renderer, image = Renderer(CONTEXT, size), picture()
    renderer.show(frame(image))

    def drawn(amounts: EffectAmounts, now_s: float) -> np.ndarray:
        renderer.redraw(lambda: LOUD, replace(STILL, effects=amounts), now_s)
        return renderer.read()

    before = drawn(EffectAmounts(), 0.0)
    on = EffectAmounts(Mirror.LEFT, 5, trails_s=9.0, film=1.0)
    assert not np.array_equal(drawn(on, 0.1), before)
    assert not np.array_equal(drawn(on, 0.2), before)
    for k in range(4):
        assert np.array_equal(drawn(EffectAmounts(), 0.3 + k / 10), before)


@pytest.mark.parametrize(
    ("mirror", "axes", "kept"),
    [
        (Mirror.LEFT, (1,), np.s_[:, :64]),
        (Mirror.RIGHT, (1,), np.s_[:, 64:]),
        (Mirror.TOP, (0,), np.s_[:36]),
        (Mirror.BOTTOM, (0,), np.s_[36:]),
        (Mirror.QUARTER, (0, 1), np.s_[:36, :64]),
    ],
)
def test_a_mirror_keeps_its_half_and_is_symmetric(mirror, axes, kept):
    image = picture()
    drawn = one(image, EffectAmounts(mirror))
    assert np.array_equal(drawn[kept], image[kept])
    for axis in axes:
        assert np.array_equal(drawn, np.flip(drawn, axis))


def around(image: np.ndarray, turn: float) -> np.ndarray:
    """The picture along circles about its middle, from `turn` radians on: (radius, angle, 3)."""
    radii, angles = np.mgrid[10:120, 0:360]
    y = 127.5 - radii * np.cos(np.radians(angles) + turn)
    x = 127.5 + radii * np.sin(np.radians(angles) + turn)
    return image[np.rint(y).astype(int), np.rint(x).astype(int)]


@pytest.mark.parametrize("sectors", [3, 5, 6, 8])
def test_a_kaleidoscope_looks_the_same_turned_by_a_sector_and_in_a_mirror(sectors):
    drawn = one(picture(256, 256), EffectAmounts(kaleidoscope=sectors))
    upright = around(drawn, 0.0)
    turned = np.abs(around(drawn, 2 * np.pi / sectors) - upright).mean()
    assert turned < 2.0
    assert np.abs(around(drawn, np.pi / sectors) - upright).mean() > 2.0 * turned
    assert np.abs(drawn - drawn[:, ::-1]).max() <= 1


def test_a_kaleidoscope_turns_over_the_picture_once_in_16_beats():
    heard = beats(241)
    drawn = film([picture(64, 64)], EffectAmounts(kaleidoscope=6, kaleidoscope_turn=1.0), features=heard)
    moved = np.abs(drawn - drawn[0]).mean((1, 2, 3))
    assert moved[120] > 5.0
    assert moved[-1] < 1.5, "16 beats of half a second"


def test_colours_part_from_the_middle_and_further_on_a_hit():
    ramp = np.repeat(np.rint(np.linspace(20, 230, 128)).astype(np.uint8).reshape(1, 128, 1), 3, 2).repeat(72, 0)

    def slopes(features: AudioFeatures) -> np.ndarray:
        """Of red, green, blue along the ramp, in parts of its own."""
        drawn = film([ramp], EffectAmounts(chromatic=1.0), features=[SILENCE, features])[-1]
        return np.polyfit(np.arange(100), drawn[36, 14:114], 1)[0] / np.polyfit(np.arange(128), ramp[0, :, 0], 1)[0]

    calm, hit = slopes(SILENCE), slopes(replace(SILENCE, hit=True, onset=1.0))
    assert calm == pytest.approx([0.99, 1.0, 1.01], abs=0.002)
    assert hit == pytest.approx([0.976, 1.0, 1.024], abs=0.003)


@pytest.mark.parametrize("rate_hz", [20, 75])
def test_trails_fade_with_their_time_constant_at_any_frame_rate(rate_hz):
    black, white = flat(0, 8, 8), flat(255, 8, 8)
    drawn = film([white, white, *[black] * (2 * rate_hz)], EffectAmounts(trails_s=0.7), rate_hz)[:, 0, 0, 0]
    assert drawn[1] == 255
    assert drawn[1 + rate_hz] == pytest.approx(255 * np.exp(-1 / 0.7), abs=1.0)
    assert drawn[1 + 2 * rate_hz] == pytest.approx(255 * np.exp(-2 / 0.7), abs=1.0)


def test_trails_of_many_seconds_end_in_black():
    drawn = film([flat(255, 4, 4), *[flat(0, 4, 4)] * 1500], EffectAmounts(trails_s=3.0), 60.0)
    assert drawn[-1].max() == 0


def test_a_picture_that_stands_still_leaves_no_trail():
    image = picture()
    assert np.array_equal(film([image] * 5, EffectAmounts(trails_s=2.0))[-1], image)


def test_trails_flow_outwards_and_turn_a_quarter_in_four_beats():
    images = [dot(32, 44), *[flat(0, 64, 64)] * 60]
    heard = beats(61)
    turned = film(images, EffectAmounts(trails_s=10.0, trails_turn=1.0), features=heard)[-1]
    y, x = middle_of_light(turned)
    assert np.hypot(y, x) == pytest.approx(12.0, abs=1.0)
    assert abs(x) < 1.5
    assert y > 10.0, "clockwise"
    grown = film(images, EffectAmounts(trails_s=10.0, trails_zoom=0.5), features=heard)[-1]
    y, x = middle_of_light(grown)
    assert x == pytest.approx(12.0 * np.exp(0.5 / 4 * 4), abs=1.5)
    assert abs(y) < 0.5


def test_hue_turns_the_primaries_into_each_other_and_keeps_grey():
    third = EffectAmounts(hue=1 / 3)
    colours = np.array([[[200, 0, 0], [0, 200, 0], [0, 0, 200], [77, 77, 77]]], np.uint8)
    drawn = one(colours, third)
    assert np.abs(drawn - [[[0, 200, 0], [0, 0, 200], [200, 0, 0], [77, 77, 77]]]).max() <= 1
    assert np.abs(one(colours, EffectAmounts(hue=1.0)) - colours).max() <= 1


def test_hues_go_on_turning_with_the_beat():
    red = np.full((2, 2, 3), (200, 0, 0), np.uint8)
    heard = beats(241)
    drawn = film([red], EffectAmounts(hue_turn=1.0), features=heard)[:, 0, 0]
    assert drawn[120] == pytest.approx([0, 133, 133], abs=1), "red seen through the middle of grey"
    assert drawn[240] == pytest.approx([200, 0, 0], abs=1)


def test_a_fader_that_sets_how_fast_hues_turn_turns_none_itself():
    """After sixty beats: a little faster or slower moves them no more than a redraw does, and off is off."""
    red = np.full((2, 2, 3), (200, 0, 0), np.uint8)
    speeds = {901: 0.504, 902: 0.3, 903: 0.5, 904: 0.0}
    drawn = film([red], lambda k: EffectAmounts(hue_turn=speeds.get(k, 0.5)), features=beats(905))[:, 0, 0]
    steps = np.abs(np.diff(drawn, axis=0)).max(1)
    assert steps[900:903].max() <= steps[:900].max() + 1
    assert drawn[904] == pytest.approx([200, 0, 0], abs=1)


def test_effects_go_on_between_two_hops_of_sound():
    """At 120 redraws a second of 86 hops: a strobe, dark within a seventh of the beat, darkens with each of them."""
    hops = [replace(BEAT, beat=k // 43, beat_phase=k / 43 % 1, time_s=k / 86) for k in range(60)]
    heard = [hops[int(k / 120 * 86)] for k in range(40)]
    drawn = film([flat(255, 2, 2)], EffectAmounts(strobe=1.0, strobe_flashes=1), 120.0, heard)[:, 0, 0, 0]
    assert drawn[17] == 255
    assert drawn[28] == 0
    assert np.diff(drawn[18:27]).max() < 0


@pytest.mark.parametrize("levels", [2, 3, 7, 16])
def test_posterise_has_so_many_levels_for_equal_shares_of_the_values(levels):
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 256, 1), 3, 2)
    drawn = one(ramp, EffectAmounts(posterise=levels))[0, :, 0]
    found, counts = np.unique(drawn, return_counts=True)
    assert found == pytest.approx(np.linspace(0, 255, levels), abs=0.51)
    assert np.ptp(counts) <= 1


@pytest.mark.parametrize("grey", [0, 30, 90, 128, 180, 240, 255])
def test_a_print_is_dots_of_ink_and_as_light_as_the_picture(grey):
    colour = np.array([grey, 255 - grey, 128], np.uint8)
    drawn = one(np.full((240, 240, 3), colour, np.uint8), EffectAmounts(halftone=1.0, halftone_dots=20))
    assert drawn.mean((0, 1)) == pytest.approx(colour, abs=3.0)
    assert ((drawn > 20) & (drawn < 235)).mean() < 0.25, "edges only"
    if grey in (0, 255):
        assert np.ptp(drawn[..., 0]) == 0, "full ink, or none"


def test_the_print_has_as_many_dots_as_asked_for():
    drawn = one(np.full((240, 240, 3), 200, np.uint8), EffectAmounts(halftone=1.0, halftone_dots=20))
    crossings = np.diff((drawn[:, :, 2] < 128).astype(int), axis=0) == 1
    assert crossings.sum(0).max() == 20, "yellow, whose grid is upright"


def test_worn_film_changes_with_its_own_frames_and_is_dark_in_the_corners():
    drawn = film([flat(160, 72, 128)] * 11, EffectAmounts(film=1.0), 240.0)
    assert np.array_equal(drawn[0], drawn[9])
    assert not np.array_equal(drawn[9], drawn[10]), "24 of them a second"
    corners = np.mean([drawn[0][y, x].mean() for y in (0, -1) for x in (0, -1)])
    assert corners < 0.7 * drawn[0][30:40, 60:70].mean()
    assert np.array_equal(drawn, film([flat(160, 72, 128)] * 11, EffectAmounts(film=1.0), 240.0))


@pytest.mark.parametrize("flashes", [1, 2, 4])
def test_a_strobe_flashes_on_the_beat_and_between(flashes):
    heard = beats(128, 64)
    drawn = film([flat(200, 4, 4)], EffectAmounts(strobe=0.75, strobe_flashes=flashes), 128.0, heard)[:, 0, 0, 0]
    assert drawn[0] == drawn[64] == 200
    assert drawn.min() == 50
    assert (np.diff((drawn > 125).astype(int)) == 1).sum() == 2 * flashes - 1


def test_a_strobe_flashes_steadily_without_a_tempo_and_rests_in_silence():
    amounts = EffectAmounts(strobe=1.0)
    unknown = replace(SILENCE, state=SoundState.OK)
    drawn = film([flat(200, 4, 4)], amounts, 30.0, [unknown] * 60)[:, 0, 0, 0]
    assert (np.diff((drawn > 100).astype(int)) == 1).sum() in (3, 4)
    assert film([flat(200, 4, 4)], amounts, 30.0, [SILENCE] * 60).min() == 200


def test_what_was_left_behind_is_forgotten_with_the_trails():
    renderer = Renderer(CONTEXT, (8, 8))
    for k, (value, trails_s) in enumerate([(255, 9.0), (255, 9.0), (0, 0.0), (0, 9.0), (0, 9.0)]):
        renderer.show(frame(flat(value, 8, 8), k, k / 10))
        renderer.redraw(lambda: SILENCE, replace(STILL, effects=EffectAmounts(hue=0.5, trails_s=trails_s)), k / 10)
    assert renderer.read().max() == 0


def test_the_chain_folds_before_it_colours_and_prints_last():
    """A mirror of a print would be symmetric; a print of a mirrored picture is not, its grids being oblique."""
    drawn = one(picture(), EffectAmounts(Mirror.LEFT, halftone=1.0))
    assert not np.array_equal(drawn, drawn[:, ::-1])
