"""What the command line asks for, checked once before any work starts."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from engine import presets
from engine.show import Show, parse_prompts
from engine.types import ShowState
from tpos_models.errors import InputError
from tpos_models.guidance import TIERS

MAX_SIDE_PX = 8192
DEFAULT_PRESET = "default"


@dataclass(frozen=True)
class LookOptions:
    """The options every playing command shares; None leaves a setting to the preset."""

    model: str = "pocket"
    preset: str = DEFAULT_PRESET
    prompt: str | None = None
    seed: int | None = None
    guidance: str | None = None
    amount: float | None = None
    motion: float | None = None
    steps: int | None = None
    agc: bool = True

    def __post_init__(self) -> None:
        if self.guidance not in (None, "auto", *TIERS):
            raise InputError(f"--guidance {self.guidance}: auto, {', '.join(TIERS)} would be accepted")
        for name in ("amount", "motion"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"--{name} {value:g}: 0 to 1 would be accepted")
        if self.seed is not None and not 0 <= self.seed <= presets.MAX_SEED:
            raise InputError(f"--seed {self.seed}: 0 to {presets.MAX_SEED} would be accepted")
        if self.steps is not None and not 1 <= self.steps <= 8:
            raise InputError(f"--steps {self.steps}: 1 to 8 would be accepted")

    def build_show(self, base: ShowState | None = None) -> tuple[Show, list[str]]:
        """The show with its preset and these overrides, and the troubles of presets that do not load."""
        library, troubles = presets.library()
        show = Show(presets.load(self.preset), library, base)
        changes = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("model", "preset", "prompt")}
        changes = {name: value for name, value in changes.items() if value is not None}
        if self.prompt is not None:
            changes["prompts"] = parse_prompts(self.prompt)
        show.set(**changes)
        return show, troubles


def parse_size(text: str) -> tuple[int, int]:
    """ "1280x720" -> (1280, 720); raises `InputError`."""
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if not match:
        raise InputError(f"--size {text}: WIDTHxHEIGHT in pixels would be accepted, such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if not (16 <= width <= MAX_SIDE_PX and 16 <= height <= MAX_SIDE_PX):
        raise InputError(f"--size {text}: 16 to {MAX_SIDE_PX} pixels a side would be accepted")
    return width, height


def parse_channels(text: str) -> tuple[int, ...]:
    """ "3,4" -> (3, 4), counted from 1 as on the mixer; raises `InputError`."""
    try:
        channels = tuple(int(part) for part in text.split(","))
    except ValueError:
        channels = ()
    if not channels or min(channels) < 1:
        raise InputError(f"--channels {text}: channel numbers from 1 would be accepted, such as 3,4")
    return channels


def positive(name: str, value: float) -> float:
    """`value` if it is more than 0; raises `InputError`."""
    if not value > 0:
        raise InputError(f"--{name} {value:g}: more than 0 would be accepted")
    return value
