"""The hands of a live show, as the command line asks for them: a controller on mido's sockets, the bar, the log."""

from __future__ import annotations

import time
from pathlib import Path

import mido
import numpy as np
import pytest
import socket_midi

from engine.app import live
from engine.app.hands import Hands
from engine.app.live import LiveOptions, open_live
from engine.app.notices import Notices
from engine.app.options import HandsOptions
from engine.app.stats import Tally
from engine.control.show import Effect, EffectKind, Show
from engine.core.beat_grid import BeatGrid, ClockSource
from engine.core.clock import VirtualClock, WallClock
from engine.core.messages import ShowState
from engine.outputs.registry import OutputSettings
from engine.recording.session import LogLine, _logged_state, to_log
from engine.render.keys import show_command
from tpos_models.errors import MissingPart, PresetError


@pytest.fixture
def notices() -> Notices:
    return Notices(Tally(), WallClock())


def test_a_controller_is_heard_taught_and_let_go(
    notices: Notices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "socket_midi")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    device, show = socket_midi.Controller("Box"), Show()
    with Hands(HandsOptions(midi="auto"), show, WallClock(), notices) as hands:
        hands.carry_out(Effect(EffectKind.LEARN, "motion"))
        until_s = time.monotonic() + 20
        while "motion" not in notices.message(time.monotonic()):
            notices.collect()
            assert time.monotonic() < until_s
        device.send(*(mido.Message("control_change", control=1, value=value) for value in (63, 127)))
        while show.state.motion < 1.0:
            assert time.monotonic() < until_s
        hands.carry_out(Effect(EffectKind.SAVE_MAP))
        while not (tmp_path / "tpos" / "midi" / "box.toml").is_file():
            assert time.monotonic() < until_s
    device.unplug()


def test_without_midi_learning_says_what_would_be_accepted(
    notices: Notices, capsys: pytest.CaptureFixture[str]
) -> None:
    with Hands(HandsOptions(), Show(), WallClock(), notices) as hands:
        hands.carry_out(Effect(EffectKind.LEARN, "motion"))
    assert "accepted: --midi auto" in capsys.readouterr().err


def test_what_cannot_be_had_is_refused_before_the_show(notices: Notices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "no_such_backend")
    with pytest.raises(MissingPart):
        Hands(HandsOptions(midi="auto"), Show(), WallClock(), notices)
    monkeypatch.setenv("MIDO_BACKEND", "socket_midi")
    with pytest.raises(PresetError, match="no MIDI map is called"):
        Hands(HandsOptions(midi="auto", midi_map="nothing"), Show(), WallClock(), notices)


def test_a_tempo_is_tapped_on_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a window's keys call in a live show, half a second apart on its clock: 120 a minute."""

    class Opened(Exception):
        """Ends the show where its screen would open."""

    def keep(kind: str, settings: OutputSettings, *rest: object) -> None:
        raise Opened(settings)

    shows, sound = [], live.open_sound
    monkeypatch.setattr(live, "open_sound", lambda *given: (shows.append(given[3]), sound(*given))[1])
    monkeypatch.setattr(live, "open_screen", keep)
    clock = VirtualClock(100.0)
    with pytest.raises(Opened) as opened, open_live(LiveOptions(source="synth", mute=True), clock):
        pass
    (keys,) = opened.value.args
    for _ in range(4):
        keys.command(*(show_command("T", keys.state()) or ()))
        shows[0].current()
        clock.sleep(0.5)
    assert np.diff(keys.state().taps_s) == pytest.approx([0.5] * 3)


def test_a_sessions_log_keeps_another_clock_in_step_with_its_sound() -> None:
    """Logged 3 s after the grid was true, and read back where that moment is 10 s into the film."""
    state = ShowState(grids=(BeatGrid(ClockSource.MIDI, 500.0, 17.25, 128.0),))
    back = _logged_state(LogLine(10.0, "state", to_log(state, 503.0)), {})
    assert back.grids[0].at(10.0) == pytest.approx(17.25 + 3 * 128 / 60)
    assert back.grids[0].source is ClockSource.MIDI
