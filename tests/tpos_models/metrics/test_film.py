"""The measures on films whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tpos_models.errors import InputError
from tpos_models.metrics.film import av_align, evaluate, onset_times, peak_times
from tpos_models.metrics.optical_flow import optical_flow, warp
from tpos_models.metrics.plot import Strip, plot, plot_side_by_side

FPS, RATE, SECONDS = 25.0, 16_000, 4


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Pictures this small are slower on two threads, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def texture(seed=0, size=(72, 96)):
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 3, *size, generator=g)
    smooth = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(noise, (3, 3, 3, 3), mode="circular"), 7, 1)
    return (0.5 + smooth * 0.9).clamp(0, 1)[0]


def to_frame(image):
    return (image * 255).round().byte().permute(1, 2, 0).numpy()


def clicks(times, seconds=SECONDS):
    sound = np.random.default_rng(0).normal(0, 1e-4, seconds * RATE).astype(np.float32)
    for time in times:
        at = int(time * RATE)
        decay = np.exp(-np.arange(RATE // 20) / (RATE / 100))
        sound[at : at + decay.size] += 0.5 * decay * np.random.default_rng(1).normal(size=decay.size)
    return sound


def film(times, kind):
    """A picture that flashes, or jumps by 2 px, in the frame at each of `times`."""
    image, shown, place = texture(size=(48, 64)), [], 0
    hits = {round(time * FPS) for time in times}
    for i in range(int(SECONDS * FPS)):
        if kind == "jump":
            place += 2 * (i in hits)
            shown.append(to_frame(image.roll(place, -1)))
        else:
            shown.append(to_frame(image * (1.0 if i in hits else 0.5)))
    return shown


BEATS = [0.4, 0.96, 1.52, 2.0, 2.6, 3.16, 3.6]
ELSEWHERE = [0.12, 0.68, 1.24, 1.8, 2.32, 2.88, 3.4]


def test_flow_follows_a_known_motion():
    image = texture(3, (96, 96)).mean(0)[None]
    for right, down in ((1.0, 0.0), (0.0, -2.0), (3.0, 2.0), (6.0, -5.0)):
        flow = torch.tensor([right, down]).view(1, 2, 1, 1).expand(1, 2, 96, 96)
        moved = warp(image[:, None], -flow)[:, 0]
        found = optical_flow(image, moved)[0, :, 16:-16, 16:-16]
        assert abs(float(found[0].median()) - right) < 0.15
        assert abs(float(found[1].median()) - down) < 0.15
    assert optical_flow(image, image).abs().max() < 1e-3


def test_onsets_are_found_where_they_are():
    found = onset_times(clicks(BEATS), RATE)
    assert len(found) == len(BEATS)
    np.testing.assert_allclose(found, BEATS, atol=0.04)
    assert onset_times(np.zeros(RATE), RATE).size == 0
    assert onset_times(np.zeros(10), RATE).size == 0


@pytest.mark.parametrize("kind", ["jump", "flash"])
def test_films_on_the_beat_score_and_others_do_not(kind):
    on, off = (evaluate(film(times, kind), FPS, clicks(BEATS), RATE) for times in (BEATS, ELSEWHERE))
    assert on.frames == 100
    assert on.correlation > 0.4
    assert on.lag_s == pytest.approx(0, abs=1 / FPS)
    if kind == "jump":
        assert on.av_align > 0.9
        assert off.av_align < 0.2


def test_warp_error_forgives_motion_and_not_flicker():
    still = evaluate([to_frame(texture())] * 8, FPS, np.zeros(RATE), RATE)
    pan = evaluate([to_frame(texture().roll(i, -1)) for i in range(8)], FPS, np.zeros(RATE), RATE)
    flicker = evaluate([to_frame(texture(i)) for i in range(8)], FPS, np.zeros(RATE), RATE)
    assert still.warp_error < 1e-6
    assert pan.warp_error < 0.002 < flicker.warp_error
    assert np.isnan(still.correlation)


def test_definitions_by_hand():
    assert av_align(np.array([1.0, 2.0]), np.array([1.04, 3.0]), 25) == pytest.approx(1 / 3)
    assert av_align(np.array([1.0]), np.array([1.0]), 25) == 1
    assert av_align(np.array([1.0]), np.zeros(0), 25) == 0
    assert np.isnan(av_align(np.zeros(0), np.zeros(0), 25))
    assert peak_times(np.array([0, 1, 0, 0.05, 0, 3, 3, 0.0]), 10).tolist() == [0.1, 0.5]


def test_table_and_plot(tmp_path):
    from PIL import Image

    measured = evaluate(film(BEATS, "jump"), FPS, clicks(BEATS), RATE)
    assert [row.name for row in measured.rows()] == ["AV-Align", "correlation", "lag", "warp error"]
    plot(measured, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.size == (1100, 770)
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_films_side_by_side(tmp_path):
    from PIL import Image

    measured = evaluate(film(BEATS, "jump"), FPS, clicks(BEATS), RATE)
    half = evaluate(film(BEATS, "jump")[:50], FPS, clicks(BEATS), RATE)
    red, blue = (np.full((60, 60, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    strips = [
        Strip("whole", measured, (red,) * 4, (0.5, 1.5, 2.5, 3.5)),
        Strip("half", half, (blue,) * 4, (0, 1, 1, 2)),
    ]
    plot_side_by_side(strips, tmp_path / "films.png")
    with Image.open(tmp_path / "films.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    boxes = [np.argwhere((pixels == colour).all(-1)) for colour in ((255, 0, 0), (0, 0, 255))]
    (tall, wide), (half_tall, half_wide) = (np.ptp(box, axis=0) for box in boxes)
    assert wide / tall == pytest.approx(4, rel=0.03)  # square frames, square
    assert half_wide / half_tall == pytest.approx(4, rel=0.03)
    assert half_wide / wide == pytest.approx(0.5, rel=0.02)  # on one time axis
    assert boxes[0][:, 0].max() < boxes[1][:, 0].min()
    assert boxes[0][:, 1].min() == pytest.approx(boxes[1][:, 1].min(), abs=3)


def test_too_little_is_refused():
    with pytest.raises(InputError, match="at least 4"):
        evaluate(film(BEATS, "jump")[:3], FPS, clicks(BEATS), RATE)
