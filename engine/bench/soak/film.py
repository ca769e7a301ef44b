"""The sound of a soak, and what its film shows of it: clicks, and when the picture answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

from engine.audio import SAMPLE_RATE
from export.media.reading import read_frames, read_sound

CLICK_S = 1.25


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


def slipped_ms(offsets_ms: np.ndarray) -> float:
    """By how much the answers to the last clicks are later, or earlier, than those to the first."""
    tenth = max(1, len(offsets_ms) // 10)
    return abs(float(np.median(offsets_ms[-tenth:]) - np.median(offsets_ms[:tenth])))


def write_clicks(path: Path, seconds: float) -> None:
    """Soft noise with a click every CLICK_S, for about so long."""
    rng = np.random.default_rng(1)
    beat = rng.normal(0, 0.004, round(CLICK_S * SAMPLE_RATE)).astype(np.float32)
    beat[:600] += np.hanning(600) * rng.uniform(-0.9, 0.9, 600)
    with sf.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for _ in range(round(seconds / CLICK_S)):
            file.write(beat)
