"""What this machine has for a show, what it lacks, and what to do about it, in plain words."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import torch

from engine.audio.portaudio import list_devices
from engine.control.osc import PORT
from engine.inference.fallback import backends_on
from engine.inference.loading import passed_over, runners
from engine.recording.folders import default_root
from export.cache import cache_folder
from tpos_models.errors import TposError
from tpos_models.pocket.model import check_weights
from tpos_models.registry import POCKET, resizable

LOW_DISK_BYTES = 5 * 2**30
_TORCH = torch.__version__.partition("+")[0]
TORCH_CUDA = f"pip install torch=={_TORCH}+cu130 --index-url https://download.pytorch.org/whl/cu130"
"""On Windows PyPI's wheel is for the CPU alone; with the local version named, pip replaces it by the same torch."""


EXTRAS = {
    "midi": ("rtmidi", "MIDI"), "remote": ("uvicorn", "the page and OSCQuery"), "ndi": ("cyndilib", "NDI"),
    "link": ("aalink", "Ableton Link"),
}  # fmt: skip
"""Of a show: what each brings by name, and what that is for. `tpos outputs` has the others."""


class FindingState(StrEnum):
    """MISSING: the show runs without it; WRONG: it does not."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"


OK, MISSING, WRONG = FindingState


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    part: str
    state: FindingState
    words: str


def examine(osc_port: int = PORT) -> list[Finding]:
    """Look at every part; never raises for what it finds."""
    parts: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("audio", _audio),
        ("picture", _gl),
        ("gpu", _gpu),
        ("runner", _backends),
        ("models", _models),
        ("extras", _extras),
        ("osc port", lambda: _port(osc_port)),
        ("disk", _disk),
    ]
    findings = []
    for part, look in parts:
        try:
            findings += list(look())
        except TposError as error:
            findings.append(Finding(part, MISSING, str(error)))
    return findings


def _audio() -> Iterator[Finding]:
    inputs = [device for device in list_devices() if device.channels > 0]
    if not inputs:
        words = "no sound card with an input; the built-in soundtrack and files play: --input synth or --input FILE"
        yield Finding("audio", MISSING, words)
        return
    monitors = sum(device.is_monitor for device in inputs)
    names = ", ".join(device.name for device in inputs[:3])
    yield Finding("audio", OK, f"{len(inputs)} inputs, {monitors} of them monitors of an output: {names}")


def _gl() -> Iterator[Finding]:
    """Which OpenGL draws, and whether it draws the field of `pocket`."""
    found, words = _by_driver(
        "from engine.render.headless import open_context\n"
        "context = open_context()\n"
        "from engine.render.gl import describe\n"
        "print(describe())"
    )
    if found:
        yield Finding("picture", OK, words)
        drawn, words = _by_driver("from engine.app.field_choice import examine\nprint(examine())")
        yield Finding("field of pocket", OK, words if drawn else f"painted on the CPU; the shader fails ({words})")
    else:
        yield Finding("picture", MISSING, f"no OpenGL ({words}); recordings take the model's frames unadorned")
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        yield Finding("display", MISSING, "no screen; shows run with --headless")


def _by_driver(script: str) -> tuple[bool, str]:
    """Whether a script ends well, and the last it says: in a process of its own, for a broken driver may abort."""
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return False, "no answer in a minute"
    well = done.returncode == 0
    said = (done.stdout if well else done.stderr).strip().splitlines()
    return well, (said or ["the driver aborted"])[-1]


def _gpu() -> Iterator[Finding]:
    if torch.cuda.is_available():
        name, (major, minor) = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        yield Finding("gpu", OK, f"{name}, compute capability {major}.{minor}, {memory:.0f} GiB")
    elif torch.backends.mps.is_available():
        yield Finding("gpu", OK, "Apple GPU through Metal")
    elif torch.version.cuda is None and (card := nvidia_card()):
        lack = f"torch {torch.__version__} is built without CUDA"
        yield Finding("gpu", MISSING, f"{card} is here, {lack}; this gets one that has it: {TORCH_CUDA}")
    else:
        yield Finding("gpu", MISSING, "no GPU that torch can use; pocket plays on the CPU through ONNX Runtime")


def nvidia_card() -> str:
    """The NVIDIA card whose driver is installed, whatever torch can do with it; empty where there is none."""
    try:
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        done = None
    if done and done.returncode == 0 and done.stdout.strip():
        return done.stdout.strip().splitlines()[0]
    return "an NVIDIA card" if any(_driver_files()) else ""


def _driver_files() -> Iterator[Path]:
    """One for each card on Linux; the CUDA driver's library on Windows."""
    if sys.platform == "win32":
        library = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll"
        yield from [library] * library.is_file()
    else:
        yield from Path("/proc/driver/nvidia/gpus").glob("*")


def _backends() -> Iterator[Finding]:
    """Where each kind of model would play here, what it falls back to, and why on nothing better."""
    for part, model in (("runner of pocket", POCKET), ("runner of Stable Diffusion", "sd-turbo")):
        best, *lower = backends_on(runners(model), resizable(model))
        words = f"{best}; if that fails: {', then '.join(map(str, lower))}"
        reasons = "; ".join(passed_over(model))
        yield Finding(part, OK, f"{words}. Nothing better because {reasons}" if reasons else words)


def _models() -> Iterator[Finding]:
    try:
        yield Finding("model pocket", OK, check_weights())
    except TposError as error:
        yield Finding("model pocket", WRONG, f"{error}; reinstall the package")
    cache = cache_folder()
    writable = os.access(_existing(cache), os.W_OK)
    state, words = (OK, "") if writable else (MISSING, " cannot be written: networks are built at every start")
    yield Finding("cache", state, f"{cache}{words}")


def _extras() -> Iterator[Finding]:
    """What was installed beside the engine."""
    lacking = {extra: what for extra, (module, what) in EXTRAS.items() if find_spec(module) is None}
    here = ", ".join(what for extra, (_, what) in EXTRAS.items() if extra not in lacking) or "none"
    if not lacking:
        yield Finding("extras", OK, here)
        return
    words = f"{here}; not {', '.join(lacking.values())}: pip install 'tpos-live[{','.join(lacking)}]'"
    yield Finding("extras", MISSING, words)


def _port(port: int) -> Iterator[Finding]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            yield Finding("osc port", WRONG, f"UDP {port} is taken ({error.strerror}); choose with --osc-port")
        else:
            yield Finding("osc port", OK, f"UDP {port} on 127.0.0.1 is free")


def _disk() -> Iterator[Finding]:
    root = default_root()
    place = _existing(root)
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        yield Finding("disk", WRONG, f"{root} cannot be written; record elsewhere with --record DIR")
    elif free < LOW_DISK_BYTES:
        yield Finding("disk", WRONG, f"{root}: {free / 2**30:.1f} GiB free; an hour of recording takes about 2 GiB")
    else:
        yield Finding("disk", OK, f"{root}: {free / 2**30:.0f} GiB free")


def _existing(path: Path) -> Path:
    """The nearest folder above that exists."""
    return path if path.exists() else _existing(path.parent)
