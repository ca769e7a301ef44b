"""`tpos bench --soak MINUTES`: a long show with a file, headless, recording; then its own film is examined."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import soundfile as sf

from engine.app.builder import OscOptions
from engine.app.live import LiveOptions, open_live
from engine.app.options import LookOptions
from engine.app.stats import LiveSummary
from engine.audio import SAMPLE_RATE
from engine.bench.latency import HARDLY
from engine.bench.report import Bar, Notify
from engine.core.messages import ShaderAmounts
from export.media.reading import read_frames, read_sound

CLICK_S = 1.25
WARM_UP_S = 60.0
SAMPLE_S = 1.0


def run_soak(minutes: float, model: str, precision: str | None, notify: Notify) -> list[Bar]:
    """Play clicks over soft noise for `minutes` and sum up what broke, grew, slipped or was lost."""
    with tempfile.TemporaryDirectory(prefix="tpos-soak-") as folder:
        track = Path(folder) / "clicks.wav"
        _write_clicks(track, minutes * 60)
        notify(f"playing {minutes:g} minutes")
        summary, taken = _play(track, Path(folder), model, precision)
        notify("reading the film back")
        offsets_ms = av_offsets_ms(summary.recordings[0].path / "video.mp4")
    counters = summary.recordings[0].counters
    unaccounted = counters.offered - counters.written - sum(counters.dropped.values())
    last = offsets_ms[-max(1, len(offsets_ms) // 10) :]
    return [
        Bar(f"soak {minutes:g} min: ring overruns", summary.audio.overruns, "most", 0, ""),
        Bar("soak: memory after the first minute", growth(taken), "most", 5.0, "% more"),
        Bar("soak: picture against sound, slipped from start to end", _drift(offsets_ms), "most", 40.0, "ms"),
        Bar("soak: a click's visible answer in the film, at its end", float(np.median(last)), "most", 90.0, "ms"),
        Bar("soak: recorded pictures unaccounted for", unaccounted, "most", 0, ""),
        Bar("soak: inference restarts", summary.restarts, "most", 0, ""),
    ]


def av_offsets_ms(video: Path) -> np.ndarray:
    """How much later than each click in a film's sound its picture begins to move, in ms; of the clicks it shows."""
    sound, rate = read_sound(video)
    loud = np.abs(sound).max(1) > 0.3
    rises = np.flatnonzero(loud[1:] & ~loud[:-1]) / rate
    clicks = rises[np.diff(rises, prepend=-1.0) > CLICK_S / 2]
    times, moves = [], []
    before: np.ndarray | None = None
    for time_s, frame in read_frames(video):
        small = frame[::4, ::4].astype(np.int16)
        if before is not None:
            times.append(time_s)
            moves.append(float(np.abs(small - before).mean()))
        before = small
    return np.array(
        [1000 * wait for click in clicks if (wait := _wait(np.array(times), np.array(moves), click)) is not None]
    )


def _wait(times: np.ndarray, moves: np.ndarray, click: float) -> float | None:
    quiet = moves[(times > click - 0.5) & (times <= click)]
    after = (times > click - 0.02) & (times < click + 0.4)
    if not len(quiet) or not after.any():
        return None
    border = float(np.median(quiet)) + 0.25 * (float(moves[after].max()) - float(np.median(quiet)))
    seen = times[after][moves[after] > max(border, 0.15)]
    return float(seen[0] - click) if len(seen) else None


def _drift(offsets_ms: np.ndarray) -> float:
    tenth = max(1, len(offsets_ms) // 10)
    return abs(float(np.median(offsets_ms[-tenth:]) - np.median(offsets_ms[:tenth])))


def growth(taken: list[tuple[float, float]]) -> float:
    """Per cent from the end of the first minute (the first third of a short soak) to the largest later value."""
    warm_s = min(WARM_UP_S, taken[-1][0] / 3)
    base = next(rss for at, rss in taken if at >= warm_s)
    return 100 * (max(rss for at, rss in taken if at >= warm_s) / base - 1)


def _write_clicks(path: Path, seconds: float) -> None:
    rng = np.random.default_rng(1)
    beat = rng.normal(0, 0.004, round(CLICK_S * SAMPLE_RATE)).astype(np.float32)
    beat[:600] += np.hanning(600) * rng.uniform(-0.9, 0.9, 600)
    with sf.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for _ in range(round(seconds / CLICK_S)):
            file.write(beat)


def _play(
    track: Path, folder: Path, model: str, precision: str | None
) -> tuple[LiveSummary, list[tuple[float, float]]]:
    still = {"amount": 0.0, "motion": HARDLY, "agc": False, "flash_limiter": False}
    look = LookOptions(model, precision=precision, settings=still)
    options = LiveOptions(
        look=look, source=str(track), mute=True, headless=True, record=folder, size=(256, 256), osc=OscOptions(port=0)
    )
    with open_live(options) as live, memory() as taken:
        live.show.set(shader=ShaderAmounts(zoom=1.0, warp=0.0, glow=1.0, colour=0.0, grain=0.0))
        return live.run(threading.Event()), taken


@contextmanager
def memory() -> Iterator[list[tuple[float, float]]]:
    """Resident memory of this process, sampled while the body runs: (seconds, bytes)."""
    taken: list[tuple[float, float]] = []
    done = threading.Event()
    process = psutil.Process()

    def watch() -> None:
        at = 0.0
        while not done.wait(SAMPLE_S):
            at += SAMPLE_S
            taken.append((at, float(process.memory_info().rss)))

    thread = threading.Thread(target=watch, name="memory-watch", daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        done.set()
        thread.join()
