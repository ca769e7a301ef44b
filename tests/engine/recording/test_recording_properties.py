"""The frame grid, the sound's axis and the log's states, for anything a show may hand in."""

from __future__ import annotations

import json
import math
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from properties import steady

from engine.core.messages import ShowState
from engine.recording.av_sync import FrameGrid, Placed, SoundAxis
from engine.recording.session import state_from_json, state_to_json, to_json

FPS, RATE = 10.0, 8_000
TIMES_S = st.floats(0, 8, allow_nan=False)


def picture(number: int) -> np.ndarray:
    return np.full((1, 1, 3), number, np.uint8)


@steady
@given(events=st.lists(st.tuples(st.sampled_from(["offer", "offer", "advance"]), TIMES_S), max_size=60), end_s=TIMES_S)
def test_a_grid_has_no_holes_and_keeps_every_picture_in_order(events: list[tuple[str, float]], end_s: float) -> None:
    grid, placed, offered = FrameGrid(FPS), list[Placed](), 0
    for kind, time_s in events:
        if kind == "offer":
            placed += grid.offer(picture(offered), time_s)
            offered += 1
        else:
            placed += grid.advance(time_s)
    placed += grid.finish(end_s)
    assert [slot for slot, _ in placed] == list(range(len(placed)))
    assert len(placed) >= round(end_s * FPS)
    shown = [int(image[0, 0, 0]) for _, image in placed if image is not None]
    assert shown == sorted(set(shown))
    assert len(shown) + grid.replaced == offered
    assert not offered or shown[-1] == offered - 1, "the newest is never lost"


@steady
@given(times_s=st.lists(TIMES_S, min_size=1, max_size=40))
def test_a_picture_lies_at_its_time_or_is_counted_late(times_s: list[float]) -> None:
    """The first takes the free slots before its own; each later one lies nearest to its time, never before."""
    grid, placed, late = FrameGrid(FPS), list[Placed](), set[int]()
    for number, time_s in enumerate(times_s):
        before = grid.late
        placed += grid.offer(picture(number), time_s)
        late |= {number} if grid.late > before else set()
    placed += grid.finish(0.0)
    for slot, image in placed:
        if image is not None and (number := int(image[0, 0, 0])):
            nearest = math.floor(times_s[number] * FPS + 0.5)
            assert slot > nearest - 1 if number in late else abs(slot / FPS - times_s[number]) <= 0.5 / FPS + 1e-9


@steady
@given(
    speed=st.floats(0.998, 1.002),
    chunks=st.lists(st.tuples(st.integers(32, 800), st.floats(0, 0.04)), min_size=1, max_size=80),
    first=st.integers(0, 2**40),
)
def test_jitter_and_drift_never_tear_the_sound(speed: float, chunks: list[tuple[int, float]], first: int) -> None:
    axis, index, start = SoundAxis(50.0, RATE), first, None
    for count, jitter_s in chunks:
        end_s = 50.0 + (index + count - first) / (RATE * speed)
        place = axis.place(index, count, end_s + jitter_s)
        start = place if start is None else start
        assert place - start == index - first
        index += count


@steady
@given(before=st.integers(1, 30), hole_s=st.floats(0.15, 600), after=st.integers(40, 60))
def test_after_any_hole_the_sound_lies_where_the_clock_says(before: int, hole_s: float, after: int) -> None:
    axis, chunk = SoundAxis(0.0, RATE), RATE // 50
    for k in range(before):
        axis.place(k * chunk, chunk, (k + 1) / 50)
    for k in range(before, before + after):
        place = axis.place(k * chunk, chunk, hole_s + (k + 1) / 50)
    assert place / RATE == np.float64(place / RATE)
    assert abs(place / RATE - (hole_s + (before + after - 1) / 50)) < 0.1


LEAVES: dict[Any, st.SearchStrategy] = {
    NoneType: st.none(),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    int: st.integers(-(2**63), 2**63 - 1),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    bytes: st.binary(max_size=20),
}


def any_of(kind: Any) -> st.SearchStrategy:
    """Any value of a type that messages are made of."""
    if kind in LEAVES:
        return LEAVES[kind]
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        if others == [...]:
            return st.lists(any_of(first), max_size=3).map(tuple)
        return st.tuples(*map(any_of, (first, *others)))
    if isinstance(kind, UnionType):
        return st.one_of(*map(any_of, get_args(kind)))
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return st.builds(kind, **{name: any_of(hint) for name, hint in get_type_hints(kind).items()})


@steady
@given(state=any_of(ShowState))
def test_any_state_survives_the_log(state: ShowState) -> None:
    assert state_from_json(json.loads(json.dumps(state_to_json(state)))) == state
    assert state_from_json(msgspec.json.decode(to_json(state_to_json(state)))) == state


@steady
@given(text=st.text(st.characters() | st.integers(0xD800, 0xDFFF).map(chr)))
def test_any_text_can_be_logged(text: str) -> None:
    kept = msgspec.json.decode(to_json({"text": text}))["text"]
    assert len(kept) == len(text)
    assert all(a == b or (b == "?" and 0xD800 <= ord(a) <= 0xDFFF) for a, b in zip(text, kept, strict=True))
