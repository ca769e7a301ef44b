"""The inputs and outputs of this machine, PortAudio's and PulseAudio's own sources and sinks; how each is opened."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from types import ModuleType
from typing import Any

from tpos_models.errors import DeviceError, MissingPart

_BACKOFF_S = (0.25, 4.0)
"""First and longest pause between attempts to open a lost device."""

_MONITOR_WORDS = ("monitor", "loopback", "stereo mix", "what u hear", "blackhole", "soundflower", "cable output")
_PULSE = "PulseAudio"
GIVE_UP_S = 5.0
"""How long a show that ends waits for the thread that looks after a device: PortAudio may not come back from one that
hangs."""


class Direction(StrEnum):
    """Whether a device is heard or plays."""

    INPUT = "input"
    OUTPUT = "output"


_PULSE_LISTS = {Direction.INPUT: "sources", Direction.OUTPUT: "sinks"}
_PULSE_VARIABLES = {Direction.INPUT: "PULSE_SOURCE", Direction.OUTPUT: "PULSE_SINK"}


@dataclass(frozen=True, slots=True)
class Device:
    """One input or output. `index` is what `--input` and `--monitor` take."""

    index: int
    name: str
    host_api: str
    channels: int
    default_rate: int
    direction: Direction = Direction.INPUT
    is_monitor: bool = False
    """An input that hears what the machine plays."""
    is_default: bool = False
    pulse_name: str = ""
    """The PulseAudio source or sink behind it, "" for PortAudio's own devices."""


def portaudio() -> ModuleType:
    """The sounddevice module; MissingPart where the PortAudio library is not installed."""
    try:
        import sounddevice
    except OSError as error:
        raise MissingPart(
            "PortAudio is not installed, so no sound card can be heard: 'sudo apt install libportaudio2' or "
            "'brew install portaudio'; files and 'synth' work without it"
        ) from error
    return sounddevice


def refresh() -> None:
    """Make PortAudio look at the hardware again; ends every open stream of this process."""
    sd = portaudio()
    with suppress(sd.PortAudioError):  # a failed start of the last refresh left nothing to end
        sd._terminate()
    sd._initialize()


def close_stream(stream: Any) -> None:
    """End a stream at once, of a device that may be gone."""
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)


def reopen(stopping: threading.Event, shut: Callable[[], None], open_again: Callable[[], None]) -> bool:
    """Try to open a lost device until that works, True, or until `stopping` is set, False; ever less often."""
    pause_s = _BACKOFF_S[0]
    while not stopping.wait(pause_s):
        shut()
        try:
            refresh()
            open_again()
        except (DeviceError, portaudio().PortAudioError):
            pause_s = min(2 * pause_s, _BACKOFF_S[1])
        else:
            return True
    return False


def list_devices(direction: Direction = Direction.INPUT) -> list[Device]:
    """Every device of a direction, PortAudio's first, then PulseAudio's, which PortAudio cannot see one by one.

    Raises `MissingPart` where PortAudio is not installed.
    """
    sd = portaudio()
    hosts = sd.query_hostapis()
    default = sd.default.device[direction.value]
    devices = list(sd.query_devices())
    found = [
        Device(
            index=int(d["index"]),
            name=str(d["name"]),
            host_api=str(hosts[d["hostapi"]]["name"]),
            channels=_channels(d, direction),
            default_rate=int(d["default_samplerate"]),
            direction=direction,
            is_monitor=direction is Direction.INPUT and any(word in d["name"].lower() for word in _MONITOR_WORDS),
            is_default=d["index"] == default,
        )
        for d in devices
        if _channels(d, direction) > 0
    ]
    first_free = 1 + max((int(d["index"]) for d in devices), default=-1)
    return found + (_pulse_devices(direction, first_free) if _pulse_gate(found) else [])


def find_device(spec: str, direction: Direction = Direction.INPUT) -> Device:
    """The device meant by an index, a part of a name (any case), or "default". DeviceError names what is there."""
    devices = list_devices(direction)
    if spec in ("", "default"):
        matches = [d for d in devices if d.name == "default"] or [d for d in devices if d.is_default] or devices
    elif spec.isdecimal():
        matches = [d for d in devices if d.index == int(spec)]
    else:
        exact = [d for d in devices if d.name.lower() == spec.lower()]
        matches = exact or [d for d in devices if spec.lower() in d.name.lower()]
    if not matches:
        raise DeviceError(_no_such(spec, direction, devices))
    return matches[0]


def portaudio_index(device: Device) -> int:
    """PortAudio's present index of `device`; DeviceError if it is gone."""
    wanted = _pulse_gate(list_devices(device.direction)) if device.pulse_name else device
    for d in portaudio().query_devices():
        if wanted and d["name"] == wanted.name and _channels(d, device.direction) > 0:
            return int(d["index"])
    raise DeviceError(f"{device.name}: not there any more")


def aim_pulse(device: Device) -> None:
    """Point the next stream that goes through PulseAudio's ALSA device at the source or sink of `device`."""
    if device.pulse_name:
        os.environ[_PULSE_VARIABLES[device.direction]] = device.pulse_name


def _channels(listed: dict[str, Any], direction: Direction) -> int:
    return int(listed[f"max_{direction}_channels"])


def _pulse_gate(devices: list[Device]) -> Device | None:
    """The ALSA device through which PulseAudio's sources or sinks can be opened."""
    names = {d.name: d for d in devices if d.host_api == "ALSA" and not d.pulse_name}
    return names.get("pulse") or names.get("default")


def _pulse_devices(direction: Direction, first_index: int) -> list[Device]:
    try:
        listing = subprocess.run(
            ["pactl", "list", "short", _PULSE_LISTS[direction]], capture_output=True, text=True, timeout=3, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [row for line in listing.stdout.splitlines() if len(row := line.split("\t")) > 3]
    return [_pulse_device(direction, first_index + i, row[1], row[3]) for i, row in enumerate(rows)]


def _pulse_device(direction: Direction, index: int, name: str, sample_spec: str) -> Device:
    """`sample_spec` as pactl writes it: "s16le 2ch 44100Hz"."""
    _, channels, rate = sample_spec.split()
    monitor = direction is Direction.INPUT and name.endswith(".monitor")
    return Device(index, name, _PULSE, int(channels[:-2]), int(rate[:-2]), direction, monitor, pulse_name=name)


def _no_such(spec: str, direction: Direction, devices: list[Device]) -> str:
    wanted = f"no audio {direction} {spec!r}"
    if not devices:
        instead = "; give a sound file or 'synth'" if direction is Direction.INPUT else ""
        return f"{wanted}: this machine has none{instead}"
    names = [d.name for d in devices]
    near = get_close_matches(spec, names, n=3, cutoff=0.4) or names[:6]
    instead = ", a sound file or 'synth'" if direction is Direction.INPUT else ""
    return f"{wanted}; {', '.join(near)}{instead} would be accepted ('tpos devices' lists all)"
