"""What the operator is told of trouble: each thing once, and not so much that nothing can be read."""

from __future__ import annotations

import pytest

from engine.app.notices import MOST_A_MINUTE, Notices, state_line
from engine.app.stats import Tally
from engine.core.messages import SoundState


class Clock:
    """A clock that is set by hand."""

    s = 0.0

    def now(self) -> float:
        return self.s

    def sleep(self, seconds: float) -> None:
        self.s += seconds


def test_two_troubles_that_take_turns_are_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    notices = Notices(Tally(), clock)
    for redraw in range(480):
        clock.s = redraw / 60
        disk = "the disk is full" if redraw % 2 else ""
        notices.standing({"sound": "the card is gone", "recording": disk})
    assert capsys.readouterr().err.splitlines() == ["tpos: the card is gone", "tpos: the disk is full"]
    assert notices.message(clock.s) == "the card is gone; the disk is full"


def test_a_source_of_trouble_that_says_something_new_each_time_is_heard_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    notices = Notices(Tally(), clock)
    for redraw in range(60 * 60):
        clock.s = redraw / 60
        notices.standing({"recording": f"{redraw} pictures were lost"})
    assert 4 <= len(capsys.readouterr().err.splitlines()) <= 8


def test_a_flood_of_trouble_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    notices = Notices(Tally(), clock)
    for number in range(1000):
        clock.s = number * 0.01
        notices.trouble(f"trouble {number}")
    assert len(capsys.readouterr().err.splitlines()) == MOST_A_MINUTE
    clock.s = 100.0
    notices.trouble("the last")
    assert capsys.readouterr().err == f"tpos: the last ({1000 - MOST_A_MINUTE} other lines of trouble were not shown)\n"


def test_the_state_says_every_trouble_and_that_the_sound_is_lost_beside_it() -> None:
    both = state_line(["", "the disk is full", "tpos-osc hangs"], "", SoundState.LOST)
    assert both == "the disk is full; tpos-osc hangs; lost"
    assert state_line(["the disk is full"], "blackout", SoundState.OK) == "the disk is full"
    assert state_line(["", ""], "blackout", SoundState.OK) == "blackout"
    assert state_line(["", ""], "blackout", SoundState.LOST) == "blackout; lost"
    assert state_line(["", ""], "finishing", SoundState.LOST) == "finishing; lost"
    assert state_line([], "", SoundState.LOST) == "lost"


def test_what_is_told_is_read_beside_what_stands(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    notices = Notices(Tally(), clock)
    for redraw in range(60):
        clock.s = redraw / 60
        if redraw == 30:
            notices.trouble("look.toml: no such key")
        notices.standing({"disk": "the disk is full"})
    assert notices.message(clock.s) == "look.toml: no such key; the disk is full"
    clock.s = 5.6
    assert notices.message(clock.s) == "the disk is full"
    clock.s = 6.1
    assert not notices.message(clock.s)
    assert len(capsys.readouterr().err.splitlines()) == 2
