"""Tempo and beat: autocorrelation of the onset flux finds the period, a comb finds the phase, a loop follows both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.audio import HOP_S

SLOWEST_BPM, FASTEST_BPM = 54.0, 200.0
PREFERRED_BPM = 122.0
"""Where two readings of a rhythm are equally good (90 or 180), the one nearer to this, in octaves, wins."""

_FRAMES = 768  # 8.9 s of flux
_LEAST_FRAMES = round(2.5 / HOP_S)
_ESTIMATE_EVERY = 16
_MULTIPLES = np.arange(1, 5)
_DELAY_S = 0.012
"""How long after a click, on average, its hop ends: measured on click tracks."""
_PATIENCE = 8
_FAINT = 0.06
"""What the strongest hundredth of the flux passes with drums, and not with a pad, a voice or noise alone."""
_ABSENT = 0.1
"""Repetition after one or two beats below which a reading is missing beats."""
_SURE, _UNSURE = 0.42, 0.32


@dataclass(frozen=True, slots=True)
class Tempo:
    """Where the music is: `bpm` 0 while unknown, `confidence` and `phase` 0..1 (0 at the beat), `beat` counts beats.

    `bar` counts bars of `beats_per_bar`, `bar_beat` the beats since its first, the downbeat.
    """

    bpm: float = 0.0
    confidence: float = 0.0
    phase: float = 0.0
    beat: int = 0
    bar: int = 0
    bar_beat: int = 0
    beats_per_bar: int = 4


class Tempogram:
    """Scores every tempo from 54 to 200 BPM against one stretch of onset flux."""

    def __init__(self) -> None:
        self.bpm = SLOWEST_BPM * 1.004 ** np.arange(np.log(FASTEST_BPM / SLOWEST_BPM) / np.log(1.004))
        self.period = 60 / (self.bpm * HOP_S)
        octaves = np.log2(self.bpm / PREFERRED_BPM)
        self._preference = np.exp(-0.5 * (octaves / 0.85) ** 2)
        self._on = self.period[:, None] * _MULTIPLES
        self._half = self.period[:, None] * (_MULTIPLES[:3] - 0.5)
        self._third = self.period[:, None] * np.array([1 / 3, 2 / 3, 4 / 3, 5 / 3])

    def score(self, flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) flux to scores per tempo and the plain periodicity (0..1) behind them.

        A tempo is good if the flux repeats after 1, 2, 3 and 4 beats; half as good if not after each of the first two
        (then the true beat is slower); and less good the more it also repeats after halves or thirds (then faster).
        """
        acf = _autocorrelation(flux)
        on = _at(acf, self._on)
        every_beat = 0.5 + 0.5 * (on[:, :2].min(1) / _ABSENT).clip(0, 1)
        periodicity = every_beat * on.mean(1)
        inner = np.maximum(_at(acf, self._half).mean(1), _at(acf, self._third).mean(1)).clip(0)
        return (periodicity - 0.35 * inner) * self._preference, periodicity


def _autocorrelation(flux: np.ndarray) -> np.ndarray:
    """Autocorrelation by lag in hops, 1 at lag 0, each lag divided by its overlap."""
    smooth = np.convolve(flux, _SMOOTH, "same")
    smooth -= smooth.mean()
    spectrum = np.fft.rfft(smooth, 2 * _FRAMES)
    acf = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[: len(flux) * 2 // 3]
    acf /= np.arange(len(flux), len(flux) - len(acf), -1)
    return acf / max(float(acf[0]), 1e-12)


_SMOOTH = np.exp(-0.5 * (np.arange(-4, 5) / 1.4) ** 2)
_SMOOTH /= _SMOOTH.sum()


def _at(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Linear interpolation at fractional positions; past the end counts as no correlation."""
    left = np.minimum(positions.astype(int), len(values) - 2)
    part = positions - left
    return np.where(positions < len(values) - 1, values[left] * (1 - part) + values[left + 1] * part, 0.0)


class BeatTracker:
    """Follows tempo and beat hop by hop; owned by the analysis thread.

    The operator's tempo (two or more taps, or a fixed bpm) overrides the music's as long as it is given; the phase
    still follows the music under a fixed bpm, and only small errors (a fifth of a beat) under a tapped one.
    """

    def __init__(self) -> None:
        self._tempogram = Tempogram()
        self._flux = np.zeros(_FRAMES)
        self._count = 0
        self._period = 0.0
        self._operator_period = 0.0
        self._taps_s: tuple[float, ...] = ()
        self._confidence = 0.0
        self._phase, self._beat = 0.0, 0
        self._since_beat = 0.0
        self._doubts = self._misses = 0

    def push(self, flux: float, time_s: float, bpm: float = 0.0, taps_s: tuple[float, ...] = ()) -> Tempo:
        """One hop that ends at `time_s`, under the operator's tempo (0: the music's) and the taps that set one."""
        self._flux[self._count % _FRAMES] = flux
        self._count += 1
        self._advance(1.0)
        self._obey(bpm, taps_s, time_s)
        if self._count % _ESTIMATE_EVERY == 0 and self._count >= _LEAST_FRAMES:
            self._estimate()
        return self._tempo()

    def _obey(self, bpm: float, taps_s: tuple[float, ...], time_s: float) -> None:
        """Take the tempo that the operator asks for; a new tap is a beat."""
        if bpm > 0:
            self._operator_period = 60 / (bpm * HOP_S)
        elif len(taps_s) > 1:
            self._operator_period = (taps_s[-1] - taps_s[0]) / (len(taps_s) - 1) / HOP_S
        else:
            self._operator_period = 0.0
        is_new = bool(taps_s) and taps_s[-1:] != self._taps_s[-1:]
        self._taps_s = taps_s
        period = self._operator_period or self._period
        if is_new and period:
            self._count_beat(period)
            self._jump((time_s - taps_s[-1]) / HOP_S / period)

    def _tempo(self) -> Tempo:
        period = self._operator_period or self._period
        bar, bar_beat = divmod(self._beat, 4)
        if not period:
            return Tempo(0.0, self._confidence, 0.0, self._beat, bar, bar_beat)
        confidence = 1.0 if self._operator_period else self._confidence
        return Tempo(60 / (period * HOP_S), confidence, self._phase, self._beat, bar, bar_beat)

    def _advance(self, hops: float) -> None:
        period = self._operator_period or self._period
        if not period:
            return
        self._since_beat += hops
        self._phase += hops / period
        if self._phase >= 1:
            self._phase -= 1
            self._count_beat(period)

    def _count_beat(self, period: float) -> None:
        if self._since_beat > 0.5 * period:
            self._beat += 1
            self._since_beat = 0.0

    def _estimate(self) -> None:
        flux = self._recent()
        if np.quantile(flux, 0.99) < _FAINT:
            self._lose()
            return
        scores, periodicity = self._tempogram.score(flux)
        best = int(np.argmax(scores))
        self._confidence += 0.35 * (float(np.clip(periodicity[best], 0, 1)) - self._confidence)
        if self._period:
            self._follow(scores, best)
        elif self._confidence > _SURE:
            self._period = self._refined(scores, best)
            self._misses = _PATIENCE
        if self._operator_period or self._period:
            self._follow_phase(flux)

    def _recent(self) -> np.ndarray:
        count = min(self._count, _FRAMES)
        at = self._count % _FRAMES
        return np.concatenate([self._flux[at:], self._flux[:at]])[-count:]

    def _lose(self) -> None:
        self._confidence *= 0.65
        if self._confidence < _UNSURE:
            self._period = 0.0

    def _follow(self, scores: np.ndarray, best: int) -> None:
        """Keep the tempo, bend it a little, or change it where another has been clearly better for 1.5 s."""
        if self._confidence < _UNSURE:
            self._period = 0.0
            return
        near = np.abs(np.log(self._tempogram.period / self._period)) < 0.04
        mine = int(np.argmax(np.where(near, scores, -1)))
        if scores[best] > 1.15 * scores[mine]:
            self._doubts += 1
            if self._doubts >= _PATIENCE:
                self._period, self._doubts, self._misses = self._refined(scores, best), 0, _PATIENCE
            return
        self._doubts = 0
        self._period += 0.25 * (self._refined(scores, mine) - self._period)

    def _refined(self, scores: np.ndarray, at: int) -> float:
        """The period at the top of the parabola through the best score and its neighbours."""
        if not 0 < at < len(scores) - 1:
            return float(self._tempogram.period[at])
        left, middle, right = scores[at - 1 : at + 2]
        bend = left - 2 * middle + right
        shift = 0.5 * (left - right) / bend if bend < -1e-9 else 0.0
        return float(self._tempogram.period[at] / 1.004 ** np.clip(shift, -0.5, 0.5))

    def _follow_phase(self, flux: np.ndarray) -> None:
        period = self._operator_period or self._period
        error = (_comb_phase(flux, period) + _DELAY_S / HOP_S / period - self._phase + 0.5) % 1 - 0.5
        if abs(error) < 0.2:
            self._misses = 0
            self._nudge(0.35 * error, period)
        elif len(self._taps_s) < 2:
            self._misses += 1
            if self._misses > _PATIENCE:
                self._misses = 0
                self._jump(self._phase + error)

    def _nudge(self, by: float, period: float) -> None:
        self._phase = max(0.0, self._phase + by)
        if self._phase >= 1:
            self._phase -= 1
            self._count_beat(period)

    def _jump(self, phase: float) -> None:
        self._phase = phase % 1


def _comb_phase(flux: np.ndarray, period: float) -> float:
    """Phase 0..1 reached at the last hop if beats fall where a comb of this period finds most flux, newest first."""
    offsets = np.arange(0, period, period / 64)
    teeth = np.arange(max(1, min(8, int((len(flux) - 1) / period))))
    back = offsets[:, None] + period * teeth
    smooth = np.convolve(flux, _SMOOTH, "same")
    energy = _at(smooth[::-1], back) @ (0.88**teeth)
    return float(offsets[int(np.argmax(energy))] / period)
