"""A file or the soundtrack played aloud, in time with its pictures.

The source stays the clock. It hands each block over a third of a second before analysis takes it in as captured, and
`Playback` puts it where the device will make it heard at just that moment: what is heard at a time is what analysis
sees at that time, as with a microphone in the room, and a picture comes as much later as it does there. Measured on a
PulseAudio null sink: heard 0.5 to 8 ms later, sample by sample the same.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import soxr

from engine.audio import SAMPLE_RATE
from engine.audio.output_buffer import OutputBuffer
from engine.audio.portaudio import (
    GIVE_UP_S,
    Device,
    Direction,
    aim_pulse,
    close_stream,
    find_device,
    portaudio,
    portaudio_index,
    reopen,
)
from engine.audio.resample import Intake
from engine.audio.sources import PacedSource, Source
from engine.core.own_thread import Supervised
from tpos_models.errors import DeviceError, MissingPart

LATENCY_S = 0.2
"""Asked of the device: a callback in Python may be held up by the show, and a file can be read ahead."""
MARGIN_S = 0.15
"""How much sooner than the device's latency blocks come, for a feed that is held up."""
WAKING_S = 4.0
"""PulseAudio takes its first second of a stream to begin to play; a null sink that had nothing to do, the two of its
longest block."""
_QUIET_S, _WATCH_S = 1.5, 0.2
_PLAUSIBLE_S = 1.0


class PlaybackState(Enum):
    """Whether the source is heard."""

    STOPPED = "stopped"
    PLAYING = "playing"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class PlaybackCounters:
    """Health since the start."""

    underruns: int = 0
    """Times the device had nothing to play in the middle of the piece."""
    losses: int = 0
    """Times the device vanished."""
    dropped: int = 0
    """Frames that came too late to be heard."""
    corrected: int = 0
    """Frames put in, less those left out, to follow the source's clock."""
    offset_ms: float = 0.0
    """How much later than it should be the newest block is heard, by the device's own account."""


class Playback:
    """Plays `source` on `device` from `start` to `close`. Start it before the source.

    The source's thread calls `push`; the callback only copies; the thread "audio-playback" opens a lost device again,
    with backoff (0.25 to 4 s). No trouble of the device reaches the source; `trouble` is one line, "" while
    all is well.
    """

    def __init__(self, source: PacedSource, device: Device) -> None:
        self.device = device
        self.state = PlaybackState.STOPPED
        self.trouble = ""
        self._source = source
        self._fold = Intake(SAMPLE_RATE, source.channels, source.picks)  # at 44.1 kHz it only picks and folds
        self._rate = _choose_rate(device)
        self._resampler = _resampler(source.sample_rate, self._rate, self._fold.channels)
        self._resampled_s = 0.0
        """Seconds that went into the resampler and have not come out."""
        self._channels = min(2, device.channels)
        self._buffer = OutputBuffer(self._rate, self._channels)
        self._stream: Any = None
        self._latency_s = LATENCY_S
        self._before = PlaybackCounters()
        """Of the streams before this one."""
        self._stopping = threading.Event()
        self._watch: Supervised | None = None

    def begin(self) -> float:
        """Wait until the device runs, `WAKING_S` at most; returns how long before it is heard a block must come."""
        until_s = time.monotonic() + WAKING_S
        while not self._buffer.running and self.state is PlaybackState.PLAYING and time.monotonic() < until_s:
            self._stopping.wait(0.01)
        return self._latency_s + MARGIN_S

    def start(self) -> None:
        """Open the device; where it will not open, `trouble` says so and nothing is played."""
        if self._watch is not None:
            return
        try:
            self._open()
        except DeviceError as error:
            self._lose(str(error))
            return
        self._source.monitor = self
        self._stopping.clear()
        self._watch = Supervised("audio-playback", self._watch_over, self._stopping)
        self._watch.start()

    def stop(self) -> None:
        """Fall silent; the source goes on."""
        self._source.monitor = None
        self._stopping.set()
        if self._watch is not None:
            self._watch.join(GIVE_UP_S)
        if self._watch is None or not self._watch.alive:  # it owns the stream, and a driver that hangs it
            self._shut()
        self._watch = None
        self.state = PlaybackState.STOPPED

    def close(self) -> None:
        """Stop; twice is harmless."""
        self.stop()

    def counters(self) -> PlaybackCounters:
        """Health so far."""
        before, now = self._before, self._buffer
        return PlaybackCounters(
            before.underruns + now.underruns,
            before.losses,
            before.dropped + now.dropped,
            before.corrected + now.corrected,
            1000 * now.offset_s,
        )

    def push(self, block: np.ndarray, end_s: float) -> None:
        """Let `block`, (n, channels) at the source's rate, be heard so that it ends at `end_s` on the wall's clock."""
        sound, end_s = self._converted(block, end_s)
        if self.state is PlaybackState.PLAYING and len(sound):
            self._buffer.put(sound, end_s - len(sound) / self._rate)

    def _converted(self, block: np.ndarray, end_s: float) -> tuple[np.ndarray, float]:
        """`block` at the device's rate and channels, and when what came out of the resampler ends."""
        sound = self._fold.push(block)
        if self._resampler is not None:
            self._resampled_s += len(block) / self._source.sample_rate
            sound = self._resampler.resample_chunk(np.ascontiguousarray(sound))
            self._resampled_s -= len(sound) / self._rate
        if sound.shape[1] > self._channels:
            sound = sound.mean(1, keepdims=True, dtype=np.float32)
        return np.broadcast_to(sound, (len(sound), self._channels)), end_s - self._resampled_s

    def _callback(self, out: np.ndarray, frames: int, times: Any, status: Any) -> None:
        self._buffer.take(out, times.outputBufferDacTime - times.currentTime, bool(status.output_underflow))

    def _open(self) -> None:
        sd = portaudio()
        aim_pulse(self.device)
        self._before, self._buffer = self.counters(), OutputBuffer(self._rate, self._channels)
        try:
            self._stream = sd.OutputStream(
                device=portaudio_index(self.device),
                samplerate=self._rate,
                channels=self._channels,
                dtype="float32",
                latency=LATENCY_S,
                callback=self._callback,
            )
            self._latency_s = min(float(self._stream.latency), _PLAUSIBLE_S)
            self._stream.start()
        except sd.PortAudioError as error:
            self._shut()
            raise DeviceError(f"{self.device.name}: will not play ({str(error.args[0]).strip()})") from error
        self.state, self.trouble = PlaybackState.PLAYING, ""

    def _watch_over(self) -> None:
        count, quiet_until_s = 0, time.monotonic() + WAKING_S
        while not self._stopping.wait(_WATCH_S):
            if self._buffer.running and self._buffer.taken != count:  # its first buffers it only asks for
                count, quiet_until_s = self._buffer.taken, time.monotonic() + _QUIET_S
            if self._stream is None or not self._stream.active or time.monotonic() > quiet_until_s:
                self._recover()
                count, quiet_until_s = 0, time.monotonic() + WAKING_S

    def _recover(self) -> None:
        if self.state is PlaybackState.PLAYING:
            self._before = replace(self._before, losses=self._before.losses + 1)
            self._lose(f"{self.device.name}: vanished; the show goes on unheard")
        reopen(self._stopping, self._shut, self._open)

    def _lose(self, why: str) -> None:
        self.state, self.trouble = PlaybackState.LOST, why

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            close_stream(stream)


def open_playback(source: Source, spec: str | None = None, mute: bool = False) -> Playback | None:
    """What plays `source` aloud: on the device `spec`, or on the default one where there is one.

    None where it is muted, where the source is an input, and where nothing was asked for and there is no output. Raises
    `DeviceError` or `MissingPart` for a `spec` that is not there.
    """
    if mute or not isinstance(source, PacedSource):
        return None
    try:
        return Playback(source, find_device(spec or "default", Direction.OUTPUT))
    except (DeviceError, MissingPart):
        if spec is None:
            return None
        raise


def _choose_rate(device: Device) -> int:
    """44.1 kHz where the device takes it, else its own."""
    sd = portaudio()
    aim_pulse(device)
    try:
        sd.check_output_settings(portaudio_index(device), min(2, device.channels), "float32", samplerate=SAMPLE_RATE)
    except sd.PortAudioError:
        return device.default_rate
    return SAMPLE_RATE


def _resampler(source_rate: int, device_rate: int, channels: int) -> Any:
    if source_rate == device_rate:
        return None
    return soxr.ResampleStream(source_rate, device_rate, channels, dtype="float32", quality="HQ")
