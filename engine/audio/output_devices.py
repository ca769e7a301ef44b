"""Which outputs this machine has: PortAudio's, and PulseAudio's own list of sinks."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from difflib import get_close_matches

from engine.audio.portaudio import portaudio
from tpos_models.errors import DeviceError

_PULSE = "PulseAudio"


@dataclass(frozen=True, slots=True)
class OutputDevice:
    """One output. `index` is what `--monitor` takes."""

    index: int
    name: str
    host_api: str
    channels: int
    default_rate: int
    is_default: bool = False
    pulse_sink: str = ""
    """The PulseAudio sink behind it, "" for PortAudio's own devices."""


def list_outputs() -> list[OutputDevice]:
    """Every output, PortAudio's first. Raises `MissingPart` where PortAudio is not installed."""
    sd = portaudio()
    hosts = sd.query_hostapis()
    default = sd.default.device[1]
    devices = list(sd.query_devices())
    found = [
        OutputDevice(
            index=int(d["index"]),
            name=str(d["name"]),
            host_api=str(hosts[d["hostapi"]]["name"]),
            channels=int(d["max_output_channels"]),
            default_rate=int(d["default_samplerate"]),
            is_default=d["index"] == default,
        )
        for d in devices
        if d["max_output_channels"] > 0
    ]
    first_free = 1 + max((int(d["index"]) for d in devices), default=-1)
    return found + (_pulse_sinks(first_free) if _pulse_gate(found) else [])


def find_output(spec: str) -> OutputDevice:
    """The output meant by an index, a part of a name (any case), or "default". DeviceError names what is there."""
    devices = list_outputs()
    if spec in ("", "default"):
        matches = [d for d in devices if d.name == "default"] or [d for d in devices if d.is_default] or devices
    elif spec.isdecimal():
        matches = [d for d in devices if d.index == int(spec)]
    else:
        exact = [d for d in devices if d.name.lower() == spec.lower()]
        matches = exact or [d for d in devices if spec.lower() in d.name.lower()]
    if not matches:
        raise DeviceError(_no_such(spec, devices))
    return matches[0]


def output_index(device: OutputDevice) -> int:
    """PortAudio's present index of `device`; DeviceError if it is gone."""
    wanted = _pulse_gate(list_outputs()) if device.pulse_sink else device
    for d in portaudio().query_devices():
        if wanted and d["name"] == wanted.name and d["max_output_channels"] > 0:
            return int(d["index"])
    raise DeviceError(f"{device.name}: not there any more")


def aim_output(device: OutputDevice) -> None:
    """Point the next stream that goes through PulseAudio's ALSA device at the sink of `device`."""
    if device.pulse_sink:
        os.environ["PULSE_SINK"] = device.pulse_sink


def _pulse_gate(devices: list[OutputDevice]) -> OutputDevice | None:
    """The ALSA device through which PulseAudio's sinks can be opened."""
    names = {d.name: d for d in devices if d.host_api == "ALSA" and not d.pulse_sink}
    return names.get("pulse") or names.get("default")


def _pulse_sinks(first_index: int) -> list[OutputDevice]:
    try:
        listing = subprocess.run(
            ["pactl", "list", "short", "sinks"], capture_output=True, text=True, timeout=3, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [row for line in listing.stdout.splitlines() if len(row := line.split("\t")) > 3]
    return [_pulse_device(first_index + i, row[1], row[3]) for i, row in enumerate(rows)]


def _pulse_device(index: int, name: str, sample_spec: str) -> OutputDevice:
    """`sample_spec` as pactl writes it: "s16le 2ch 44100Hz"."""
    _, channels, rate = sample_spec.split()
    return OutputDevice(index, name, _PULSE, int(channels[:-2]), int(rate[:-2]), pulse_sink=name)


def _no_such(spec: str, devices: list[OutputDevice]) -> str:
    if not devices:
        return f"no audio output {spec!r}: this machine has none"
    names = [d.name for d in devices]
    near = get_close_matches(spec, names, n=3, cutoff=0.4) or names[:6]
    return f"no audio output {spec!r}; {', '.join(near)} would be accepted ('tpos devices' lists all)"
