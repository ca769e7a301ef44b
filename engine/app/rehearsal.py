"""A whole set gone through before the doors open, so that nothing is found wrong, built or compiled during the show."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from engine.app.doctor import MISSING, OK, WRONG, Finding
from engine.app.prompt_check import remarks
from engine.control import presets, set_list
from engine.control.presets import Preset
from engine.control.show import Show
from engine.core.hud_info import HudInfo
from engine.core.messages import SILENCE, ShowState
from engine.inference.loading import choose_precision, open_model
from engine.outputs.screens import open_headless
from engine.recording.folders import default_root
from export.media.writing import writing
from tpos_models.contracts import Model
from tpos_models.errors import TposError
from tpos_models.precision import Precision
from tpos_models.registry import POCKET

HOUR_BYTES = 2 * 2**30
"""What an hour of recording takes, about."""
PROBE_PX = (64, 64)


def rehearse(
    names: Sequence[str], model: str = POCKET, hours: float = 12.0, root: Path | None = None
) -> Iterator[Finding]:
    """Presets by name or path, or set lists, folders among them, gone through; never raises for what it finds.

    Every preset is read, its effects compiled and drawn, its words and those of its cues looked up; the model's
    networks are loaded, and built where they are not yet. There is to be room to record so many hours under `root`.
    """
    played: dict[str, Preset] = {}
    for name in names:
        try:
            played |= {one.name: one for one in _presets(name)}
        except TposError as error:
            yield Finding(f"preset {name}", WRONG, str(error))
    loaded = yield from _model(model)
    for preset in played.values():
        yield from _preset(preset, loaded)
    yield _room(root or default_root(), hours)


def _presets(name: str) -> tuple[Preset, ...]:
    if Path(name).expanduser().is_dir():
        return set_list.read(name)
    try:
        return (presets.load(name),)
    except TposError as error:
        try:
            return set_list.read(name)
        except TposError:
            raise error from None


def _model(name: str) -> Generator[Finding, None, Model | None]:
    begun_s = time.monotonic()
    try:
        model = open_model(name, precision=choose_precision(None, name) or Precision.AUTO)
    except TposError as error:
        yield Finding(f"model {name}", WRONG, str(error))
        return None
    yield Finding(f"model {name}", OK, f"ready to play in {model.precision} after {time.monotonic() - begun_s:.0f} s")
    return model


def _preset(preset: Preset, model: Model | None) -> Iterator[Finding]:
    part, show = f"preset {preset.name}", Show(preset)
    states = [show.state]
    for _ in preset.cues:
        show.command("/tpos/cue/go", (True,))
        states.append(show.current())
    troubles = [(WRONG, trouble) for trouble in _drawn(states[0])]
    if absent := presets.not_loaded(preset, states[0]):
        troubles.append((MISSING, absent))
    if model is not None:
        said = dict.fromkeys(line for state in states for line in remarks(model, state.prompts, state.steps))
        troubles += [(MISSING, line) for line in said]
    for state, trouble in troubles:
        yield Finding(part, state, trouble)
    if not troubles:
        yield Finding(part, OK, f"{len(preset.cues)} cues, {len(preset.isf)} effects of its own")


def _drawn(state: ShowState) -> Iterator[str]:
    """Draw a state's effects once; what a driver refuses of them."""
    try:
        with open_headless(PROBE_PX) as screen:
            screen.show_placeholder(np.zeros((*PROBE_PX, 3), np.uint8))
            redrawn = screen.redraw(lambda: SILENCE, state, 0.0, HudInfo(), False)
    except TposError as error:
        yield str(error)
        return
    if redrawn.trouble:
        yield redrawn.trouble


def _room(root: Path, hours: float) -> Finding:
    root = root.expanduser()
    try:
        with writing(root):
            root.mkdir(parents=True, exist_ok=True)
            probe = root / ".tpos-probe"
            probe.write_bytes(b"tpos")
            probe.unlink()
            free = shutil.disk_usage(root).free
    except TposError as error:
        return Finding("recordings", WRONG, f"{error}; record elsewhere with --record DIR")
    words = f"{root}: room for {free / HOUR_BYTES:.0f} hours, {hours:g} are needed"
    return Finding("recordings", OK if free >= hours * HOUR_BYTES else WRONG, words)
