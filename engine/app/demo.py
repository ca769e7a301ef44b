"""`tpos demo`: whatever this machine has, sound moves pictures on it, and the recording says so."""

from __future__ import annotations

from engine.app.builder import OscOptions
from engine.app.live import LiveOptions, run_live
from engine.app.options import LookOptions
from engine.app.stats import LiveSummary
from engine.audio.portaudio import list_devices
from engine.control.osc import HOST, PORT, port_is_free
from engine.core import console
from engine.recording.folders import default_root
from engine.render.window import has_screen
from tpos_models.errors import DeviceError, MissingPart

HEADLESS_S = 20.0


def run_demo(
    preset: str, seconds: float | None, headless: bool, mute: bool = False, quiet: bool = False
) -> LiveSummary:
    """Play: a window where there is a screen, else headless; a microphone if there is one, else the soundtrack.

    OSC listens where it always does, or on any free port where that one is taken.
    """
    headless = headless or not has_screen()
    options = LiveOptions(
        look=LookOptions(preset=preset),
        source=_source(),
        headless=headless,
        mute=mute,
        osc=OscOptions(port=PORT if port_is_free(HOST, PORT) else 0),
        record=default_root(),
        seconds=seconds or (HEADLESS_S if headless else None),
    )
    if not quiet:
        what = "the built-in soundtrack" if options.source == "synth" else "your microphone"
        where = f"no screen: {options.seconds:.0f} s without a window" if headless else "in a window"
        console.notify(f"demo: {what}, {where}, recording")
    try:
        return run_live(options, quiet)
    except MissingPart as error:
        if headless:
            raise
        console.notify(f"tpos: {error}; going on without a window")
        return run_demo(preset, seconds, True, mute, quiet)


def _source() -> str:
    """A microphone that opens, else the soundtrack."""
    try:
        inputs = [device for device in list_devices() if device.channels > 0 and not device.is_monitor]
    except (MissingPart, DeviceError) as error:
        console.notify(f"tpos: {error}; playing the built-in soundtrack")
        return "synth"
    return "default" if inputs else "synth"
