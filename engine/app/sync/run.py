"""`tpos sync` as a whole: play the test on this machine, listen for it, read films of it, and keep what was found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.app.sync.film import read_film
from engine.app.sync.latencies import keep, latencies_file
from engine.app.sync.loopback import Clicks, Echo
from engine.app.sync.signal import FIRST_S, PERIOD_S, Apart, stamp
from engine.audio.devices import DeviceSource
from engine.audio.playback import open_playback
from engine.audio.portaudio import find_device
from engine.core.clock import Clock, WallClock
from engine.core.signals import ended_by_signals
from engine.render.pacing import redraw_loop
from tpos_models.errors import DeviceError, MissingPart, RunError

HEADLESS_S = 15.0
HEADLESS_HZ = 30.0


@dataclass(frozen=True)
class SyncOptions:
    """What `tpos sync` was asked for; without `seconds` a window stays until it is closed.

    Without `input` it listens to the default one, where there is one, and minds not if it hears nothing.
    """

    input: str | None = None
    channels: tuple[int, ...] = ()
    monitor: str | None = None
    headless: bool = False
    fullscreen: bool = False
    display: int = 0
    seconds: float | None = None


@dataclass
class Report:
    """What was found: `values` for --json, `lines` for people."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def keep(self, **measured_ms: float) -> None:
        """Keep numbers on this machine, and say so."""
        known = keep(**measured_ms)
        self.values |= {"display_ms": known.display_ms, "loopback_ms": known.loopback_ms}
        self.lines.append(
            f"kept in {latencies_file()}: display {known.display_ms:g} ms, loopback {known.loopback_ms:g} ms"
        )


class _Screen:
    """Who is asked for events where there is no window."""

    closed = False

    def dispatch(self) -> None:
        """There are none."""


def measure_film(path: Path) -> Report:
    """Read a film of the test and keep how late its flashes are. Raises what `read_film` and `keep` raise."""
    filmed = read_film(path)
    report = Report({"film": asdict(filmed)})
    slowed = f", {filmed.slowed:.3g} times slowed" if filmed.slowed != 1.0 else ""
    report.lines.append(
        f"{path}{slowed}: flashes are seen {_spoken(filmed.picture)} than clicks are heard; "
        f"a picture every {1000 * filmed.frame_s:.1f} ms"
    )
    report.keep(display_ms=1000 * filmed.picture.late_s)
    return report


def play_test(options: SyncOptions, notify: Callable[[str], None]) -> Report:
    """Flash and click until the time is over or the window is closed; keep how late the clicks came back, if they did.

    Raises DeviceError for a device that is not there, and where there is neither screen nor sound; RunError where an
    input that was asked for heard nothing; InputError where what it heard does not agree.
    """
    clock = WallClock()
    clicks, echo = Clicks(clock), _listen(options)
    playback = open_playback(clicks, options.monitor)
    if playback is None and options.headless:
        raise DeviceError("no sound output to click on, and no window to flash in; one of them would be accepted")
    with ExitStack() as stack:
        if playback is not None:
            stack.callback(playback.close)
            playback.start()
        if echo is not None:
            stack.enter_context(echo.source)
        stack.enter_context(clicks)
        notify(f"clicks on {playback.device.name if playback else 'nothing: this machine has no sound output'}"
               f"{f'; {echo.source.name} listens' if echo else ''}")  # fmt: skip
        flashes = _play(options, clock, clicks, echo)
    if playback is not None and playback.trouble:
        raise DeviceError(playback.trouble)
    report = Report({"flashes": flashes, "loopback": None}, [f"{flashes} flashes and clicks"])
    if echo is not None:
        _say_echo(report, echo, options, clicks.began_s or 0.0, flashes)
    return report


def _listen(options: SyncOptions) -> Echo | None:
    try:
        return Echo(DeviceSource(find_device(options.input or "default"), options.channels))
    except (DeviceError, MissingPart):
        if options.input is None:
            return None
        raise


def _play(options: SyncOptions, clock: Clock, clicks: Clicks, echo: Echo | None) -> int:
    """Draw and listen; how many flashes there were."""
    seconds = options.seconds or (HEADLESS_S if options.headless else None)

    def played_s() -> float:
        return 0.0 if clicks.began_s is None else clock.now() - clicks.began_s

    def follow(now_s: float) -> None:
        clicks.follow()
        if echo is not None:
            echo.follow()

    with ended_by_signals() as stopping, ExitStack() as stack:

        def over() -> bool:
            return stopping.is_set() or (seconds is not None and played_s() >= seconds)

        if options.headless:
            redraw_loop(_Screen(), follow, clock, HEADLESS_HZ, over)
        else:
            from engine.app.sync.card import draw_card
            from engine.core.messages import ShowState
            from engine.render import gl
            from engine.render.window import open_window

            window = open_window(lambda *said: None, ShowState, fullscreen=options.fullscreen, display=options.display)
            stack.callback(window.close)

            def redraw(now_s: float) -> None:
                follow(now_s)
                window.switch_to()
                gl.use_screen(window.size)
                draw_card(stamp(now_s - clicks.began_s if clicks.began_s else 0.0), window.size)
                window.flip()

            redraw_loop(window, redraw, clock, window.rate_hz, over)
    return max(0, int((played_s() - FIRST_S) / PERIOD_S) + 1)


def _say_echo(report: Report, echo: Echo, options: SyncOptions, began_s: float, flashes: int) -> None:
    found = echo.measure(began_s)
    if found is None:
        silent = f"{echo.source.name}: none of {flashes} clicks was heard"
        accepted = "an input that hears the output would be accepted: its monitor, or a microphone before a loudspeaker"
        if options.input is not None:
            raise RunError(f"{silent}; {accepted}")
        report.lines.append(f"{silent}; the loopback stays as it was")
        return
    report.values["loopback"] = asdict(found)
    report.lines.append(f"{echo.source.name}: clicks come back {_spoken(found)} than devices say")
    report.keep(loopback_ms=1000 * found.late_s)


def _spoken(found: Apart) -> str:
    way = "later" if found.late_s >= 0 else "sooner"
    spread = f"+-{1000 * found.spread_s:.1f} ms, {found.count} of them"
    return f"{abs(1000 * found.late_s):.1f} ms {way} ({spread})"
