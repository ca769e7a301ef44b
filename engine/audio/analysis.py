"""Mono sound at 44.1 kHz to features, hop by hop: the stage that runs live, offline and in tests alike."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np

from engine.audio import HOP, HOP_S, SAMPLE_RATE
from engine.audio.beats import BeatTracker, Tempo
from engine.audio.gain import AutoGain, RoomLevel, decibels
from engine.audio.history import History
from engine.audio.sections import SectionTracker
from engine.audio.spectrum import Bands, Onsets, Spectrum
from engine.core.course import Course
from engine.core.messages import SILENCE, AudioFeatures, ShowState, SoundState, SoundWindow
from engine.core.sound_shape import SoundShape
from tpos_models.audio.loudness import SILENCE_DB

DEFAULT = ShowState()
_HISTORY_S = 12
_LEVEL_RANGE_DB = (-46.0, -6.0)
_ATTACK, _RELEASE = (1 - math.exp(-HOP_S / tau_s) for tau_s in (0.015, 0.25))
_CLIPPED, _CLIPPED_SAMPLES = 0.999, 3
_CLIP_SHOWN_S = 1.0
_RAMP = np.arange(1, HOP + 1, dtype=np.float32) / HOP
_COURSE = tuple(field.name for field in fields(Course))


class Analyser:
    """Gain, bands, onsets, tempo and sections of one stream.

    Owned by the thread that calls `process`; what the operator sets (gain, tempo, taps) it reads from the state it is
    given. How the stream is cut into blocks makes no difference to what comes out. Without `beats` it has no tempo and
    no sections.
    """

    def __init__(self, beats: bool = True) -> None:
        self.gain, self._room = AutoGain(), RoomLevel()
        self._beats = BeatTracker() if beats else None
        self._sections = SectionTracker() if beats else None
        self._spectrum, self._bands, self._onsets = Spectrum(), Bands(), Onsets()
        self._rest = np.zeros(0, np.float32)
        self._factor = 1.0
        self._level = 0.0
        self._clip_s = 0.0
        self._heard = History(_HISTORY_S * SAMPLE_RATE)
        self._end_s = 0.0
        self._latest = SILENCE

    def process(
        self, samples: np.ndarray, end_time_s: float, state: ShowState = DEFAULT, lost: bool = False
    ) -> list[AudioFeatures]:
        """Analyse the next samples of the stream, under the operator's `state`.

        `samples` float32 (n,) at 44.1 kHz, any n, the newest captured at `end_time_s`; what does not fill a hop waits
        for the next call. `lost` marks silence that stands in for a device that is gone.
        """
        self._rest = np.concatenate([self._rest, samples])
        features = []
        while len(self._rest) >= HOP:
            hop, self._rest = self._rest[:HOP], self._rest[HOP:]
            features.append(self._hop(hop, end_time_s - len(self._rest) / SAMPLE_RATE, state, lost))
        if features:
            self._latest = features[-1]
        return features

    def latest(self) -> AudioFeatures:
        """The newest hop's; silence before the first."""
        return self._latest

    def window(self, seconds: float) -> SoundWindow:
        """The newest `seconds` (up to 12) after gain, fewer at the start of the stream."""
        samples = self._heard.newest(round(seconds * SAMPLE_RATE))[:, 0]
        return SoundWindow(samples, self._heard.end, self._end_s, self.gain.auto_db, self._room.level_db)

    def _hop(self, hop: np.ndarray, time_s: float, asked: ShowState, lost: bool) -> AudioFeatures:
        power = float(hop @ hop) / HOP
        gained = self._amplify(hop, self.gain.update(power, asked.agc, asked.audio_gain_db))
        self._room.update(self.gain.short_db + asked.audio_gain_db)
        self._heard.append(gained[:, None])
        self._end_s = time_s
        magnitudes = self._spectrum.push(gained)
        self._onsets.push(magnitudes)
        tempo = Tempo()
        if self._beats is not None:
            tempo = self._beats.push(magnitudes, self._onsets.flux, time_s, asked)
        state = self._state(hop, lost)
        silent = state in (SoundState.SILENCE, SoundState.LOST)
        course = Course()
        if self._sections is not None:
            course = self._sections.push(magnitudes, self._factor, time_s, tempo, silent)
        return AudioFeatures(
            time_s=time_s,
            loudness_db=decibels(power),
            level=self._follow_level(float(gained @ gained) / HOP, silent),
            bands=self._bands.push(magnitudes),
            onset=self._onsets.strength,
            hit=self._onsets.hit,
            bpm=tempo.bpm,
            tempo_confidence=tempo.confidence,
            beat_phase=tempo.phase,
            beat=tempo.beat,
            state=state,
            clock=tempo.clock,
            shape=SoundShape(self._spectrum.samples, magnitudes),
            **{name: getattr(course, name) for name in _COURSE},
        )

    def _amplify(self, hop: np.ndarray, factor: float) -> np.ndarray:
        """Apply the gain as a ramp from the last hop's, so that it never steps."""
        ramp = self._factor + np.float32(factor - self._factor) * _RAMP
        self._factor = factor
        return (hop * ramp).clip(-1, 1)

    def _follow_level(self, power: float, silent: bool) -> float:
        low, high = _LEVEL_RANGE_DB
        target = 0.0 if silent else min(1.0, max(0.0, (decibels(power) - low) / (high - low)))
        self._level += (target - self._level) * (_ATTACK if target > self._level else _RELEASE)
        return self._level

    def _state(self, hop: np.ndarray, lost: bool) -> SoundState:
        self._clip_s = max(0.0, self._clip_s - HOP_S)
        if np.count_nonzero(np.abs(hop) >= _CLIPPED) >= _CLIPPED_SAMPLES:
            self._clip_s = _CLIP_SHOWN_S
        if lost:
            return SoundState.LOST
        if self._clip_s > 0:
            return SoundState.CLIPPING
        return SoundState.SILENCE if self.gain.short_db < SILENCE_DB else SoundState.OK
