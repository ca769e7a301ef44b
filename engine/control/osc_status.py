"""What the show reports over OSC: ten times a second, and with each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.control.cue_stack import NOWHERE, Stack
from engine.control.midi.view import MidiView
from engine.core.hud_info import MappingView, Outlet
from engine.core.messages import SILENCE, AudioFeatures, Heard

SHOWN_TEXT = 500
ERROR, PREFIX = "/tpos/error", "/tpos/status/"


@dataclass(frozen=True, slots=True)
class Status:
    """What the show reports ten times a second; see `STATUS` for units."""

    fps: float = 0.0
    delay_ms: float = 0.0
    sound: AudioFeatures = SILENCE
    """The newest hop's."""
    heard: tuple[Heard, ...] = ()
    prompt: str = ""
    stack: Stack = NOWHERE
    recording: bool = False
    state: str = "ok"
    """As `SoundState`, or "starting", "frozen", "blackout", "finishing" a recording, or trouble in words."""
    model: str = ""
    """What the model runs on, and its precision."""
    ladder: tuple[int, int] = (1, 1)
    """Which of the ways to run the model that is, from 1, the best, and how many there are."""
    restarts: int = 0
    dropped: int = 0
    """Pictures that a recording had no time for, and losses of sound."""
    message: str = ""
    """The line that the operator is to read now."""
    midi: MidiView | None = None
    """Controllers, for those who teach them from afar; None where nobody listens to any."""
    outlets: tuple[Outlet, ...] = ()
    mapping: MappingView | None = None
    """For those who map outputs from afar; None where there is no venue."""


STATUS: tuple[tuple[str, str, str], ...] = (
    ("fps", "f", "Sampled frames per second."),
    ("delay_ms", "f", "From the newest sound in a frame to the frame."),
    ("level", "f", "Loudness after gain, 0..1."),
    ("beat", "i", "Beats counted: changes at each beat."),
    ("bpm", "f", "Tempo, 0 while unknown."),
    ("clock", "s", "Whose beat it is: link, midi, tap or ear."),
    ("bar", "i i", "Bars counted: changes at each downbeat; and the beat of the bar, from 1."),
    ("section", "s i", "none, breakdown, build or drop; and sections counted: changes when one begins."),
    ("breakdown", "f", "1 through a breakdown."),
    ("build", "f", "Rises through a build-up."),
    ("drop", "f", "1 at the drop, gone four bars later."),
    ("heard", "s f ...", "What the sound resembles, strongest first, then each stem (NAME: phrase): phrase, weight."),
    ("prompt", "s", "The prompts on screen."),
    ("preset", "s", "The running preset."),
    ("cue", "i", "The current cue from 1, 0 before the first."),
    ("cues", "s ...", "Names of the preset's cues in order."),
    ("follow", "f", "Seconds until the next cue follows by itself, 0 where none does."),
    ("waits", "s", "The line of the music that a change of look waits for, or none."),
    ("set", "i s ...", "Place in the set list from 1, 0 before its first; and its presets in order."),
    ("recording", "i", "1 while recording: there is a folder, and it grows."),
    (
        "state",
        "s",
        "starting, ok, silence, clipping, lost, frozen, blackout, finishing (a recording), or what is wrong.",
    ),
    ("model", "s", "What the model runs on, and its precision; changes where a backend fails."),
    ("ladder", "i i", "Which way of running the model that is, 1 the best, and how many there are: higher is hotter."),
    ("restarts", "i", "How often the model was started anew."),
    ("dropped", "i", "Pictures that a recording had no time for, and losses of sound."),
    (
        "outputs",
        "s s f i ...",
        "Each output of `--output`: name; ok, off, unwatched or what is wrong; pictures a second; dropped so far.",
    ),
    ("message", "s", "The line that the operator is to read now, or none."),
    ("heartbeat", "i", "Grows by one with each report."),
)

MASK = (
    "mask",
    "f f f",
    "With each frame (blend tier apart) while `/tpos/mask` is on or `/tpos/shader/local` above 0: where the sound is "
    "drawn. Its middle, x from the left and y from the top, and its share of the picture, each 0..1.",
)


def mask_values(mask: np.ndarray) -> list[float]:
    """The arguments of `/tpos/status/mask`: centre of mass and mean of (h, w) in 0..1; if empty, the middle."""
    total = float(mask.sum())
    if total == 0:
        return [0.5, 0.5, 0.0]
    x, y = ((np.arange(n) + 0.5) / n for n in mask.shape[::-1])
    return [float(mask.sum(0) @ x) / total, float(mask.sum(1) @ y) / total, total / mask.size]


def status_values(status: Status, heartbeat: int) -> dict[str, list[Any]]:
    """The arguments of every `/tpos/status/...` message."""
    sound, stack = status.sound, status.stack
    outputs = [
        value for o in status.outlets for value in (shown(o.name), shown(o.state), float(o.rate_hz), o.health.dropped)
    ]
    heard = [value for h in status.heard for value in (shown(h.phrase), float(h.weight))]
    return {
        "fps": [float(status.fps)],
        "delay_ms": [float(status.delay_ms)],
        "level": [float(sound.level)],
        "beat": [int(sound.beat)],
        "bpm": [float(sound.bpm)],
        "clock": [str(sound.clock)],
        "bar": [int(sound.bar), sound.bar_beat + 1],
        "section": [str(sound.section), sound.sections],
        "breakdown": [float(sound.breakdown)],
        "build": [float(sound.build)],
        "drop": [float(sound.drop)],
        "heard": heard or ["", 0.0],
        "prompt": [shown(status.prompt)],
        "preset": [shown(stack.preset)],
        "cue": [stack.cue + 1],
        "cues": [shown(name) for name in stack.cues] or [""],
        "follow": [float(stack.follow_s)],
        "waits": [stack.waits],
        "set": [stack.place + 1, *(shown(name) for name in stack.order)],
        "recording": [int(status.recording)],
        "state": [shown(status.state)],
        "model": [shown(status.model)],
        "ladder": [*status.ladder],
        "restarts": [status.restarts],
        "dropped": [status.dropped],
        "outputs": outputs or ["", "off", 0.0, 0],
        "message": [shown(status.message)],
        "heartbeat": [heartbeat],
    }


def shown(text: str) -> str:
    """Text as OSC can carry it: without NUL, in one datagram."""
    return text[:SHOWN_TEXT].replace("\0", " ").encode(errors="replace").decode()


def is_own(address: str) -> bool:
    """Whether an address is this program's own voice: answering its echo would never end."""
    return address == ERROR or address.startswith(PREFIX)
