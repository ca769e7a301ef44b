"""Every OSC address: what can be said to the show, with which arguments, and what it changes.

Keys and the page of reference speak through the same table. A parameter of the show state has its row by itself;
written out here is what is more than one value: prompts, presets, cues, buttons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from engine.control import changes
from engine.control.arguments import Argument, CommandError, controlled
from engine.control.changes import Change
from engine.control.parameters import PARAMETERS
from engine.control.preset_keys import MAX_PROMPTS, MAX_SET
from engine.control.queue import Command, Sender
from engine.control.schema import near
from engine.core.beat_grid import MAX_FADE_S
from engine.core.hud_info import MOST_KNOTS, MOST_POINTS
from engine.core.isf import UNBOUNDED
from engine.core.messages import MAX_LORA
from engine.core.parameters import Kind, Parameter, Value

EVENT = "event"
MAPPING = "/tpos/mapping"
MOST_SNAPSHOTS = 32
"""In one burst."""


@dataclass(frozen=True, slots=True)
class Address:
    """One row of the table: `path` with N for a number from 1, `applies` names the part of the state it changes."""

    path: str
    arguments: tuple[Argument, ...]
    doc: str
    applies: str
    change: Change | None = None
    most: int = MAX_PROMPTS
    """The last N."""

    @property
    def numbers(self) -> range:
        """Every N; 0 alone where there is none."""
        return range(1, self.most + 1) if _N.search(self.path) else range(1)

    def at(self, n: int) -> str:
        """The address with its N."""
        return _N.sub(str(n), self.path)

    @property
    def is_button(self) -> bool:
        """Whether it acts when pressed, once, however long it is held."""
        return bool(self.arguments) and self.arguments[0].name == "pressed"

    def command(
        self, address: str, args: tuple[Value, ...], time_s: float = 0.0, sender: Sender | None = None
    ) -> Command:
        """A command for this row, with defaults for the arguments left out."""
        args += tuple(a.fallback for a in self.arguments[len(args) :])
        return Command(address, args, time_s, event=self.applies == EVENT or None in args, sender=sender)


_N = re.compile(r"(?<=/)N(?=/|$)")
_TEXT = Argument("text", Kind.TEXT)
_FADE = Argument("fade", Kind.FLOAT, high=MAX_FADE_S, optional=True, fallback=0.0, span=True)
_WEIGHT = Argument("value", Kind.FLOAT)
_SWITCH = Argument("on", Kind.SWITCH, optional=True)
_PRESS = Argument("pressed", Kind.SWITCH, optional=True, fallback=True)
_CUE = Argument("cue", Kind.INT, high=99)
_SAID = Argument("value", Kind.TEXT, optional=True, fallback="")
_NAME = Argument("name", Kind.TEXT)
_KNOTS = Argument("columns", Kind.INT, 0, MOST_KNOTS, optional=True, fallback=0)
_CURVE = Argument("curve", Kind.TEXT, optional=True, fallback="smooth", choices=("smooth", "straight"))
_BURST = Argument("count", Kind.INT, 1, MOST_SNAPSHOTS, optional=True, fallback=8)

_ROWS = (
    Address(
        "/tpos/prompt",
        (_TEXT, _FADE),
        "Replace all prompts, crossfading. Several at once: `a beach:0.7 | fire:0.3`.",
        "prompts",
        changes.prompt,
    ),
    Address(
        "/tpos/prompt/N/text", (_TEXT,), "Text of prompt N, 1..16; empty takes it out.", "prompts", changes.prompt_text
    ),
    Address("/tpos/prompt/N/weight", (_WEIGHT,), "Weight of prompt N, 1..16.", "prompts", changes.prompt_weight),
    Address(
        "/tpos/lora/N/strength",
        (Argument("value", Kind.FLOAT, -MAX_LORA, MAX_LORA),),
        "Strength of LoRA N, 1..16, counted as they were loaded; 0 is the plain model.",
        "loras",
        changes.lora,
    ),
    Address(
        f"{changes.ISF}NAME/INPUT",
        (
            Argument("value", Kind.FLOAT, -UNBOUNDED, UNBOUNDED, optional=True),
            *(
                Argument(n, Kind.FLOAT, -UNBOUNDED, UNBOUNDED, True, unset)
                for n, unset in (("y", 0.0), ("z", 0.0), ("w", 1.0))
            ),
        ),
        "An input of the effect in ISF of the file NAME: a number, x y of a point2D, red green blue alpha of a color, "
        "none for an event. INPUT `mix`, 0..1, is how much of it is seen.",
        "isf",
        changes.isf,
    ),
    Address(
        "/tpos/preset",
        (_NAME,),
        "Switch to a preset, by name in any case, never by path.",
        "look",
        changes.preset,
    ),
    Address("/tpos/cue/go", (_PRESS,), "Next cue.", EVENT, changes.step_cue(1)),
    Address("/tpos/cue/back", (_PRESS,), "Previous cue.", EVENT, changes.step_cue(-1)),
    Address("/tpos/cue", (_CUE,), "Cue by number from 1; 0 is the preset itself.", "cue", changes.cue),
    Address("/tpos/cue/name", (_NAME,), "Cue by name, in any case.", "cue name", changes.cue_named),
    Address("/tpos/set/next", (_PRESS,), "Next preset of the set list.", EVENT, changes.step_set(1)),
    Address("/tpos/set/back", (_PRESS,), "Previous preset of the set list.", EVENT, changes.step_set(-1)),
    Address(
        "/tpos/set",
        (Argument("place", Kind.INT, low=1, high=MAX_SET),),
        "Preset of the set list by its place from 1.",
        "place",
        changes.place,
    ),
    Address("/tpos/tempo/tap", (_PRESS,), "Tap the beat.", EVENT, changes.tap),
    Address("/tpos/snapshot", (_PRESS,), "Save the picture on screen.", EVENT),
    Address("/tpos/snapshot/burst", (_BURST,), "Save the next so many pictures on screen, one after the other.", EVENT),
    Address(
        "/tpos/output",
        (Argument("name", Kind.TEXT), _SWITCH),
        "Switch an output of `--output` on or off, by its name: `ndi`, `window:1`. No argument toggles.",
        EVENT,
    ),
    Address(
        "/tpos/midi/learn",
        (Argument("target", Kind.TEXT, optional=True, fallback=""), _SAID),
        "The next knob or button moved over MIDI is mapped to a parameter or an OSC address, a button to saying "
        "`value` to it; `next`, `back` step through the parameters, nothing ends it.",
        EVENT,
    ),
    Address(
        "/tpos/midi/forget",
        (Argument("target", Kind.TEXT), _SAID),
        "Nothing over MIDI moves a parameter or an OSC address any more, or says `value` to it.",
        EVENT,
    ),
    Address(
        "/tpos/midi/save",
        (_PRESS,),
        "Save the MIDI maps that something was learned into or forgotten of into your folder.",
        EVENT,
    ),
    Address(
        MAPPING,
        (Argument("output", Kind.TEXT, optional=True, fallback=""),),
        "Set up how an output lies on the wall, by its name: `first`, `window:1`, `ndi:Wall`; none ends that.",
        EVENT,
    ),
    Address(
        f"{MAPPING}/point/N",
        (Argument("x", Kind.FLOAT, -1.0, 2.0), Argument("y", Kind.FLOAT, -1.0, 2.0)),
        "Put its point N there, in fractions of the output from its top left: 1..4 are its corners, clockwise, the "
        "others its mesh's, row by row.",
        "mapping",
        most=MOST_POINTS,
    ),
    Address(
        f"{MAPPING}/choose", (Argument("point", Kind.INT, 1, MOST_POINTS),), "Choose the point that is nudged.", EVENT
    ),
    Address(
        f"{MAPPING}/nudge",
        (Argument("right", Kind.FLOAT, -100, 100), Argument("down", Kind.FLOAT, -100, 100)),
        "Move the chosen point by so many pixels of the output.",
        EVENT,
    ),
    Address(
        f"{MAPPING}/mesh",
        (_KNOTS, replace(_KNOTS, name="rows"), _CURVE),
        "Bend it by a mesh of so many points a side, which keeps the shape it had; fewer than 2: not at all. Between "
        "them it is smooth (Catmull-Rom) or straight (bilinear).",
        EVENT,
    ),
    Address(f"{MAPPING}/pattern", (_SWITCH,), "A test pattern in place of the picture. No argument toggles.", EVENT),
    Address(
        f"{MAPPING}/reset",
        (_PRESS,),
        "Its corners are its own again, or where the mesh has the chosen point, that is even.",
        EVENT,
    ),
    Address(f"{MAPPING}/save", (_PRESS,), "Save the venue.", EVENT),
)
_CHANGES: dict[str, tuple[Change, tuple[Argument, ...]]] = {
    "blackout": (changes.blackout, (_SWITCH, _FADE)),
    "safe": (changes.safe, (_SWITCH,)),
    "tempo_bpm": (changes.set_tempo(PARAMETERS["tempo_bpm"]), (controlled(PARAMETERS["tempo_bpm"]),)),
}
"""Parameters whose change is more than putting a value."""


def _row(parameter: Parameter) -> Address:
    change, arguments = _CHANGES.get(parameter.name, (changes.put(parameter), (controlled(parameter),)))
    toggles = " No argument toggles." if parameter.kind is Kind.SWITCH else ""
    return Address(parameter.address, arguments, parameter.doc + toggles, parameter.name.split(".")[0], change)


ADDRESSES: tuple[Address, ...] = (*_ROWS, *map(_row, PARAMETERS.values()))


def _exact() -> Iterator[tuple[str, tuple[Address, int]]]:
    for row in ADDRESSES:
        for n in row.numbers:
            yield row.at(n), (row, n)


_EXACT = dict(_exact())


def parse(
    address: str, values: Iterable[object] = (), time_s: float = 0.0, sender: Sender | None = None
) -> tuple[Command, str]:
    """A command from what was received, and a line saying what was clamped, if anything.

    Numbers and booleans are coerced into each other, and clamped. Raises CommandError for an unknown address, a wrong
    count or a wrong type.
    """
    row, _ = find(address)
    given = list(values)
    needed = sum(not a.optional for a in row.arguments)
    if not needed <= len(given) <= len(row.arguments):
        raise CommandError(address, f"{len(given)} arguments", signature(row) or "none")
    args: list[Value] = []
    clamped = ""
    for argument, value in zip(row.arguments, given, strict=False):
        try:
            args.append(argument.take(value))
        except ValueError as error:
            raise CommandError(address, str(error), signature(row)) from error
        if argument.clamps(value):
            most = args[-1]
            clamped = f"{argument.name} clamped to {most if isinstance(most, str) else f'{most:g}'}"
    if address == "/tpos/prompt" and str(args[0]).count("|") >= MAX_PROMPTS:
        clamped = f"prompts after the {MAX_PROMPTS}th left out"
    return row.command(address, tuple(args), time_s, sender), clamped


def find(address: str) -> tuple[Address, int]:
    """The table's row for an address, and its N (0 where it has none). Raises CommandError with near spellings."""
    if address.startswith(changes.ISF) and address.count("/") == 4:
        return _EXACT[f"{changes.ISF}NAME/INPUT"]
    if address not in _EXACT:
        raise CommandError(address[:100], "unknown address", _near_addresses(address[:100]))
    return _EXACT[address]


@lru_cache(256)  # a patch that floods a wrong address must not cost the show its processor
def _near_addresses(address: str) -> str:
    rows = {row.path: row for row in ADDRESSES}
    guesses = near(re.sub(r"(?<=/)\d+(?=/|$)", "N", address), rows) or [*rows][:3]
    most = max((rows[path].most for path in guesses if _N.search(path)), default=MAX_PROMPTS)
    return f"{', '.join(guesses)}; N is 1..{most}"


def signature(row: Address) -> str:
    """The arguments of an address in words."""
    return ", ".join(f"{a.name} ({a.accepted})" + (" or nothing" if a.optional else "") for a in row.arguments)
