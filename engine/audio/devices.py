"""A PortAudio device as a source: a callback that only copies, and a watch that finds a lost device again."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from engine.audio import SAMPLE_RATE
from engine.audio.portaudio import GIVE_UP_S, Device, aim_pulse, close_stream, portaudio, portaudio_index, reopen
from engine.audio.sources import Source, SourceCounters, SourceState
from engine.core.own_thread import Supervised
from tpos_models.errors import DeviceError

_QUIET_S, _WAKING_S = 1.5, 5.0
"""A device that brings no block for so long is lost; one just opened may take longer to wake."""
_WATCH_S = 0.2
_PLAUSIBLE_S = 1.0


class DeviceSource(Source):
    """Live input. 44.1 kHz where the device offers it (no resampling), else the device's own rate.

    `channels` counts from 1; without it the first two. As many are opened as `reach` as far as to stems, or as the
    device has. The callback thread owns the ring's write side and `overflows`; the thread "audio-watch" owns the stream
    once started, and reopens it with backoff (0.25 to 4 s) when it dies, with fewer channels where it has become
    smaller. One device source at a time: looking for a lost device restarts PortAudio.
    """

    def __init__(self, device: Device, channels: tuple[int, ...] = (), reach: int = 0) -> None:
        self.device = device
        check_channels(device.name, device.channels, channels)
        first = tuple(range(1, min(2, device.channels) + 1))
        opened = max(*(channels or first), min(reach, device.channels))
        picks = tuple(c - 1 for c in channels or first)
        super().__init__(device.name, self._choose_rate(opened), opened, picks)
        self._stream: Any = None
        self._losses = 0
        self._cpu_load = 0.0
        self._stopping = threading.Event()
        self._watch: Supervised | None = None

    def start(self) -> None:
        if self._watch is not None:
            return
        self._open(self.channels)
        self._stopping.clear()
        self._watch = Supervised("audio-watch", self._watch_over, self._stopping)
        self._watch.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._watch is not None:
            self._watch.join(GIVE_UP_S)
        if self._watch is None or not self._watch.alive:  # it owns the stream, and a driver that hangs it
            self._shut()
        self._watch = None
        self.state = SourceState.OK

    def counters(self) -> SourceCounters:
        return SourceCounters(self.ring.written, self.overflows, self._losses, self._cpu_load)

    def _choose_rate(self, channels: int) -> int:
        sd = portaudio()
        aim_pulse(self.device)
        try:
            sd.check_input_settings(portaudio_index(self.device), channels, "float32", samplerate=SAMPLE_RATE)
        except sd.PortAudioError:
            return self.device.default_rate
        return SAMPLE_RATE

    def _open(self, channels: int) -> None:
        sd = portaudio()
        aim_pulse(self.device)
        try:
            self._stream = sd.InputStream(
                device=portaudio_index(self.device),
                samplerate=self.sample_rate,
                channels=channels,
                blocksize=self.block_frames,
                dtype="float32",
                latency="low",
                callback=self._callback,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            self._shut()
            raise DeviceError(will_not_open(self.device, error)) from error
        self.channels_there = channels

    def _callback(self, samples: np.ndarray, frames: int, times: Any, status: Any) -> None:
        now_s = time.monotonic()
        age_s = times.currentTime - times.inputBufferAdcTime - frames / self.sample_rate
        self.ring.write(samples, now_s - min(max(age_s, 0.0), _PLAUSIBLE_S), now_s)
        if status.input_overflow:
            self.overflows += 1

    def _watch_over(self) -> None:
        written, quiet_until_s = self.ring.written, time.monotonic() + _WAKING_S
        while not self._stopping.wait(_WATCH_S):
            if self.ring.written != written:
                written, quiet_until_s = self.ring.written, time.monotonic() + _QUIET_S
            self._cpu_load = float(self._stream.cpu_load)
            if not self._stream.active or time.monotonic() > quiet_until_s:
                self._recover()
                quiet_until_s = time.monotonic() + _WAKING_S

    def _recover(self) -> None:
        """Report the loss, then try to open the device again until it works or someone stops us."""
        self.state = SourceState.LOST
        self._losses += 1
        if reopen(self._stopping, self._shut, self._open_again):
            self.state = SourceState.OK

    def _open_again(self) -> None:
        now_has = int(portaudio().query_devices(portaudio_index(self.device))["max_input_channels"])
        self._open(min(self.channels, now_has))

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            close_stream(stream)


def check_channels(name: str, has: int, channels: tuple[int, ...]) -> None:
    """Raise `DeviceError` for channels, from 1, that the input of that name does not have."""
    if not all(1 <= c <= has for c in channels):
        raise DeviceError(f"{name}: has channels 1..{has}, not {','.join(map(str, channels))}")


def will_not_open(device: Device, error: Exception) -> str:
    """PortAudio's reason in one line, and what to do about it."""
    code = error.args[1] if len(error.args) > 1 else 0
    if code == -9985:
        return f"{device.name}: busy, another program holds it; close that one or choose another ('tpos devices')"
    return f"{device.name}: will not open ({str(error.args[0]).strip()}); 'tpos devices' lists the inputs"
