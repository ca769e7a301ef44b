"""What is kept of this machine's latencies, and the beat that is drawn and the changes that are made so much sooner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.app.stats import Tally
from engine.app.sync.landing import Landing
from engine.app.sync.latencies import Latencies, keep, latencies_file, read_latencies
from engine.audio.capture import Capture
from engine.audio.devices import DeviceSource
from engine.audio.sources import Source, SynthSource
from engine.control.show import Show
from engine.core.beat_grid import ClockSource, Quantise
from engine.core.clock import VirtualClock
from engine.core.messages import SILENCE, AudioFeatures
from tpos_models.errors import PresetError

BEAT_S = 0.5
HEARD: AudioFeatures = replace(
    SILENCE, time_s=10.0, bpm=60 / BEAT_S, beat=7, beat_phase=0.9, bar=1, bar_beat=3, level=0.4
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_each_is_kept_beside_the_other(folder: Path) -> None:
    assert read_latencies() == Latencies()
    keep(display_ms=43.21)
    assert keep(loopback_ms=-3.0) == read_latencies() == Latencies(43.2, -3.0)
    assert latencies_file() == folder / "tpos" / "latencies.toml"
    assert [path.name for path in (folder / "tpos").iterdir()] == ["latencies.toml"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("display_ms = 900", r"display_ms = 900; accepted: a number -510\.\.510"),
        ("display = 9", "did you mean"),
        ("[", "not"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_line(folder: Path, text: str, words: str) -> None:
    (folder / "tpos").mkdir()
    latencies_file().write_text(text)
    with pytest.raises(PresetError, match=words):
        read_latencies()


@pytest.mark.parametrize(
    ("latencies", "heard", "lead_s"),
    [
        (Latencies(43, 12), True, 0.055),  # the input is late, too
        (Latencies(43, 12), False, 0.043),  # what is played, or another clock's beat, is not
        (Latencies(-80, 12), True, -0.068),  # loudspeakers later than the screen
        (Latencies(0, 12), True, 0.0),  # nothing is known of the display
    ],
)
def test_the_lead_is_what_the_display_and_the_input_are_late(latencies: Latencies, heard: bool, lead_s: float) -> None:
    assert latencies.lead_s(heard) == pytest.approx(lead_s)


def source(live: bool) -> Source:
    return object.__new__(DeviceSource) if live else SynthSource(VirtualClock())


@pytest.mark.parametrize(
    ("live", "clock", "lead_s"),
    [(True, ClockSource.EAR, 0.1), (True, ClockSource.LINK, 0.06), (False, ClockSource.EAR, 0.06)],
)
def test_a_show_draws_its_beat_sooner_and_changes_sooner(
    folder: Path, monkeypatch: pytest.MonkeyPatch, live: bool, clock: ClockSource, lead_s: float
) -> None:
    keep(display_ms=60, loopback_ms=40)
    show, now = Show(), VirtualClock(10.02)
    capture = Capture(SynthSource(now), now)
    monkeypatch.setattr(capture, "source", source(live))
    heard = replace(HEARD, clock=clock)
    monkeypatch.setattr(capture, "latest", lambda: heard)
    drawn = Landing(show, capture, Tally(), now).sound()
    beats = 0.9 + lead_s / BEAT_S
    assert (drawn.beat, drawn.bar, drawn.bar_beat) == (8, 2, 0)
    assert drawn.beat_phase == pytest.approx(beats - 1)
    assert (drawn.time_s, drawn.level) == (10.0, 0.4)  # what is heard cannot be foretold
    assert show.bar_line.coming().later_s == pytest.approx(0.02 + lead_s)
    assert show.bar_line.coming().line(Quantise.BAR) == 2


def test_where_the_sound_is_later_than_the_screen_the_beat_waits_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(display_ms=-475)
    now = VirtualClock(10.02)
    capture = Capture(SynthSource(now), now)
    monkeypatch.setattr(capture, "latest", lambda: replace(HEARD, bar=2, bar_beat=0, beat=8))
    drawn = Landing(Show(), capture, Tally(), now).sound()
    assert (drawn.beat, drawn.bar, drawn.bar_beat) == (7, 1, 3)
    assert drawn.beat_phase == pytest.approx(0.95)
