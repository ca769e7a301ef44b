"""Controllers on real ports: plugged in, turned, flooded, pulled out and put back; on sockets, and on JACK where it is.

JACK's ports need `jackd` (jackd2) and python-rtmidi.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import mido
import pytest
import socket_midi
from midi_stage import NAME, turn, wait_for
from midi_stage import WireStage as Stage
from real_parts import missing

from engine.control.midi.ports import open_driver
from engine.control.midi.view import Mapped
from engine.control.show import EffectKind
from engine.core.own_thread import troubles
from tpos_models.errors import DeviceError, MissingPart

pytestmark = pytest.mark.realtime

BACK_S = 3.0


class JackController:
    """A device on JACK: what it sends and is told goes through two ports of a client with its name."""

    def __init__(self, name: str, number: int = 0) -> None:
        import rtmidi

        self.name = f"{name}:own"
        self._out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=name)
        self._out.open_virtual_port("own")

    def send(self, *messages: mido.Message) -> None:
        self.send_bytes(*(message.bytes() for message in messages))

    def send_bytes(self, *messages: list[int]) -> None:
        for message in messages:
            self._out.send_message(message)

    def unplug(self) -> None:
        if not self._out.is_deleted:
            time.sleep(0.2)  # RtMidi waits a minute for what it has not sent yet
            self._out.delete()


@pytest.fixture(scope="module")
def jack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A JACK server of our own, without a sound card."""
    if not shutil.which("jackd") or not importlib.util.find_spec("rtmidi"):
        missing("no jackd or no python-rtmidi: sudo apt-get install jackd2; pip install python-rtmidi")
    name, log = f"tpos-{os.getpid()}", tmp_path_factory.mktemp("jack") / "log"
    command = ["jackd", "--no-realtime", "-S", "-t", "5000", "-n", name, "-d", "dummy", "-p", "256"]
    with log.open("wb") as out, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JACK_DEFAULT_SERVER", name)
        patch.setenv("JACK_NO_START_SERVER", "1")
        server = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            wait_for(lambda: _answers() or server.poll() is not None)
            if server.poll() is not None:
                pytest.skip(f"jackd does not start here: {log.read_text()[-200:]}")
            yield
        finally:
            server.terminate()
            server.wait()


def _answers() -> bool:
    import rtmidi

    try:
        rtmidi.MidiIn(rtmidi.API_UNIX_JACK).delete()
    except OSError:
        return False
    return True


@pytest.fixture(params=["sockets", "jack"])
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    on_jack = request.param == "jack"
    if on_jack:
        request.getfixturevalue("jack")
    monkeypatch.setenv("MIDO_BACKEND", "mido.backends.rtmidi/UNIX_JACK" if on_jack else "socket_midi")
    with ExitStack() as stack:
        yield Stage(JackController if on_jack else socket_midi.Controller, stack)


def test_a_controller_is_found_by_its_name_and_moves_the_show_at_once(stage: Stage) -> None:
    device = stage.plug()
    hands = stage.hands("nanokontrol")
    assert [name.partition(":")[0] for name in hands.ports] == [NAME]
    stage.show.set(motion=0.0)
    for value in (1, 40, 80, 120, 60):  # motion is on the third fader of the shipped map
        device.send(turn(2, value))
        wait_for(lambda: abs(stage.show.state.motion - value / 127) < 1e-4)  # noqa: B023


def test_of_a_thousand_changes_a_second_the_last_one_lands(stage: Stage) -> None:
    device, hands = stage.plug(), stage.hands()
    assert hands.ports
    stage.show.set(motion=0.0)
    device.send(turn(2, 0))
    before, began_s = stage.show.state.revision, time.monotonic()
    for n in range(1000):
        device.send(turn(2, n % 127))
        time.sleep(max(0.0, began_s + n / 1000 - time.monotonic()))
    device.send(turn(2, 101))
    wait_for(lambda: abs(stage.show.state.motion - 101 / 127) < 1e-4)
    time.sleep(0.1)
    assert stage.show.state.motion == pytest.approx(101 / 127, abs=1e-4)
    assert stage.show.queue.counts.refused == 0
    assert stage.show.state.revision - before < 1100


def test_bursts_that_follow_each_other_are_not_each_answered(stage: Stage) -> None:
    device, hands = stage.plug(), stage.hands()
    assert hands.ports
    stage.show.set(motion=0.0)
    device.send(turn(2, 0))
    before, bursts, began_s = stage.show.state.revision, 100, time.monotonic()
    for n in range(bursts):
        device.send(*(turn(2, (5 * n + one) % 127) for one in range(5)))
        time.sleep(max(0.0, began_s + 0.006 * (n + 1) - time.monotonic()))
    wait_for(lambda: abs(stage.show.state.motion - (5 * bursts - 1) % 127 / 127) < 1e-4)
    assert stage.show.state.revision - before < 0.75 * bursts


@pytest.mark.parametrize("stage", ["jack"], indirect=True)
def test_bytes_that_are_no_message_are_passed_over(stage: Stage) -> None:
    device, hands = stage.plug(), stage.hands()
    assert hands.ports
    stage.show.set(motion=0.0)
    device.send(turn(2, 0))
    device.send_bytes([0xB0, 0xC8, 1], [0xB0, 2], [0xF4], [0xF0, 1, 2, 0xF7], [0x20, 0x30], [0xB0, 0xC8, 2])
    device.send(turn(2, 99))
    wait_for(lambda: abs(stage.show.state.motion - 99 / 127) < 1e-4)
    assert not troubles()


@pytest.mark.parametrize("stage", ["jack"], indirect=True)
def test_what_nobody_looks_at_for_seconds_is_kept_and_has_come_when_it_came(stage: Stage) -> None:
    device, driver = stage.plug(), open_driver()
    port = driver.open_input(device.name)
    try:
        began_s, sent_s = time.monotonic(), []
        for n in range(2000):
            device.send(turn(2, n % 127))
            time.sleep(max(0.0, began_s + n / 1000 - time.monotonic()))
        for value in range(5):
            time.sleep(0.06)
            sent_s.append(time.monotonic())
            device.send(turn(3, value))
        time.sleep(0.2)
        taken = port.take()
        assert len(taken) > 1900
        assert [said[1:] for said, _ in taken[-5:]] == [[3, value] for value in range(5)]
        apart_s = [before - after for (_, before), (_, after) in pairwise(taken[-5:])]
        assert apart_s == pytest.approx([after - before for before, after in pairwise(sent_s)], abs=0.03)
        assert taken[-1][1] == 0.0
    finally:
        port.close()
        driver.close()


def test_in_a_burst_an_encoder_counts_each_step_and_a_fader_meets_what_it_passes(stage: Stage, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        """
        schema = 1
        [[control]]
        cc = 16
        encoder = "twos complement"
        step = 0.01
        target = "amount"
        [[control]]
        cc = 17
        target = "motion"
        """
    )
    device, hands = stage.plug(), stage.hands(midi_map=str(own))
    assert hands.ports
    stage.show.set(amount=0.0, motion=0.5)
    before = stage.show.queue.counts.received
    for n in range(64):
        device.send(turn(16, 1), turn(17, n + 32))  # the fader begins below its parameter, and passes it
    wait_for(lambda: stage.show.state.amount == pytest.approx(0.64))
    wait_for(lambda: stage.show.state.motion == pytest.approx(95 / 127, abs=1e-4))
    assert stage.show.queue.counts.received - before < 64 + 48, "of the fader's way not every step is carried out"


def test_one_that_is_pulled_out_is_found_again_and_each_is_said_once(stage: Stage) -> None:
    device, hands = stage.plug(20), stage.hands()
    device.send(turn(2, 5))
    device.unplug()
    wait_for(lambda: not hands.ports)
    again = stage.plug(24)  # ALSA gives it another number
    assert wait_for(lambda: hands.ports) < BACK_S
    stage.show.set(motion=0.0)
    again.send(turn(2, 0), turn(2, 33))
    wait_for(lambda: abs(stage.show.state.motion - 33 / 127) < 1e-4)
    (found, _), (gone, is_trouble), (back, is_told) = stage.told
    assert (is_trouble, is_told) == (True, False)
    assert found.endswith("is listened to")
    assert NAME in gone
    assert "is gone; it is waited for" in gone
    assert back.endswith("is back")


def test_clock_start_and_position_arrive_as_a_grid_and_leave_with_it(stage: Stage) -> None:
    device = stage.plug()
    stage.hands()
    device.send(mido.Message("songpos", pos=16), mido.Message("start"))
    began_s = time.monotonic()
    for n in range(60):
        time.sleep(max(0.0, began_s + n / 48 - time.monotonic()))
        device.send(mido.Message("clock"))
    wait_for(lambda: stage.show.state.grids, 0.2)
    (grid,) = stage.show.state.grids
    assert grid.bpm == pytest.approx(120, abs=4)
    assert (grid.at(time.monotonic()) - 59 / 24) * 0.5 == pytest.approx(0.0, abs=0.030)
    assert wait_for(lambda: not stage.show.state.grids) < 1.5


def test_learning_by_osc_maps_the_next_knob_and_saving_keeps_it(stage: Stage, tmp_path: Path) -> None:
    device, hands = stage.plug(), stage.hands()
    stage.show.command("/tpos/midi/learn", ("effects.hue",))
    stage.show.command("/tpos/midi/save")
    stage.show.current()
    kinds = [(effect.kind, effect.text) for effect in stage.show.effects]
    assert kinds == [(EffectKind.LEARN, "effects.hue"), (EffectKind.SAVE_MAP, "")]
    hands.learn("effects.hue")
    wait_for(lambda: "MIDI learn: effects.hue: move a knob, press a button" in stage.lines())
    device.send(turn(90, 20), turn(90, 127))
    wait_for(lambda: stage.show.state.effects.hue == 1.0)
    wait_for(lambda: hands.view.unsaved)
    learned = Mapped("/tpos/effects/hue", "cc 90 on channel 1", "nanokontrol2")
    assert learned in hands.view.mapped
    assert hands.view.learning == ""
    hands.save()
    saved = tmp_path / "tpos" / "midi" / "nanokontrol2.toml"
    wait_for(lambda: f"saved {saved}" in stage.lines())
    wait_for(saved.is_file)
    wait_for(lambda: not hands.view.unsaved)
    text = saved.read_text()
    assert 'target = "effects.hue"' in text
    time.sleep(1.1)
    saved.write_text(text.replace("effects.hue", "effects.film"))
    wait_for(lambda: (device.send(turn(90, 0), turn(90, 99)), stage.show.state.effects.film > 0.7)[1])
    hands.forget("effects.film")
    wait_for(lambda: not any(one.address == "/tpos/effects/film" for one in hands.view.mapped))
    saved.write_text(text.replace("effects.hue", "effects.fylm"))
    wait_for(lambda: any("effects.fylm" in line and line.endswith("the map stays as it was") for line in stage.lines()))


def test_stepping_through_the_parameters_wraps_around(stage: Stage) -> None:
    hands = stage.hands()
    assert stage.lines() == [f"MIDI: no port for {NAME!r} yet, it is waited for; there: none"]
    for step in ("next", "next", "back", "back", ""):
        hands.learn(step)
    wait_for(lambda: len(stage.told) == 6)
    names = [line.split(": ")[1] for line in stage.lines()[1:]]
    assert names == ["negative", "guidance", "negative", "recording", "nothing is learned"]


def test_lights_are_told_what_other_hands_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("MIDO_BACKEND", "socket_midi")
    with ExitStack() as stack:
        stage = Stage(socket_midi.Controller, stack)
        device = stage.plug()
        stage.hands()
        seen: list[mido.Message] = []
        wait_for(lambda: (seen.extend(device.told()), seen)[1])
        stage.show.command("/tpos/freeze", (True,))
        wait_for(lambda: (seen.extend(device.told()), turn(46, 127) in seen)[1])


def test_without_the_package_the_command_that_adds_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "no_such_backend")
    with pytest.raises(MissingPart, match=r"pip install 'tpos-live\[midi\]'"):
        open_driver()


def test_a_system_without_midi_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> list[dict[str, Any]]:
        raise OSError("no sequencer")

    monkeypatch.setenv("MIDO_BACKEND", "socket_midi")
    monkeypatch.setattr(socket_midi, "get_devices", none)
    with pytest.raises(DeviceError, match="no MIDI: no sequencer; accepted: --midi off"):
        open_driver()
