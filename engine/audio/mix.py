"""The main mix and the stems beside it: each is analysed by itself, and what is heard of them goes on together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from engine.audio.analysis import DEFAULT, Analyser
from engine.audio.resample import Intake, mono
from engine.core.messages import SILENCE, AudioFeatures, ShowState, SoundWindow
from engine.core.stems import Stem, patched
from tpos_models.errors import DeviceError

UNEVEN = 2048
"""Samples by which two resamplers' answers may differ, most of 46 ms: they come in gulps."""


class Mix:
    """An input's main mix, analysed by `main`, and the stems that the show's state names. Owned by who calls `process`.

    `sample_rate` and `channels` are those of the input that stems are taken from. Of their channels those are heard
    that it has. A stem begins when the state names it first, and ends when it no longer does; without any there is
    nothing but the main mix.
    """

    def __init__(self, main: Analyser, sample_rate: int, channels: int) -> None:
        self.main = main
        self._sample_rate, self._channels = sample_rate, channels
        self._stems: dict[Stem, _StemStream] = {}
        self._latest = SILENCE
        self.stretch = np.zeros((0, 0), np.float32)
        """What was last processed of the stems, (n, stems) at 44.1 kHz before gain."""

    def process(
        self, heard: np.ndarray, samples: np.ndarray, end_time_s: float, state: ShowState = DEFAULT, lost: bool = False
    ) -> list[AudioFeatures]:
        """Analyse the next stretch of the main mix, `heard`, as `Analyser.process` does, and its stems with it.

        `samples` float32 (n, channels) is the stretch of the input that it was made of.
        """
        stems = patched(state.stems, state.patch)
        if tuple(self._stems) != stems:
            new = (self._sample_rate, self._channels)
            self._stems = {stem: self._stems.get(stem) or _StemStream(stem, *new) for stem in stems}
        streams = self._stems.values()
        rows = [stream.take(samples, len(heard)) for stream in streams]
        hops = [stream.analyse(row, end_time_s, state, lost) for stream, row in zip(streams, rows, strict=True)]
        self.stretch = np.stack(rows, axis=1) if rows else np.zeros((len(heard), 0), np.float32)
        features = self.main.process(heard, end_time_s, state, lost)
        if stems:
            names = [stem.name for stem in stems]
            features = [_beside(one, names, hops, n) for n, one in enumerate(features, -len(features))]
        self._latest = features[-1] if features else self._latest
        return features

    def latest(self) -> AudioFeatures:
        """The newest hop's; silence before the first."""
        return self._latest

    def window(self, seconds: float) -> SoundWindow:
        """As `Analyser.window`, with those of the stems."""
        window = self.main.window(seconds)
        if not self._stems:
            return window
        stems = tuple((stem.name, stream.analyser.window(seconds)) for stem, stream in self._stems.items())
        return replace(window, stems=stems)


class _StemStream:
    """One stem on its way to its analyser: as many samples as the main mix, none of them twice."""

    def __init__(self, stem: Stem, sample_rate: int, channels: int) -> None:
        self.analyser = Analyser(beats=False)
        picks = [channel - 1 for channel in stem.channels if channel <= channels]
        self._silent = not picks
        self._intake = Intake(sample_rate, 1 if self._silent else channels, picks)
        self._waiting = np.zeros(0, np.float32)

    def take(self, samples: np.ndarray, count: int) -> np.ndarray:
        """The next `count` samples, mono at 44.1 kHz.

        Silence comes first where a resampler begins after the main mix's, and so much that it is never short again.
        """
        taken = np.zeros((len(samples), 1), np.float32) if self._silent else samples
        ready = np.concatenate([self._waiting, mono(self._intake.push(taken))])
        if (short := count - len(ready)) > 0:
            ready = np.pad(ready, (short + UNEVEN, 0))
        self._waiting = ready[count:]
        return ready[:count]

    def analyse(self, row: np.ndarray, end_time_s: float, state: ShowState, lost: bool) -> list[AudioFeatures]:
        """The features of the hop before these samples, and of each that they end."""
        return [self.analyser.latest(), *self.analyser.process(row, end_time_s, state, lost)]


def _beside(main: AudioFeatures, names: list[str], hops: list[list[AudioFeatures]], n: int) -> AudioFeatures:
    """The main mix's features and those of each stem's `n`th hop, counted from the newest, -1."""
    return replace(main, stems=tuple((name, own[max(n, -len(own))]) for name, own in zip(names, hops, strict=True)))


def reach(stems: Iterable[Stem]) -> int:
    """The highest channel that a stem needs, 0 where there is none."""
    return max((channel for stem in stems for channel in stem.channels), default=0)


def check_stems(stems: Iterable[Stem], name: str, channels: int) -> None:
    """Raise `DeviceError` for a stem on channels that the input of that name does not have."""
    for stem in stems:
        if trouble := out_of_reach(stem, name, channels):
            raise DeviceError(f"{trouble}; --stem {stem.name}=1 would be accepted")


def out_of_reach(stem: Stem, name: str, channels: int) -> str:
    """The line for a stem with channels that an input does not have, empty where it has all of them."""
    beyond = ",".join(str(channel) for channel in stem.channels if channel > channels)
    return f"stem {stem.name}: {name} has channels 1..{channels}, not {beyond}" if beyond else ""
