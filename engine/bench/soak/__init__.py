"""`tpos soak`: a show in a process of its own, recorded, and faults thrown at it; what it said, lost and outlived.

First every fault by itself, then, as long as there is time, two at once at random.
"""

from __future__ import annotations

import random
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.bench.report import Bar, Notify, as_dicts, hardware
from engine.bench.soak.film import av_offsets_ms, slipped_ms, write_clicks
from engine.bench.soak.outside import Outside, Receiver
from engine.bench.soak.spoken import Asked, Vitals
from engine.bench.soak.table import BACK_S, EXIT_S, FAULTS, GAP_S, LOST_S, MEMORY_MB_H, SAID_S, Fault, pairs_of
from engine.bench.soak.witness import QUIET, Size, Witness
from engine.recording import run_folder
from engine.recording.folders import video_of
from export.media.reading import read_video_info
from tpos_models.errors import InputError, MediaError

CLICKS_S = 60.0
PATIENCE_S = 30.0
"""So long at most it is waited for what does not come back."""
QUIET_S, REST_S = 12.0, 1.0
LONGEST_S = 3600.0
"""Of longer takes it is not examined how sound and picture lie: their sound would fill the memory."""
LAST = ("picture hangs", "disk stalls")
"""Under way when the show is asked to end."""


@dataclass(frozen=True)
class SoakOptions:
    """What `tpos soak` was asked for; `minutes` None: each of `faults` once."""

    model: str = "pocket"
    precision: str | None = None
    size: tuple[int, int] = (256, 256)
    minutes: float | None = None
    faults: tuple[str, ...] = tuple(fault.name for fault in FAULTS)
    seed: int = 0

    @property
    def thrown(self) -> tuple[Fault, ...]:
        """In their order."""
        return tuple(fault for fault in FAULTS if fault.name in self.faults)


def named(faults: str) -> tuple[str, ...]:
    """The faults of `--faults`: names between commas, all or none. Raises `InputError`."""
    known = tuple(fault.name for fault in FAULTS)
    if faults in ("all", "none"):
        return known if faults == "all" else ()
    names = tuple(name.strip() for name in faults.split(","))
    for name in names:
        if name not in known:
            raise InputError(f"--faults {name!r}: {', '.join(known)}, all or none would be accepted")
    return names


@dataclass
class Outcome:
    """How a show bore a fault, the worst of `times`; None where it never did within PATIENCE_S, or has nothing to."""

    fault: Fault
    gap_s: float = 0.0
    said_s: float = 0.0
    back_s: float = 0.0
    stuck: str = ""
    """What the state said long after all was well."""
    times: int = 0

    def add(self, gap_s: float, said_s: float, back_s: float, stuck: str) -> None:
        """One more."""
        self.times += 1
        self.gap_s, self.said_s = max(self.gap_s, gap_s), max(self.said_s, said_s)
        self.back_s, self.stuck = max(self.back_s, back_s), self.stuck or stuck

    @property
    def missed(self) -> int:
        """How many of the bars."""
        return sum((self.gap_s >= GAP_S, self.said_s > SAID_S, self.back_s > BACK_S, bool(self.stuck)))

    def line(self) -> str:
        """The worst, in a line."""
        said = f"said {self.said_s:.1f}" if self.fault.said else "-"
        return f"{self.fault.name}: gap {self.gap_s:.2f}, {said}, back {self.back_s:.1f} s, x{self.times}"

    def bar(self) -> Bar:
        """How many of the bars it missed."""
        return Bar(self.line(), float(self.missed), "most", 0, "missed")


@dataclass
class Soak:
    """A soak under way."""

    options: SoakOptions
    witness: Witness
    outside: Outside
    notify: Notify
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    broken_s: list[float] = field(default_factory=list)
    """Since when the film could not go on."""

    def run(self) -> None:
        """Throw everything, as long as there is time."""
        begun_s = time.monotonic()
        end_s = begun_s + 60 * self.options.minutes if self.options.minutes else float("inf")
        faults, dice = self.options.thrown, random.Random(self.options.seed)
        for number, fault in enumerate(faults, 1):
            if time.monotonic() < end_s:
                self.notify(f"{number} of {len(faults)}: {fault.name}")
                self._settle([self._throw(fault)])
        pairs = pairs_of(faults)
        while self.options.minutes and time.monotonic() < end_s:
            if not pairs:
                time.sleep(REST_S)
                continue
            pair = dice.choice(pairs)
            self.notify(f"{(time.monotonic() - begun_s) / 60:.1f} min: {' and '.join(fault.name for fault in pair)}")
            with ThreadPoolExecutor(2) as both:
                thrown = [both.submit(self._throw, fault, dice.uniform(0.0, 2.0)) for fault in pair]
                self._settle([one.result() for one in thrown])
            time.sleep(dice.uniform(0.0, 2.0))

    @contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        """A fault, from within or from without."""
        if name in self.outside.faults:
            with self.outside.faults[name]():
                yield
            return
        self.witness.begin(name)
        try:
            yield
        finally:
            self.witness.end(name)

    def _throw(self, fault: Fault, after_s: float = 0.0) -> tuple[Fault, float]:
        """Throw it; since when, once it is over."""
        time.sleep(after_s)
        begun_s, restarts = time.monotonic(), self.witness.newest.restarts
        with self.under_way(fault.name):
            until_s = begun_s + fault.seconds
            while time.monotonic() < until_s:
                if fault.until_restart and self.witness.newest.restarts > restarts:
                    break
                time.sleep(0.02)
        return fault, begun_s

    def _back_s(self) -> float:
        """How long it takes from now until everything lives."""
        over_s, before = time.monotonic(), (self.witness.newest, self.witness.heartbeat, self.outside.receiver.pictures)
        while (missing := self._missing(*before)) and time.monotonic() - over_s < PATIENCE_S:
            time.sleep(0.02)
        if missing:
            self.notify(f"no {', '.join(missing)} within {PATIENCE_S:.0f} s")
        return time.monotonic() - over_s

    def _missing(self, then: Vitals, heartbeat: int, received: int) -> list[str]:
        """What does not live again."""
        now = self.witness.newest
        alive = {
            "frames": now.frames > then.frames,
            "redraws": now.redraws > then.redraws,
            "sound": now.hop_s > then.hop_s,
            "film": now.film_s > (then.film_s if now.film == then.film else 0.0),
            "OSC": self.witness.heartbeat > heartbeat,
            "pictures at the receiver": self.outside.receiver.pictures > received,
        }
        return [part for part, lives in alive.items() if not lives]

    def _settle(self, thrown: Sequence[tuple[Fault, float]]) -> None:
        """Wait until all is well, and the state says so, and note how the faults were borne."""
        witness, back_s = self.witness, self._back_s()
        time.sleep(REST_S)
        until_s = time.monotonic() + QUIET_S
        while not witness.quiet and time.monotonic() < until_s:
            time.sleep(0.05)
        stuck = "" if witness.state in QUIET else witness.state
        if stuck:
            self.notify(f"the state still says: {stuck}")
        stopped_s = sum(fault.seconds for fault, _ in thrown if fault.stops)
        for fault, begun_s in thrown:
            if fault.breaks_off:
                self.broken_s.append(begun_s)
            tells = fault.said and not stopped_s  # nobody does who is stopped, and what fell into that never was
            said_s = (witness.said(fault.said, begun_s) or begun_s + PATIENCE_S) - begun_s if tells else 0.0
            gap_s = max(0.0, witness.gap_s(begun_s) - stopped_s)
            once = Outcome(fault)
            for outcome in (once, self.outcomes.setdefault(fault.name, Outcome(fault))):
                outcome.add(gap_s, said_s, back_s, stuck)
            if once.missed:
                self.notify(once.line())
            if once.said_s > SAID_S:
                self.notify(f"told instead: {'; '.join(witness.lines(begun_s))}")


def run_soak(options: SoakOptions, notify: Notify | None = None) -> tuple[dict[str, Any], list[str]]:
    """Play, throw, end it by SIGTERM while `LAST` is under way, and examine what it recorded."""
    notify = notify or (lambda line: None)
    with tempfile.TemporaryDirectory(prefix="tpos-soak-") as name, ExitStack() as stack:
        folder = Path(name)
        receiver = stack.enter_context(Receiver())
        surface = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        surface.bind(("127.0.0.1", 0))
        outside = Outside(folder, receiver, options.seed)
        witness = Witness(_asked(options, folder, surface, receiver), surface, _environment(folder))
        stack.callback(witness.close)
        notify("starting the show")
        witness.wait_until_up()
        outside.pid, outside.osc = witness.process.pid, ("127.0.0.1", witness.newest.osc_port)
        soak = Soak(options, witness, outside, notify)
        begun_s = time.monotonic()
        soak.run()
        ended_s = time.monotonic()
        exit_s = _ended(soak)
        notify("reading the films back")
        bars = [outcome.bar() for outcome in soak.outcomes.values()]
        bars += [Bar(f"gone after SIGTERM, {' and '.join(LAST)}", exit_s, "most", EXIT_S, "s")]
        bars += _held(witness.sizes, begun_s) + _films(soak, ended_s)
    hours = (ended_s - begun_s) / 3600
    report = {
        "hardware": hardware(),
        "minutes": 60 * hours,
        "stderr_lines_an_hour": witness.stderr / hours,
        "faults": [{**asdict(one), "fault": name} for name, one in soak.outcomes.items()],
        "stderr": [*witness.newest_lines],
        "summary": witness.summary,
        "bars": as_dicts(bars),
    }
    lines = [
        hardware(),
        *(bar.line() for bar in bars),
        f"  {witness.stderr} lines on stderr in {60 * hours:.1f} minutes",
    ]
    return report, lines


def _asked(options: SoakOptions, folder: Path, surface: socket.socket, receiver: Receiver) -> Asked:
    track = folder / "clicks.wav"
    write_clicks(track, CLICKS_S)
    (folder / "sets").mkdir()
    return Asked(
        folder=str(folder / "sets"),
        track=str(track),
        model=options.model,
        precision=options.precision,
        size=options.size,
        osc_port=surface.getsockname()[1],
        wire_port=receiver.port,
    )


def _environment(folder: Path) -> dict[str, str]:
    """No folder of the user's is touched; the keeper has one to keep into."""
    run = folder / "run"
    run.mkdir()
    own = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}
    return run_folder.environment(run) | own


def _ended(soak: Soak) -> float:
    """How long the show takes to end, the model and the disk not answering."""
    for name in LAST:
        soak.witness.begin(name)
    time.sleep(REST_S)
    return soak.witness.terminate(EXIT_S + PATIENCE_S)


def _held(sizes: Sequence[Size], begun_s: float) -> list[Bar]:
    """What grew, from the first tenth to the last; memory by the slope of the second half, when all is loaded."""
    kept = [one for one in sizes if one.time_s >= begun_s]
    if len(kept) < 2:
        return []
    tenth = max(1, len(kept) // 10)
    hours = (np.array([one.time_s for one in kept]) - begun_s) / 3600
    held = np.array([one.rss for one in kept]) / 2**20
    slope = float(np.polyfit(hours[len(kept) // 2 :], held[len(kept) // 2 :], 1)[0])
    grown = {
        what: min(getattr(one, what) for one in kept[-tenth:]) - min(getattr(one, what) for one in kept[:tenth])
        for what in ("threads", "handles")
    }
    return [
        Bar("memory, an hour", slope, "most", MEMORY_MB_H, "MiB"),
        *(Bar(f"{what} more than at the start", count, "most", 0, "") for what, count in grown.items()),
    ]


def _films(soak: Soak, ended_s: float) -> list[Bar]:
    """What the takes lack of when they were recorded, how far sound and picture slipped, and what is unaccounted."""
    lost, offsets = [0.0], []
    for name, (first_s, last_s) in soak.witness.takes.items():
        broken_s = [begun_s for begun_s in soak.broken_s if first_s < begun_s < last_s]
        until_s = min([last_s, ended_s, *broken_s])
        film = video_of(Path(name))
        try:
            lasts_s = read_video_info(film).duration_s
            lost.append(until_s - first_s - lasts_s)
            if lasts_s < LONGEST_S:
                offsets.append(av_offsets_ms(film))
        except MediaError as error:
            soak.notify(str(error))
            lost.append(until_s - first_s)
    recordings = soak.witness.summary.get("recordings", [])
    counters = [one["counters"] for one in recordings]
    unaccounted = sum(one["offered"] - one["written"] - sum(one["dropped"].values()) for one in counters)
    seen_ms = np.concatenate([*offsets, []])
    slipped = [Bar("picture against sound, slipped", slipped_ms(seen_ms), "most", 40.0, "ms")]
    return [
        Bar(f"the most that one of {len(lost) - 1} takes lost", max(lost), "most", LOST_S, "s"),
        *(slipped if len(seen_ms) else []),
        Bar("recorded pictures unaccounted for", unaccounted, "most", 0, ""),
    ]
