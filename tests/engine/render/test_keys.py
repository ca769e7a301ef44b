"""Keys as OSC addresses."""

from __future__ import annotations

import pytest

from engine.core.messages import ShowState
from engine.render.keys import VIEW, show_command


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("SPACE", ("/tpos/freeze", (True,))),
        ("B", ("/tpos/blackout", (True, 0.5))),
        ("R", ("/tpos/record", (True,))),
        ("_1", ("/tpos/cue", (1,))),
        ("NUM_9", ("/tpos/cue", (9,))),
        ("L", ("/tpos/midi/learn", ("next",))),
        ("K", ("/tpos/midi/learn", ("back",))),
        ("W", ("/tpos/midi/save", ())),
        ("_0", None),
        ("X", None),
        ("NUMLOCK", None),
    ],
)
def test_keys(key, said):
    assert show_command(key, ShowState()) == said


@pytest.mark.parametrize(
    ("key", "state"),
    [("SPACE", ShowState(freeze=True)), ("B", ShowState(blackout=True)), ("R", ShowState(recording=True))],
)
def test_toggles_say_the_opposite(key, state):
    said = show_command(key, state)
    assert said is not None
    assert said[1][0] is False


def test_no_key_means_two_things():
    assert not [key for key in VIEW if show_command(key, ShowState())]
