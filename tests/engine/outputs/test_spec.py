"""What `--output` takes, and when an output wants a picture."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engine.outputs.pace import Pace
from engine.outputs.registry import OUTPUTS
from engine.outputs.spec import OutputSpec, accepted, parse_output, parse_outputs
from tpos_models.errors import InputError


def test_an_output_is_asked_for_in_a_word_or_a_line():
    assert parse_output("ndi") == OutputSpec("ndi")
    assert parse_output("window:2") == OutputSpec("window", display=2)
    assert parse_output(" ndi:name=Left Wall, size=1920x1080,rate=59.94,alpha,mute,off ") == OutputSpec(
        "ndi", "Left Wall", (1920, 1080), 59.94, None, True, True, True
    )
    assert [spec.name for spec in map(parse_output, ("ndi", "ndi:name=Wall", "window:0", "window"))] == [
        "ndi",
        "ndi:Wall",
        "window:0",
        "window",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("beamer", "window, operator, ndi, spout, syphon would be accepted"),
        ("", "would be accepted"),
        ("ndi:name=", "name: a name that is not empty would be accepted"),
        ("ndi:display=1", "ndi takes name=, size=, rate=, alpha, mute, off; not 'display'"),
        ("window:rate=30", "window takes display=, size=, off; not 'rate'"),
        ("ndi:alpha=1", "alpha alone would be accepted"),
        ("ndi:rate=0", "rate: 1 to 240 pictures a second would be accepted"),
        ("ndi:rate=nan", "rate: 1 to 240"),
        ("ndi:size=8x8", "size: WIDTHxHEIGHT, 16 to 8192 pixels a side would be accepted"),
        ("ndi:size=9000x100", "16 to 8192"),
        ("ndi:size", "size: WIDTHxHEIGHT"),
    ],
)
def test_what_is_none_is_refused_in_one_line(text, line):
    with pytest.raises(InputError) as refused:
        parse_output(text)
    assert line in str(refused.value)
    assert str(refused.value).startswith("--output ")
    assert "\n" not in str(refused.value)


def test_every_kind_can_be_asked_for_and_no_other():
    assert {kind: parse_output(kind).kind for kind in OUTPUTS} == {kind: kind for kind in OUTPUTS}
    assert all("off" in accepted(kind) for kind in OUTPUTS)


def test_no_two_are_called_the_same_and_the_operator_has_one_window():
    with pytest.raises(InputError, match="--output ndi: given more than once"):
        parse_outputs(["ndi", "ndi:size=640x360"])
    assert [spec.name for spec in parse_outputs(["ndi"], operator=True)] == ["ndi", "operator"]
    assert [spec.name for spec in parse_outputs(["operator:1"], operator=True)] == ["operator:1"]


@pytest.mark.parametrize("loop_hz", [30.0, 36.0, 60.0, 144.0])
def test_a_rate_is_kept_whatever_the_loops(loop_hz):
    now = [0.0]
    pace = Pace(30.0, lambda: now[0])
    taken = []
    for n in range(round(10 * loop_hz)):
        now[0] = n / loop_hz
        if pace.due():
            taken.append(now[0])
    assert abs(len(taken) - 300) <= 2
    assert max(b - a for a, b in pairwise(taken)) < 2 / 30 + 1e-6


def test_a_loop_of_the_same_rate_that_comes_now_early_now_late_loses_nothing():
    now = [0.0]
    pace = Pace(30.0, lambda: now[0])
    taken = 0
    for n in range(300):
        now[0] = n / 30 + (0.004 if n % 3 else -0.003)
        taken += pace.due()
    assert taken == 300


def test_what_a_stall_left_out_is_not_made_up_for():
    now = [0.0]
    pace = Pace(10.0, lambda: now[0])
    assert pace.due()
    now[0] = 5.0
    taken = 0
    for n in range(100):
        now[0] = 5.0 + n / 100
        taken += pace.due()
    assert taken <= 11
