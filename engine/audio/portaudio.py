"""PortAudio and PulseAudio's own list of sources: which inputs this machine has, and how each is opened."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType

from tpos_models.errors import DeviceError, MissingPart

_MONITOR_WORDS = ("monitor", "loopback", "stereo mix", "what u hear", "blackhole", "soundflower", "cable output")
_PULSE = "PulseAudio"


@dataclass(frozen=True, slots=True)
class Device:
    """One input. `index` is what `--input` takes; `is_monitor`: it hears what the machine plays."""

    index: int
    name: str
    host_api: str
    channels: int
    default_rate: int
    is_monitor: bool
    is_default: bool = False
    pulse_source: str = ""
    """The PulseAudio source behind it, "" for PortAudio's own devices."""


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


def list_devices() -> list[Device]:
    """Every input, PortAudio's first, then PulseAudio's sources, which PortAudio cannot see one by one."""
    sd = portaudio()
    hosts = sd.query_hostapis()
    default = sd.default.device[0]
    found = [
        Device(
            index=int(d["index"]),
            name=str(d["name"]),
            host_api=str(hosts[d["hostapi"]]["name"]),
            channels=int(d["max_input_channels"]),
            default_rate=int(d["default_samplerate"]),
            is_monitor=any(word in d["name"].lower() for word in _MONITOR_WORDS),
            is_default=d["index"] == default,
        )
        for d in sd.query_devices()
        if d["max_input_channels"] > 0
    ]
    first_free = 1 + max((int(d["index"]) for d in sd.query_devices()), default=-1)
    return found + (_pulse_sources(first_free) if _pulse_gate(found) else [])


def find_device(spec: str) -> Device:
    """The input meant by an index, a part of a name (any case), or "default". DeviceError names what is there."""
    devices = list_devices()
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


def portaudio_index(device: Device) -> int:
    """PortAudio's present index of `device`; DeviceError if it is gone."""
    wanted = _pulse_gate(list_devices()) if device.pulse_source else device
    for d in portaudio().query_devices():
        if wanted and d["name"] == wanted.name and d["max_input_channels"] > 0:
            return int(d["index"])
    raise DeviceError(f"{device.name}: not there any more")


def aim_pulse(device: Device) -> None:
    """Point the next stream that goes through PulseAudio's ALSA device at the source of `device`."""
    if device.pulse_source:
        os.environ["PULSE_SOURCE"] = device.pulse_source


def _pulse_gate(devices: list[Device]) -> Device | None:
    """The ALSA device through which PulseAudio's sources can be opened."""
    names = {d.name: d for d in devices if d.host_api == "ALSA" and not d.pulse_source}
    return names.get("pulse") or names.get("default")


def _pulse_sources(first_index: int) -> list[Device]:
    try:
        listing = subprocess.run(
            ["pactl", "list", "short", "sources"], capture_output=True, text=True, timeout=3, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split("\t") for line in listing.stdout.splitlines()]
    return [_pulse_device(first_index + i, row[1], row[3]) for i, row in enumerate(r for r in rows if len(r) > 3)]


def _pulse_device(index: int, name: str, sample_spec: str) -> Device:
    """`sample_spec` as pactl writes it: "s16le 2ch 44100Hz"."""
    _, channels, rate = sample_spec.split()
    monitor = name.endswith(".monitor")
    return Device(index, name, _PULSE, int(channels[:-2]), int(rate[:-2]), monitor, pulse_source=name)


def _no_such(spec: str, devices: list[Device]) -> str:
    if not devices:
        return f"no audio input {spec!r}: this machine has none; give a sound file or 'synth'"
    names = [d.name for d in devices]
    near = get_close_matches(spec, names, n=3, cutoff=0.4) or names[:6]
    return f"no audio input {spec!r}; near it: {', '.join(near)}; 'tpos devices' lists all, files and 'synth' work too"
