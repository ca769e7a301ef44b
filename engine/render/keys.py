"""What the keys do: most say what an OSC address says, so keys and OSC share one path; the rest concern the window."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from engine.core.messages import ShowState

Command = Callable[[str, tuple], None]
"""Takes an OSC address and its arguments: ("/tpos/freeze", (True,))."""

BLACKOUT_FADE_S = 0.5

HELP: tuple[tuple[str, str], ...] = (
    ("?", "this list; any key closes it"),
    ("F  F11", "fullscreen"),
    ("M", "next monitor"),
    ("H", "head-up display"),
    ("Space", "freeze"),
    ("B", "blackout"),
    ("R", "record"),
    ("S  N", "snapshot, a burst of 8"),
    ("T", "tap the tempo"),
    ("1 ... 9", "cue"),
    ("Left  Right", "cue back, next cue"),
    ("PgUp  PgDn", "preset back, next of the set"),
    ("P", "safe look, and back"),
    ("L  K", "MIDI learn: next, back"),
    ("W", "save the MIDI map"),
    ("G", "map this window (--venue)"),
    ("Q  Esc", "quit, press twice"),
)
"""(keys, what they do): all of them, as the help overlay lists them."""


class View(Enum):
    """What the window itself does."""

    FULLSCREEN = auto()
    MONITOR = auto()
    HUD = auto()
    HELP = auto()
    QUIT = auto()


VIEW = {
    "F": View.FULLSCREEN,
    "F11": View.FULLSCREEN,
    "M": View.MONITOR,
    "H": View.HUD,
    "QUESTION": View.HELP,
    "SLASH": View.HELP,
    "F1": View.HELP,
    "Q": View.QUIT,
    "ESCAPE": View.QUIT,
}
"""Key to what the window itself does. Where `?` is Shift and `/`, some systems report the key without its shift."""


def show_command(key: str, state: ShowState) -> tuple[str, tuple] | None:
    """The OSC address and arguments that a key stands for, None when it is no command to the show.

    `key` is pyglet's name of it ("SPACE", "_1", "NUM_1"); toggles say the opposite of what `state` is.
    """
    if key.removeprefix("NUM").startswith("_") and key[-1] in "123456789":
        return "/tpos/cue", (int(key[-1]),)
    match key:
        case "SPACE":
            return "/tpos/freeze", (not state.freeze,)
        case "B":
            return "/tpos/blackout", (not state.blackout, BLACKOUT_FADE_S)
        case "R":
            return "/tpos/record", (not state.recording,)
        case "S":
            return "/tpos/snapshot", ()
        case "N":
            return "/tpos/snapshot/burst", ()
        case "T":
            return "/tpos/tempo/tap", ()
        case "L":
            return "/tpos/midi/learn", ("next",)
        case "K":
            return "/tpos/midi/learn", ("back",)
        case "W":
            return "/tpos/midi/save", ()
        case "P":
            return "/tpos/safe", (not state.safe,)
        case "PAGEUP":
            return "/tpos/set/back", ()
        case "PAGEDOWN":
            return "/tpos/set/next", ()
        case "LEFT":
            return "/tpos/cue/back", ()
        case "RIGHT":
            return "/tpos/cue/go", ()
    return None
