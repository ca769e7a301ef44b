"""The analysis thread: reads the ring, analyses, and keeps what the encoder and the recorder ask for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from engine.audio import HOP_S, SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.history import History
from engine.audio.mix import Mix, out_of_reach
from engine.audio.resample import Intake, mono
from engine.audio.ring import Block
from engine.audio.sources import Source, SourceState
from engine.audio.timeline import SampleClock
from engine.core.clock import Clock, WallClock
from engine.core.messages import SILENCE, AudioFeatures, ShowState, SoundState, SoundWindow
from engine.core.own_thread import Supervised
from engine.core.sound_shape import STILLNESS
from engine.core.stems import MAX_STEMS, patched

_POLL_S = 0.002
_RAW_S = 30
_GAPS = 20_000
_NOTICEABLE_S = 0.02
_LONGEST_GAP_S = 10.0
STALE_S = 1.0
"""So long after the newest hop it says nothing of what sounds now."""
_NO_SOUND = {name: getattr(SILENCE, name) for name in ("loudness_db", "level", "bands", "onset", "hit")}


@dataclass(frozen=True, slots=True)
class AudioCounters:
    """Health of the input since the start; losses are filled with silence, so that time stays true."""

    source: str
    sample_rate: int
    channels: int
    blocks: int
    samples: int
    """Samples at 44.1 kHz that went through, silence for losses included."""
    overruns: int
    """Blocks the analysis thread came too late for."""
    overflows: int
    """Blocks before which the driver dropped samples."""
    losses: int
    """Times the device vanished."""
    filled: int
    """Samples at 44.1 kHz of silence put in for what was lost."""
    bad_samples: int
    """NaN or infinite samples replaced by zero."""

    @property
    def lost(self) -> int:
        """How often sound was lost."""
        return self.overruns + self.overflows + self.losses

    cpu_load: float
    """PortAudio's: the callback's share of its deadline."""
    block_ms: float
    gap_p99_ms: float
    """Between callbacks; over `block_ms` by what the machine made them wait, or the driver bundles them."""
    gap_max_ms: float
    gain_db: float
    warning: str


class Capture:
    """Owns the thread "audio-analysis" and, through it, the analyser; any thread may ask.

    `latest` is newest-wins; `raw` gives everything once. The source is started, stopped and
    closed with the capture. `state` is asked for what the operator sets.
    """

    def __init__(
        self,
        source: Source,
        clock: Clock | None = None,
        analyser: Analyser | None = None,
        state: Callable[[], ShowState] = ShowState,
    ) -> None:
        self.source = source
        self._state = state
        self.analyser = analyser or Analyser()
        self._mix = Mix(self.analyser, source.sample_rate, source.channels)
        self._clock = clock or WallClock()
        self._intake = Intake(source.sample_rate, source.channels, source.picks)
        self.channels = self._intake.channels
        """Of `raw`: 1 or 2."""
        self._in_clock = SampleClock(source.sample_rate)
        self._raw = History(_RAW_S * SAMPLE_RATE, self.channels)
        self._raw_stems: History | None = None
        """Beside `_raw`, from the first stem on."""
        self._latest = SILENCE
        self._filled = self._overflows_seen = 0
        self._mend = False
        self._gaps_ms: deque[float] = deque(maxlen=_GAPS)
        self._arrived_s = 0.0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: Supervised | None = None
        self._fed_s = 0.0

    def start(self) -> None:
        """Start the source and the thread; DeviceError where the device will not open."""
        if self._thread is not None:
            return
        self.source.start()
        self._stopping.clear()
        self._arrived_s = 0.0
        self._mend = self._in_clock.running
        self._fed_s = self._clock.now()
        self._thread = Supervised("audio-analysis", self._run, self._stopping).start()

    def stop(self) -> None:
        """Stop both; what was captured stays readable."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.source.stop()

    def close(self) -> None:
        """Stop, and release the source."""
        self.stop()
        self.source.close()

    def __enter__(self) -> Capture:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """The source is over and everything it gave has been analysed."""
        return self.source.state is SourceState.ENDED and self.source.ring.consumed == self.source.ring.written

    @property
    def running(self) -> bool:
        """Whether the analysis thread lives."""
        return self._thread is not None and self._thread.alive

    def latest(self) -> AudioFeatures:
        """The newest hop; where analysis has brought none for STALE_S, whatever holds it up, silence in the same time.

        Beats and bars are counted on: what waits for a line of the music goes on to wait for it.
        """
        newest, now_s = self._latest, self._clock.now()
        if not self.running or newest is SILENCE or now_s - self._fed_s < STALE_S:
            return newest
        going_on = newest.carried(now_s - newest.time_s)
        return replace(going_on, time_s=now_s, state=SoundState.LOST, stems=(), shape=STILLNESS, **_NO_SOUND)

    def window(self, seconds: float) -> SoundWindow:
        """The newest `seconds` (up to 12) for the encoder."""
        with self._lock:
            return self._mix.window(seconds)

    def raw(self, since: int) -> tuple[np.ndarray, int]:
        """The input from sample number `since` on, before gain, and the number of its first sample.

        float32 (n, channels) at 44.1 kHz; it starts later than `since` where more than 30 s were left waiting.
        """
        with self._lock:
            return self._raw.since(since)

    def stems(self, start: int, count: int) -> np.ndarray | None:
        """The stems of `count` samples of `raw` from number `start` on, (count, MAX_STEMS); None before any."""
        with self._lock:
            return None if self._raw_stems is None else self._raw_stems.since(start)[0][:count]

    @property
    def trouble(self) -> str:
        """What stems, or the main mix, lack for channels, in a line; "" while they have all."""
        source, state = self.source, self._state()
        if source.channels_there < source.channels:
            return f"{source.name}: back with {source.channels_there} of {source.channels} channels, the rest is silent"
        lines = [out_of_reach(stem, source.name, source.channels) for stem in patched(state.stems, state.patch)]
        return next((f"{line}: silent there" for line in lines if line), "")

    def time_of(self, sample: int) -> float:
        """When sample number `sample` of `raw` was captured, on the show's clock."""
        with self._lock:
            return self._in_clock.time_of(sample / SAMPLE_RATE * self.source.sample_rate)

    def counters(self) -> AudioCounters:
        """Health so far."""
        health = self.source.counters()
        with self._lock:
            gaps = np.array(self._gaps_ms) if self._gaps_ms else np.zeros(1)
            return AudioCounters(
                source=self.source.name,
                sample_rate=self.source.sample_rate,
                channels=self.source.channels,
                blocks=health.blocks,
                samples=self._raw.end,
                overruns=self.source.ring.overruns,
                overflows=health.overflows,
                losses=health.losses,
                filled=self._filled,
                bad_samples=self._intake.bad_samples,
                cpu_load=health.cpu_load,
                block_ms=1000 * self.source.block_s,
                gap_p99_ms=float(np.percentile(gaps, 99)),
                gap_max_ms=float(gaps.max()),
                gain_db=self.analyser.gain.gain_db,
                warning=health.warning,
            )

    def _run(self) -> None:
        while not self._stopping.is_set():
            block = self.source.ring.read()
            if block is not None:
                self._take(block)
            elif self.source.state is SourceState.LOST:
                self._stand_in()
            else:
                self._clock.sleep(_POLL_S)

    def _take(self, block: Block) -> None:
        self._note_gap(block)
        if block.lost_frames:
            self._insert_silence(block.lost_frames)
        if self._mend or self.source.overflows != self._overflows_seen:
            self._mend, self._overflows_seen = False, self.source.overflows
            self._close_gap(block)
        self._feed(block.samples, block.captured_s)

    def _feed(self, samples: np.ndarray, end_s: float, lost: bool = False) -> None:
        """One stretch of input whose newest sample was captured at `end_s`, down the whole line."""
        with self._lock:
            self._in_clock.update(self._intake.received + len(samples), end_s)
            folded = self._intake.push(samples)
            self._raw.append(folded)
            end = self._raw.end / SAMPLE_RATE * self.source.sample_rate
            end_s = self._in_clock.time_of(end)
            features = self._mix.process(mono(folded), samples, end_s, self._state(), lost)
            self._keep_stems(self._mix.stretch)
        if features:
            self._latest, self._fed_s = features[-1], self._clock.now()

    def _keep_stems(self, stretch: np.ndarray) -> None:
        """Beside what was just kept of the main mix; before the first stem there was silence."""
        if self._raw_stems is None:
            if not stretch.size:
                return
            self._raw_stems = History(_RAW_S * SAMPLE_RATE, MAX_STEMS)
            self._raw_stems.end = self._raw.end - len(stretch)
        self._raw_stems.append(np.pad(stretch, ((0, 0), (0, MAX_STEMS - stretch.shape[1]))))

    def _note_gap(self, block: Block) -> None:
        if self._arrived_s:
            self._gaps_ms.append(1000 * (block.arrived_s - self._arrived_s))
        self._arrived_s = block.arrived_s

    def _stand_in(self) -> None:
        """The device is gone: let time pass as silence marked lost, a hop at a time."""
        self._mend = True
        self._arrived_s = 0.0
        frames = round(HOP_S * self.source.sample_rate)
        behind_s = self._clock.now() - self._in_clock.time_of(self._intake.received) if self._in_clock.running else 0.0
        if self._in_clock.running and behind_s < HOP_S:
            self._clock.sleep(_POLL_S)
            return
        if not self._in_clock.running or behind_s > _LONGEST_GAP_S:
            self._silence(frames, self._clock.now(), lost=True)
            return
        self._silence(frames, self._in_clock.time_of(self._intake.received + frames), lost=True)

    def _close_gap(self, block: Block) -> None:
        """Samples are missing before this block: put silence where they would have been."""
        if not self._in_clock.running:
            return
        start_s = block.captured_s - len(block.samples) / self.source.sample_rate
        gap_s = start_s - self._in_clock.time_of(self._intake.received)
        if _NOTICEABLE_S < gap_s < _LONGEST_GAP_S:
            self._insert_silence(round(gap_s * self.source.sample_rate))

    def _insert_silence(self, frames: int) -> None:
        step = self.source.block_frames
        while frames > 0:
            count = min(step, frames)
            self._silence(count, self._in_clock.time_of(self._intake.received + count))
            frames -= count

    def _silence(self, frames: int, end_s: float, lost: bool = False) -> None:
        self._filled += round(frames * SAMPLE_RATE / self.source.sample_rate)
        self._feed(np.zeros((frames, self.source.channels), np.float32), end_s, lost)
