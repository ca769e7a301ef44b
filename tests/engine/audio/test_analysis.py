"""Gain, bands, onsets and tempo, against sounds whose truth is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.audio import HOP, HOP_S, SAMPLE_RATE
from engine.audio.analysis import DEFAULT, Analyser
from engine.core.messages import AudioFeatures, ShowState

LISTEN_S = 12.0


def seconds(duration_s: float) -> np.ndarray:
    return np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE


def hear(
    samples: np.ndarray, block: int = 4096, analyser: Analyser | None = None, state: ShowState = DEFAULT
) -> list[AudioFeatures]:
    analyser = analyser or Analyser()
    samples = samples.astype(np.float32)
    features = []
    for start in range(0, len(samples), block):
        part = samples[start : start + block]
        features += analyser.process(part, (start + len(part)) / SAMPLE_RATE, state)
    return features


def settled(features: list[AudioFeatures], after_s: float = 8.0) -> list[AudioFeatures]:
    return [f for f in features if f.time_s > after_s]


def place(
    duration_s: float, times_s: Sequence[float], sound: np.ndarray, levels: np.ndarray | None = None
) -> np.ndarray:
    out = np.zeros(round(duration_s * SAMPLE_RATE) + len(sound))
    for number, time_s in enumerate(times_s):
        start = round(time_s * SAMPLE_RATE)
        if 0 <= start < len(out) - len(sound):
            out[start : start + len(sound)] += sound if levels is None else sound * levels[number]
    return out[: round(duration_s * SAMPLE_RATE)]


def click_track(bpm: float, duration_s: float = LISTEN_S, amplitude: float = 0.7) -> np.ndarray:
    t = seconds(0.02)
    click = amplitude * np.sin(2 * np.pi * 1500 * t) * np.exp(-t / 0.004)
    return place(duration_s, list(np.arange(0, duration_s, 60 / bpm)), click)


def kick() -> np.ndarray:
    t = seconds(0.25)
    return 0.8 * np.sin(2 * np.pi * np.cumsum(50 + 90 * np.exp(-t / 0.03)) / SAMPLE_RATE) * np.exp(-t / 0.09)


def snare(rng: np.random.Generator) -> np.ndarray:
    t = seconds(0.2)
    rattle = 0.35 * rng.standard_normal(len(t)) * np.exp(-t / 0.05)
    return rattle + 0.4 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.06)


def hat(rng: np.random.Generator) -> np.ndarray:
    t = seconds(0.06)
    return 0.08 * np.diff(rng.standard_normal(len(t)) * np.exp(-t / 0.015), n=2, prepend=[0, 0])


def drums(bpm: float, swing: float, ghosts: float, seed: int = 0) -> np.ndarray:
    """Kick on one and three (and a pushed one), snare on two and four, swung eighths, ghost notes, human timing."""
    rng = np.random.default_rng(seed)
    beat_s = 60 / bpm
    beats = np.arange(int(LISTEN_S / beat_s))
    off_s = beat_s * (0.5 + swing / 6)
    kicks = [b * beat_s for b in beats if b % 2 == 0] + [b * beat_s + off_s for b in beats if b % 4 == 2]
    snares = [b * beat_s for b in beats if b % 2 == 1]
    hats = [max(0.0, b * beat_s + o + rng.normal(0, 0.004)) for b in beats for o in (0, off_s)]
    quiet = [b * beat_s + q * beat_s for b in beats for q in (0.25, 0.75) if rng.random() < ghosts]
    mix = place(LISTEN_S, kicks, kick()) + place(LISTEN_S, snares, snare(rng))
    mix += place(LISTEN_S, hats, hat(rng), 0.6 + 0.4 * rng.random(len(hats)))
    return 0.6 * (mix + place(LISTEN_S, quiet, snare(rng), 0.12 + 0.12 * rng.random(len(quiet))))


@cache
def pad() -> np.ndarray:
    t, out = seconds(LISTEN_S), np.zeros(round(LISTEN_S * SAMPLE_RATE))
    for bar, chord in enumerate([(220, 277, 330), (196, 247, 294), (174, 220, 262), (196, 247, 294)]):
        swell = np.clip(1 - np.abs((t / 2.7) % 4 - bar - 0.5), 0, 1)
        for hz in chord:
            out += swell * sum(np.sin(2 * np.pi * hz * h * t + 0.3 * np.sin(10 * np.pi * t)) / h for h in (1, 2, 3))
    return 0.06 * out


@cache
def voice(seed: int = 0) -> np.ndarray:
    """A sung line: glides between pitches with vibrato, syllables that come and go off the beat."""
    rng, t = np.random.default_rng(seed), seconds(LISTEN_S)
    notes, syllables = np.arange(0, LISTEN_S + 1, 0.43), np.arange(0, LISTEN_S + 1, 0.31)
    hz = 180 + 40 * np.interp(t, notes, rng.standard_normal(len(notes))) + 4 * np.sin(2 * np.pi * 5.5 * t)
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    return (
        0.12
        * sum(np.sin(h * phase) / h for h in range(1, 12))
        * np.interp(t, syllables, rng.random(len(syllables)) ** 2)
    )


def phase_errors_ms(features: list[AudioFeatures], bpm: float) -> np.ndarray:
    beat_s = 60 / bpm
    off = np.array([(f.beat_phase - f.time_s / beat_s + 0.5) % 1 - 0.5 for f in features])
    return np.abs(1000 * off * beat_s)


@pytest.mark.parametrize("bpm", [60, 67, 75, 90, 100, 113, 120, 128, 140, 155, 174, 180])
def test_click_tracks(bpm: float) -> None:
    features = settled(hear(click_track(bpm)))
    assert all(abs(f.bpm / bpm - 1) < 0.02 for f in features)
    assert min(f.tempo_confidence for f in features) > 0.7
    assert phase_errors_ms(features, bpm).max() < 50
    beats = features[-1].beat - features[0].beat
    assert beats == pytest.approx((features[-1].time_s - features[0].time_s) * bpm / 60, abs=1.01)
    hits = [f.time_s for f in features if f.hit]
    assert len(hits) == pytest.approx(beats, abs=1)
    off_s = [abs((t + 0.25 * 60 / bpm) % (60 / bpm) - 0.25 * 60 / bpm) for t in hits]
    assert max(off_s) < 0.03


@pytest.mark.parametrize(
    ("bpm", "swing", "ghosts"), [(92, 0, 0), (104, 1, 0.5), (118, 1, 0.5), (126, 0.3, 0.3), (140, 0, 0)]
)
@pytest.mark.parametrize("over", [False, True])
def test_drums_alone_and_under_pad_and_voice(bpm: float, swing: float, ghosts: float, over: bool) -> None:
    sound = drums(bpm, swing, ghosts) + (pad() + voice() if over else 0)
    features = settled(hear(sound))
    assert all(abs(f.bpm / bpm - 1) < 0.02 for f in features)
    assert np.quantile(phase_errors_ms(features, bpm), 0.95) < 50
    assert min(f.tempo_confidence for f in features) > 0.3


def test_no_tempo_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    n = len(seconds(LISTEN_S))
    brown = np.cumsum(rng.standard_normal(n))
    sounds = {
        "white": 0.1 * rng.standard_normal(n),
        "brown": 0.3 * (brown - np.convolve(brown, np.ones(999) / 999, "same")) / 100,
        "silence": np.zeros(n),
        "sine": 0.3 * np.sin(2 * np.pi * 440 * seconds(LISTEN_S)),
        "pad": pad(),
        "voice": voice(),
    }
    for name, sound in sounds.items():
        features = hear(sound)
        assert max(f.bpm for f in features) == 0, name
        assert max(f.tempo_confidence for f in features) < 0.3, name
        assert sum(f.hit for f in settled(features, 2)) < 5, name


def test_a_tempo_is_forgotten_when_the_music_stops_and_changed_when_it_changes() -> None:
    sound = np.concatenate([click_track(100, 10), click_track(140, 12), np.zeros(12 * SAMPLE_RATE)])
    features = hear(sound)
    bpm_at = {s: min(features, key=lambda f: abs(f.time_s - s)).bpm for s in (9, 21, 33.5)}
    assert bpm_at[9] == pytest.approx(100, rel=0.02)
    assert bpm_at[21] == pytest.approx(140, rel=0.02)
    assert bpm_at[33.5] == 0
    beats = [f.beat for f in features]
    assert all(0 <= b - a <= 1 for a, b in itertools.pairwise(beats))


def test_taps_set_tempo_and_phase_until_the_music_is_followed_again() -> None:
    analyser, taps_s = Analyser(), (0.1, 0.6, 1.1, 1.6)
    for number, tap_s in enumerate(taps_s):
        hear_until(analyser, tap_s, ShowState(taps_s=taps_s[:number]))
    features = hear_until(analyser, 4.0, ShowState(taps_s=taps_s))
    assert features[-1].bpm == pytest.approx(120, rel=1e-3)
    assert features[-1].tempo_confidence == 1
    assert phase_errors_ms([replace(f, time_s=f.time_s - 0.1) for f in features], 120).max() < 15
    assert hear_until(analyser, 5.0, ShowState(tempo_bpm=90))[-1].bpm == pytest.approx(90)
    assert hear_until(analyser, 6.0, ShowState())[-1].bpm == 0


def hear_until(analyser: Analyser, end_s: float, state: ShowState) -> list[AudioFeatures]:
    """Silence up to `end_s`."""
    start_s = analyser.window(0.01).time_s
    return analyser.process(np.zeros(round((end_s - start_s) * SAMPLE_RATE), np.float32), end_s, state)


def test_a_fixed_tempo_finds_the_phase_of_the_music() -> None:
    sound = np.concatenate([np.zeros(10_000), click_track(100)])
    features = settled(hear(sound, state=ShowState(tempo_bpm=100)))
    shifted = [replace(f, time_s=f.time_s - 10_000 / SAMPLE_RATE) for f in features]
    assert phase_errors_ms(shifted, 100).max() < 50


def test_the_cut_into_blocks_makes_no_difference() -> None:
    sound = drums(118, 0.3, 0.4)[: 8 * SAMPLE_RATE]
    at_once = hear(sound, len(sound))
    for block in (64, 1000, 44_100):
        cut = hear(sound, block)
        assert [replace(f, time_s=0) for f in cut] == [replace(f, time_s=0) for f in at_once]
        np.testing.assert_allclose([f.time_s for f in cut], [f.time_s for f in at_once], atol=1e-6)


def test_the_four_bands_hear_what_is_theirs() -> None:
    t = seconds(1.0)
    order = [60.0, 500.0, 3000.0, 9000.0]
    quiet = 0.001 * np.random.default_rng(0).standard_normal(len(t))
    sound = np.concatenate([quiet + 0.3 * np.sin(2 * np.pi * hz * t) for hz in order * 3])
    features = hear(sound)
    for number in range(12, 4, -1):
        middle = min(features, key=lambda f: abs(f.time_s - (number - 0.4)))
        loudest = (number - 1) % 4
        assert middle.bands[loudest] > 0.8
        assert max(b for i, b in enumerate(middle.bands) if i != loudest) < 0.55


def test_onset_strength_jumps_and_decays() -> None:
    features = settled(hear(click_track(60)), 5)
    hit = next(i for i, f in enumerate(features) if f.hit)
    assert max(f.onset for f in features[hit : hit + 2]) > 0.7
    assert features[hit + round(0.3 / HOP_S)].onset < 0.2


@pytest.mark.parametrize("level_db", [-45.0, -30.0, -6.0])
def test_gain_brings_any_mixer_to_one_level_and_does_not_pump(level_db: float) -> None:
    sound = drums(120, 0, 0)
    sound *= 10 ** (level_db / 20) / np.sqrt((sound**2).mean())
    analyser = Analyser()
    features, gains = [], []
    for start in range(0, len(sound) - 512, 512):
        part = sound[start : start + 512].astype(np.float32)
        features += analyser.process(part, (start + 512) / SAMPLE_RATE)
        gains.append(analyser.gain.gain_db)
    samples = analyser.window(3.0).samples
    assert 20 * np.log10(np.sqrt((samples**2).mean())) == pytest.approx(-18.5, abs=4)
    assert np.ptp(gains[round(8 / HOP_S) :]) < 1.5
    assert max(f.level for f in settled(features)) > 0.6


def test_gain_leaves_silence_and_noise_floors_alone() -> None:
    noise = np.random.default_rng(0).standard_normal(10 * SAMPLE_RATE).astype(np.float32)
    floor = 10 ** (-65 / 20) * noise
    after_music = np.concatenate([0.02 * noise[: 5 * SAMPLE_RATE], floor[: 4 * SAMPLE_RATE]])
    for sound in (np.zeros_like(noise), floor, after_music):
        analyser = Analyser()
        features = hear(sound, analyser=analyser)
        assert analyser.gain.gain_db == 0
        assert features[-1].state == "silence"
        assert features[-1].level < 0.01
        np.testing.assert_allclose(
            analyser.window(1.0).samples, sound[-len(sound) :][-SAMPLE_RATE - 1 :][-SAMPLE_RATE:], atol=1e-2
        )


def test_windows_share_samples_by_number() -> None:
    analyser, plain = Analyser(), ShowState(agc=False)
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, 40 * HOP + 100).astype(np.float32)
    analyser.process(sound[: 20 * HOP + 7], 1.0, plain)
    first = analyser.window(0.1)
    analyser.process(sound[20 * HOP + 7 :], 1.5, plain)
    second = analyser.window(12.0)
    assert (first.end_index, second.end_index) == (20 * HOP, 40 * HOP)  # what fills no hop yet is not counted
    np.testing.assert_allclose(second.samples, sound[: 40 * HOP], atol=1e-6)
    start = first.end_index - first.samples.size
    np.testing.assert_array_equal(first.samples, second.samples[start : first.end_index])
    assert analyser.latest().time_s == second.time_s == pytest.approx(1.5 - 100 / SAMPLE_RATE)


def test_trim_and_agc_switch() -> None:
    sound = 0.1 * np.sin(2 * np.pi * 440 * seconds(4))
    analyser = Analyser()
    hear(sound, analyser=analyser, state=ShowState(agc=False, audio_gain_db=6.0))
    assert np.abs(analyser.window(1.0).samples).max() == pytest.approx(0.1 * 10 ** (6 / 20), rel=0.01)


def test_states() -> None:
    t = seconds(2)
    sine = np.sin(2 * np.pi * 440 * t)
    features = hear(np.concatenate([0.3 * sine, np.clip(3 * sine, -1, 1), 0.3 * sine, 0 * sine]))
    at = {s: min(features, key=lambda f: abs(f.time_s - s)).state for s in (1.5, 3.5, 5.5, 7.8)}
    assert at == {1.5: "ok", 3.5: "clipping", 5.5: "ok", 7.8: "silence"}
    assert Analyser().process(np.zeros(512, np.float32), 0.0, lost=True)[0].state == "lost"


@pytest.mark.parametrize(("peak_db", "state"), [(1.0, "clipping"), (0.1, "clipping"), (-0.1, "ok")])
def test_a_mixer_a_decibel_too_loud_clips(peak_db: float, state: str) -> None:
    wave = 10 ** (peak_db / 20) * np.sin(2 * np.pi * 440 * seconds(0.5))
    assert hear(np.clip(wave, -1, 1))[-1].state == state


def test_one_sample_at_full_scale_is_a_crackle_not_a_clipping_mixer() -> None:
    sound = 0.3 * np.sin(2 * np.pi * 440 * seconds(0.5))
    sound[10_000] = 1.0
    assert {f.state for f in hear(sound)} == {"ok"}
    sound[10_000:10_003] = -1.0
    assert hear(sound)[-1].state == "clipping"


def test_loudness_is_of_the_input_in_full_scale_decibels() -> None:
    features = hear(0.1 * np.sin(2 * np.pi * 441 * seconds(2)))
    assert features[-1].loudness_db == pytest.approx(-23.0, abs=0.1)
    assert hear(np.zeros(4096))[-1].loudness_db == -90


def test_every_hop_brings_the_newest_samples_and_their_spectrum_and_keeps_its_own():
    tone = 0.25 * np.sin(2 * np.pi * 46 / 1024 * np.arange(22_050))
    heard = hear(tone, state=ShowState(agc=False))
    for number in (1, 20, 42):
        shape, end = heard[number].shape, (number + 1) * HOP
        assert np.array_equal(shape.wave, tone[end - 2 * HOP : end].astype(np.float32))
        assert shape.spectrum.argmax() == 46
        assert shape.spectrum.max() == pytest.approx(0.125, rel=0.02), "half of the amplitude"
