"""`tpos bench --hands`: how soon a hand is seen in composed pictures, on a whole headless show."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import soundfile as sf

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.options import HandsOptions, LookOptions
from engine.app.stats import LiveSummary
from engine.app.sync.latencies import read_latencies
from engine.audio import SAMPLE_RATE
from engine.bench.midi_wire import NAME, jack_controllers
from engine.bench.report import Bar, Notify
from engine.bench.running import measure_fps
from engine.bench.sender import PER_S, Sender
from engine.core.beat_grid import BeatGrid, ClockSource, Quantise
from engine.core.hud_info import Health, HudInfo
from engine.outputs.output import Picture
from tpos_models.errors import MissingPart, RunError

SIZE_PX = (320, 180)
BPM, BEATS_PER_BAR = 120.0, 4
TURNS = 5
KNOB, FLOODED = "1", "2"
"""Controllers that the map below knows."""
KNOBS_PER_S, CUES_PER_S = 3, 2
"""So many of each for a second of the measurement's length: 20 cues in the usual ten."""
SETTLED_S = 6.0
"""Until the beat has glided to the clock, and delays are known."""
SEEN_S, BEFORE_S = 1.0, 0.25
"""Until the new look is all there; and before the next is asked for, so much that none of the change is seen again."""
PATIENCE_S = 30.0
PRESET = """
schema = 1
prompts = ["a beach at noon"]
motion = 0.1
[shader]
zoom = 0.0
warp = 0.0
glow = 0.0
colour = 0.0
grain = 0.0
beat_pulse = 0.0
[[cue]]
prompts = ["a beach at noon"]
fade_s = 0.0
[[cue]]
prompts = ["a city at night"]
fade_s = 0.0
"""
MAP = f"""
schema = 1
device = "{NAME}"
takeover = "jump"
[[control]]
cc = {KNOB}
target = "effects.halftone"
[[control]]
cc = {FLOODED}
target = "shader.zoom"
"""


class Eye:
    """An output that looks at every composed picture: small, and when it was there to be seen."""

    name, light = "eye", False
    context = None
    size = SIZE_PX
    rate_hz = 0.0
    closed = False
    health = Health()

    def __init__(self) -> None:
        self.seen: deque[tuple[float, np.ndarray]] = deque(maxlen=1024)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Wait for the picture."""
        picture.ask(SIZE_PX)
        if (pixels := picture.take()) is not None:
            self.seen.append((time.monotonic(), pixels[::6, ::6].astype(np.float32)))

    def close(self) -> None:
        """There is nothing to give back."""

    def since(self, from_s: float) -> list[tuple[float, np.ndarray]]:
        """What was seen from then on."""
        return [one for one in self.seen.copy() if one[0] >= from_s]

    def redraw_s(self) -> float:
        """From picture to picture."""
        return float(np.median(np.diff([at_s for at_s, _ in self.seen.copy()])))


def measure_hands(seconds: float, model: str, precision: str | None, notify: Notify) -> list[Bar]:
    """All of it: knobs, floods of them, and cues on the bar line; `seconds` for a flood, and a few for each cue."""
    bars: list[Bar] = []
    with ExitStack() as stack:
        try:
            midi = stack.enter_context(jack_controllers())
        except MissingPart as error:
            notify(f"MIDI is not measured: {error}")
            midi = None
        with _show(model, precision, midi is not None) as (live, eye):

            def measure() -> None:
                if midi is not None:
                    bars.extend(knobs(live, eye, midi[0], notify, round(KNOBS_PER_S * seconds)))
                bars.extend(floods(live, midi, seconds / TURNS, notify))
                bars.extend(cues(live, eye, notify, round(CUES_PER_S * seconds)))

            perform(live, measure)
    return bars


@contextmanager
def _show(model: str, precision: str | None, midi: bool) -> Iterator[tuple[Live, Eye]]:
    """A headless show in silence, in two looks, with an eye on its pictures."""
    with tempfile.TemporaryDirectory() as folder:
        preset, midi_map, silence = (Path(folder) / name for name in ("look.toml", "knobs.toml", "silence.wav"))
        preset.write_text(PRESET)
        midi_map.write_text(MAP)
        sf.write(silence, np.zeros(SAMPLE_RATE), SAMPLE_RATE)
        hands = HandsOptions(midi=NAME, midi_map=str(midi_map)) if midi else HandsOptions()
        look = LookOptions(model, precision=precision, preset=str(preset), settings={"flash_limiter": False})
        options = LiveOptions(
            look=look, source=str(silence), loop=True, mute=True, headless=True, size=SIZE_PX,
            osc=OscOptions(port=0), hands=hands,
        )  # fmt: skip
        with open_live(options) as live:
            eye = Eye()
            live.screen.outlets.add(eye)
            yield live, eye


def perform(live: Live, part: Callable[[], None]) -> LiveSummary:
    """Play the show to the end of `part`, which runs beside it once it has settled; raises what that raised."""
    stopping, failures = threading.Event(), []

    def run() -> None:
        try:
            while live.tally.frames < 3 or not live.preload.over:
                if stopping.wait(0.05):
                    return
            part()
        except BaseException as error:  # noqa: BLE001 - raised by whoever asked
            failures.append(error)
        finally:
            stopping.set()

    thread = threading.Thread(target=run, name="bench-part", daemon=True)
    thread.start()
    summary = live.run(stopping)
    thread.join()
    if failures:
        raise failures[0]
    return summary


def knobs(live: Live, eye: Eye, controller: Sender, notify: Notify, count: int) -> list[Bar]:
    """From a knob's message to the first composed picture that shows it, read back."""
    notify("a knob turned to a picture")
    rng, waits = np.random.default_rng(5), []
    live.show.set(motion=0.0)
    if _patiently(lambda: _is_open(live, controller)) is None:
        raise RunError("no knob of the benchmark's own controller came through")
    for n in range(count):
        time.sleep(0.2 + float(rng.uniform(0, 0.05)))
        sent_s = time.monotonic()
        controller.turn(KNOB, 0 if n % 2 else 127)
        wait_s = _patiently(lambda: first_other(eye.since(sent_s - 1.0), sent_s))  # noqa: B023
        if wait_s is None:
            raise RunError(f"turn {n + 1} of {count} of a knob was never seen")
        waits.append(wait_s)
    most_ms = 1000 * eye.redraw_s() + 5
    return [Bar("MIDI in to a picture drawn with it, median", 1000 * float(np.median(waits)), "most", most_ms, "ms")]


def _is_open(live: Live, controller: Sender) -> float | None:
    """Whether knobs come through by now; leaves them at 0."""
    for value in (127, 0):
        controller.turn(KNOB, value)
        time.sleep(0.2)
        if live.show.state.effects.halftone != value / 127:
            return None
    return 0.0


def _patiently(look: Callable[[], float | None]) -> float | None:
    """What is found before patience is over."""
    until_s = time.monotonic() + PATIENCE_S
    while (found := look()) is None and time.monotonic() < until_s:
        time.sleep(0.05)
    return found


def first_other(seen: list[tuple[float, np.ndarray]], sent_s: float) -> float | None:
    """Seconds from a moment to the first picture that is another than before it; None where none is."""
    before = [picture for at_s, picture in seen if at_s <= sent_s]
    others = (at_s for at_s, picture in seen if at_s > sent_s and before and np.abs(picture - before[-1]).mean() > 1.0)
    return next((at_s - sent_s for at_s in others), None)


def floods(live: Live, midi: tuple[Sender, Sender] | None, turn_s: float, notify: Notify) -> list[Bar]:
    """Frames a second while a thousand changes a second come over OSC, and over MIDI, to without, turn by turn.

    Without, as many are sent to nobody: what sends them is a controller or another machine, not a part of the show.
    """
    live.show.set(motion=0.5)
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        deaf.bind(("127.0.0.1", 0))

        def sender(address: tuple[str, int]) -> Sender:
            return stack.enter_context(closing(Sender("osc", f"{address[0]}:{address[1]}")))

        clients = sender(live.engine.osc.address), sender(deaf.getsockname())
        bars = _flooded(live, "OSC", clients, "/tpos/shader/zoom", turn_s, notify)
    if midi is not None:
        bars += _flooded(live, "MIDI", midi, FLOODED, turn_s, notify)
    live.show.put({"shader.zoom": 0.0})
    return bars


def _flooded(
    live: Live, name: str, senders: tuple[Sender, Sender], what: str, turn_s: float, notify: Notify
) -> list[Bar]:
    notify(f"{PER_S} changes a second over {name}")
    (sender, unheard), ratios, landed = senders, [], 0

    def fps(flooding: Sender, last: int) -> float:
        flooding.flood(what)
        found = measure_fps(live.engine, turn_s)[0]
        flooding.turn(what, last)
        return found

    for last in range(1, TURNS + 1):
        without = fps(unheard, last)
        ratios.append(fps(sender, last) / without)
        landed += _patiently(lambda: _stands_at(live, last / 127)) is not None  # noqa: B023
    way, ratio = f"{PER_S}/s over {name}", float(np.median(ratios))
    return [
        Bar(f"{way}: last values that landed", landed, "least", TURNS, ""),
        Bar(f"{way}: frames a second over without", ratio, "least", 0.9, ""),
    ]


def _stands_at(live: Live, value: float) -> float | None:
    """The parameter that is flooded, where it has this value."""
    zoom = live.show.state.shader.zoom
    return zoom if abs(zoom - value) < 1e-3 else None


def cues(live: Live, eye: Eye, notify: Notify, count: int) -> list[Bar]:
    """When composed pictures are half-way to another look, against the bar lines of a clock, for cues at any time."""
    bar_s = BEATS_PER_BAR * 60 / BPM
    began_s = time.monotonic()
    live.show.keep_time(ClockSource.LINK, BeatGrid(ClockSource.LINK, began_s, 0.0, BPM, BEATS_PER_BAR))
    live.show.set(motion=0.1, quantise=Quantise.BAR)
    time.sleep(SETTLED_S)
    rng, late, lead_s = np.random.default_rng(6), [], read_latencies().lead_s(heard=False)
    for n in range(count):
        asked_s = time.monotonic()
        live.show.command("/tpos/cue", (1 + (n + 1) % 2,))
        _patiently(lambda: turned(eye.since(asked_s - BEFORE_S)))  # noqa: B023
        time.sleep(SEEN_S)
        changed_s = turned(eye.since(asked_s - BEFORE_S))
        bars = 0.5 if changed_s is None else (changed_s + lead_s - began_s) / bar_s  # unseen is as late as can be
        late.append((bars - round(bars)) * bar_s)
        what = "never seen" if changed_s is None else f"{1000 * late[-1]:+.0f} ms from the bar line"
        notify(f"cue {n + 1} of {count}: {what}")
        time.sleep(float(rng.uniform(0, bar_s)))
    redraw_ms, late_ms = 1000 * eye.redraw_s(), 1000 * np.array(late)
    live.show.set(quantise=Quantise.NOW)
    return [
        Bar("cue on the bar: off the line, median", float(np.median(np.abs(late_ms))), "most", redraw_ms, "ms"),
        Bar("cue on the bar: off the line, worst", float(np.abs(late_ms).max()), "most", 50.0, "ms"),
    ]


def turned(seen: list[tuple[float, np.ndarray]]) -> float | None:
    """When pictures were half-way from what the first show to what the last show; None where those are the same."""
    pictures = np.array([picture for _, picture in seen])
    before, after = (part.mean(0) for part in (pictures[:3], pictures[-3:]))
    way = after - before
    if np.abs(way).mean() < 4.0:
        return None
    gone = ((pictures - before) * way).sum((1, 2, 3)) / (way * way).sum()
    return seen[int((gone >= 0.5).argmax())][0]
