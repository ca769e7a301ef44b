"""Further outputs as the operator has them: by name, on and off, their state in words; and sound on its way out."""

from __future__ import annotations

import time

import numpy as np
import pytest

from engine.control.addresses import parse
from engine.control.osc_status import Status, status_values
from engine.control.show import Effect, EffectKind, Show
from engine.core.hud_info import Health, HudInfo, Outlet
from engine.outputs.headless import PlainFrames
from engine.outputs.outlets import Outlets
from engine.outputs.output import Output, Picture
from engine.outputs.sound_tap import LONGEST_S, SoundReader, SoundTap
from engine.outputs.spec import OutputSpec, parse_outputs
from tpos_models.errors import DeviceError, InputError

RATE = 1000


class Beamer:
    """An output that says what it is told to say."""

    context, size, rate_hz, light = None, (64, 36), 30.0, False

    def __init__(self, name: str, opened: list[str]) -> None:
        self.name, self.health, self.closed, self._opened = name, Health(), False, opened
        opened.append(name)

    def dispatch(self) -> None:
        pass

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        self.health = Health(self.health.sent + 1)

    def close(self) -> None:
        self._opened.remove(self.name)


def outlets(opened: list[str], *said: str) -> Outlets:
    def opener(spec: OutputSpec) -> Output:
        if spec.display == 9:
            raise DeviceError("no display 9: there is 1, numbered from 0")
        return Beamer(spec.name, opened)

    made = Outlets(PlainFrames((64, 36)), parse_outputs(list(said)), opener)
    made.open()
    return made


def test_those_asked_for_are_open_but_for_those_that_are_to_be_off():
    opened: list[str] = []
    all_of_them = outlets(opened, "ndi", "window:9,off", "spout:off")
    assert opened == ["ndi"]
    assert [(one.name, one.state) for one in all_of_them.states] == [
        ("ndi", "ok"),
        ("window:9", "off"),
        ("spout", "off"),
    ]
    assert all_of_them.switch("spout", None) == "output spout on"
    assert all_of_them.switch("spout", True) == "output spout on"
    assert opened == ["ndi", "spout"]
    assert all_of_them.switch("ndi", None) == "output ndi off"
    assert opened == ["spout"]
    with pytest.raises(DeviceError, match="no display 9"):
        all_of_them.switch("window:9", True)
    with pytest.raises(InputError, match="output 'ndi:other': ndi, window:9, spout would be accepted"):
        all_of_them.switch("ndi:other", True)
    all_of_them.close()
    assert opened == []


def test_a_command_switches_one_by_its_name_and_the_look_stays():
    show = Show()
    before = show.state
    for args, on in ((("ndi", 1.0), True), (("ndi", False), False), (("ndi",), None)):
        assert show.apply(parse("/tpos/output", args)[0]) == [Effect(EffectKind.OUTPUT, "ndi", on=on)]
    assert show.state == before


def test_without_any_it_is_said_how_to_have_one():
    with pytest.raises(InputError, match="none: --output asks for them"):
        outlets([]).switch("ndi", True)


def test_one_that_was_closed_is_sent_no_more_and_is_off():
    opened: list[str] = []
    two = outlets(opened, "ndi", "spout")
    first = two.outputs[0]
    first.closed = True  # type: ignore[misc]
    two.dispatch()
    two.send(1.0, HudInfo())
    assert [one.state for one in two.states] == ["off", "ok"]
    assert [output.health.sent for output in (first, *two.outputs)] == [0, 1]


@pytest.mark.realtime
def test_its_rate_is_counted():
    one = outlets([], "ndi")
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2.5:
        one.send(1.0, HudInfo())
        time.sleep(0.02)
    sent = one.outputs[0].health.sent
    assert one.states[0].rate_hz == pytest.approx(sent / 2.5, rel=0.3)


def test_osc_tells_of_each_outlet_in_four_values():
    states = (
        Outlet("ndi", True, 29.5, Health(100, 3, watchers=1)),
        Outlet("ndi:Wall", True, 0.0, Health(trouble="hangs")),
        Outlet("window:1", False),
        Outlet("spout", True, 0.0, Health(watchers=0)),
    )
    assert status_values(Status(outlets=states), 0)["outputs"] == [
        *("ndi", "ok", 29.5, 3),
        *("ndi:Wall", "hangs", 0.0, 0),
        *("window:1", "off", 0.0, 0),
        *("spout", "unwatched", 0.0, 0),
    ]


class Ramp:
    """Sound whose sample n has the value n and was captured at n / 1000 s; the newest second before `end` is kept."""

    def __init__(self, end: int) -> None:
        self.end = end

    def raw(self, since: int) -> tuple[np.ndarray, int]:
        start = max(since, self.end - RATE)
        return np.arange(start, self.end, dtype=np.float32)[:, None], start

    def time_of(self, sample: int) -> float:
        return sample / RATE


def test_sound_goes_as_far_as_its_picture_and_nothing_twice():
    tap, sound = SoundTap(), Ramp(5000)
    reader = SoundReader(tap, RATE)
    assert reader.until(4.9, 10).size == 0, "the show has none yet"
    tap.sound = sound
    assert reader.until(4.9, 10).size == 0, "what was before is not caught up with"
    given = []
    for step in range(1, 6):
        sound.end = 5000 + 40 * step
        given.append(reader.until(4.9 + 0.04 * step, 10)[:, 0])
    assert np.array_equal(np.concatenate(given), np.arange(4900, 5100))
    assert reader.until(4.0, 10).size == 0, "a picture of before has had its sound"
    assert np.array_equal(reader.until(5.117, 10)[:, 0], np.arange(5100, 5110)), "whole chunks only"


def test_sound_that_waited_too_long_is_left_out():
    tap, sound = SoundTap(), Ramp(5000)
    tap.sound = sound
    reader = SoundReader(tap, RATE)
    reader.until(5.0, 10)
    sound.end = 7000
    late = reader.until(6.9, 10)[:, 0]
    assert len(late) == round(LONGEST_S * RATE)
    assert late[-1] == 6899
    sound.end = 100_000
    assert reader.until(50.0, 10).size == 0, "what is no longer kept cannot be had"
    assert len(reader.until(100.0, 10)) == round(LONGEST_S * RATE)
