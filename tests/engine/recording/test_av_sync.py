"""The recording's time axis and frame grid, without files."""

from __future__ import annotations

import numpy as np
import pytest

from engine.recording.av_sync import FrameGrid, SoundAxis

RATE, CHUNK = 48_000, 480
PICTURES = [np.full((2, 2, 3), level, np.uint8) for level in range(8)]


def feed(axis: SoundAxis, start_s: float, seconds: float, speed: float = 1.0, index: int = 0) -> tuple[int, list[int]]:
    """Chunks of a card that runs at `speed`; returns the next index and where each chunk was placed."""
    places = []
    for k in range(round(seconds * speed * RATE / CHUNK)):
        captured_s = start_s + (k + 1) * CHUNK / (RATE * speed)
        places.append(axis.place(index, CHUNK, captured_s))
        index += CHUNK
    return index, places


def test_chunks_follow_each_other_and_time_0_is_the_origin() -> None:
    axis = SoundAxis(100.0, RATE)
    _, places = feed(axis, 100.0, 2.0, index=777)
    assert places == [k * CHUNK for k in range(200)]
    assert axis.seconds(101.5) == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize("speed", [1.001, 0.999, 1.0])
def test_pictures_follow_a_drifting_sound_card(speed: float) -> None:
    axis = SoundAxis(0.0, RATE)
    feed(axis, 0.0, 600.0, speed)
    assert axis.seconds(600.0) == pytest.approx(600.0 * speed, abs=0.005)


def test_a_late_burst_moves_no_sound() -> None:
    axis = SoundAxis(0.0, RATE)
    index, _ = feed(axis, 0.0, 1.0)
    burst = [axis.place(index + k * CHUNK, CHUNK, 1.3) for k in range(30)]
    assert burst == [RATE + k * CHUNK for k in range(30)]
    assert axis.seconds(1.3) == pytest.approx(1.3, abs=0.02)


@pytest.mark.parametrize("hole_s", [0.4, 3.0])
def test_samples_lost_without_a_trace_leave_a_hole(hole_s: float) -> None:
    axis = SoundAxis(0.0, RATE)
    index, _ = feed(axis, 0.0, 1.0)
    _, places = feed(axis, 1.0 + hole_s, 2.0, index=index)
    assert places[-1] + CHUNK == pytest.approx((3.0 + hole_s) * RATE, abs=0.01 * RATE)


@pytest.mark.parametrize(("hole_s", "patience_s"), [(0.4, 0.5), (0.9, 0.5), (1.2, 0.0), (3.0, 0.0)])
def test_how_soon_a_hole_is_believed(hole_s: float, patience_s: float) -> None:
    """A hole of more than a second at the first chunk after it, a smaller one after half a second of doubt."""
    axis = SoundAxis(0.0, RATE)
    index, _ = feed(axis, 0.0, 1.0)
    _, places = feed(axis, 1.0 + hole_s, 2.0, index=index)
    expected = [(1.0 + hole_s) * RATE + k * CHUNK for k in range(len(places))]
    right = np.abs(np.array(places) - expected) < 0.002 * RATE
    assert int(np.argmax(right)) * CHUNK / RATE == pytest.approx(patience_s, abs=0.03)
    assert right[int(np.argmax(right)) :].all()


def test_forgetting_anchors_by_the_clock() -> None:
    axis = SoundAxis(0.0, RATE)
    index, _ = feed(axis, 0.0, 1.0)
    axis.forget()
    assert axis.place(index, CHUNK, 1.06) == pytest.approx(1.05 * RATE, abs=1)


def test_the_grid_repeats_replaces_and_never_goes_back() -> None:
    grid = FrameGrid(10.0)
    a, b, c, d = PICTURES[:4]
    assert grid.offer(a, 0.21) == []
    assert grid.offer(b, 0.31) == [(0, a), (1, None), (2, None)]
    assert grid.offer(c, 0.33) == []
    assert grid.replaced == 1
    assert grid.advance(0.65) == [(3, c), (4, None), (5, None)]
    assert grid.offer(d, 0.4) == []
    assert grid.late == 1
    assert grid.finish(0.84) == [(6, d), (7, None)]


def test_slots_before_any_picture_are_given_out_empty() -> None:
    grid = FrameGrid(10.0)
    assert grid.advance(0.2) == [(0, None), (1, None)]
    assert grid.offer(PICTURES[0], 0.5) == []
    assert grid.finish(0.5) == [(2, PICTURES[0]), (3, None), (4, None)]
    assert grid.finish(0.5) == []


def test_every_picture_is_settled_once() -> None:
    rng = np.random.default_rng(1)
    grid = FrameGrid(30.0)
    times_s = np.cumsum(rng.uniform(0, 0.06, 400))
    placed = [entry for time_s in times_s for entry in grid.offer(PICTURES[0], time_s + rng.normal(0, 0.02))]
    placed += grid.finish(float(times_s[-1]))
    slots = [slot for slot, _ in placed]
    shown = sum(image is not None for _, image in placed)
    assert slots == list(range(len(slots)))
    assert shown + grid.replaced == 400
