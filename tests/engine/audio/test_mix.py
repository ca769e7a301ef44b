"""Stems beside the main mix: each is heard as if it were alone, and the main mix as if there were none."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from engine.audio import HOP, SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.capture import Capture
from engine.audio.mix import Mix, check_stems, reach
from engine.audio.resample import Intake, mono
from engine.audio.sources import Source, SourceCounters
from engine.core.course import Follow
from engine.core.messages import SILENCE, AudioFeatures, ShowState, SoundState
from engine.core.stems import Stem
from tpos_models.errors import DeviceError
from tpos_models.pocket.synth.sounds import synthesise

KICK, VOICE = Stem("kick", (1, 2)), Stem("voice", (3, 4))
BOTH = ShowState(stems=(KICK, VOICE))
SECONDS = 4


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """A kick drum's pair of channels, and a voice's, its left twice its right: (n, 4)."""
    kick, voice = synthesise("kick", SECONDS, 1), synthesise("voice", SECONDS, 2)
    return np.stack([kick, kick, voice, voice / 2], axis=1).astype(np.float32)


def fed(mix: Mix, sound: np.ndarray, *states: ShowState, block: int = 256, rate: int = SAMPLE_RATE):
    """Features and stretches of a sound at `rate`, in blocks, the states one after the other over its length."""
    intake = Intake(rate, sound.shape[1])
    features, stretches = [], []
    for start in range(0, len(sound), block):
        piece, state = sound[start : start + block], states[start * len(states) // len(sound)]
        features += mix.process(mono(intake.push(piece)), piece, (start + len(piece)) / rate, state)
        stretches.append(mix.stretch)
    return features, stretches


def alone(sound: np.ndarray, beats: bool = False) -> list[AudioFeatures]:
    """What an analysis of nothing else says, a hop at a time."""
    analyser = Analyser(beats)
    ends = range(HOP, len(sound) + 1, HOP)
    return [one for end in ends for one in analyser.process(sound[end - HOP : end], end / SAMPLE_RATE)]


def of_stem(features: list[AudioFeatures], name: str) -> list[AudioFeatures]:
    return [dict(one.stems)[name] for one in features]


def untimed(features: list[AudioFeatures]) -> list[AudioFeatures]:
    return [replace(one, time_s=round(one.time_s, 6)) for one in features]


@pytest.mark.parametrize("block", [256, 1000, 5000])
def test_a_stem_is_heard_hop_by_hop_as_if_it_were_alone(sound: np.ndarray, block: int) -> None:
    features, _ = fed(Mix(Analyser(), SAMPLE_RATE, 4), sound, BOTH, block=block)
    assert untimed(of_stem(features, "kick")) == untimed(alone(sound[:, 0]))
    assert untimed(of_stem(features, "voice")) == untimed(alone((sound[:, 2] + sound[:, 3]) / 2))
    onsets = [one.strength(Follow.ONSET, "kick") for one in features]
    assert max(onsets) > 0.5
    assert onsets == [one.onset for one in alone(sound[:, 0])]


def test_the_main_mix_is_what_it_is_without_stems(sound: np.ndarray) -> None:
    plain, beside = Mix(Analyser(), SAMPLE_RATE, 4), Mix(Analyser(), SAMPLE_RATE, 4)
    without, _ = fed(plain, sound, ShowState())
    with_stems, _ = fed(beside, sound, BOTH)
    assert untimed(without) == untimed(alone(mono(Intake(SAMPLE_RATE, 4).push(sound)), beats=True))
    assert without == [replace(one, stems=()) for one in with_stems]
    np.testing.assert_array_equal(plain.window(3.0).samples, beside.window(3.0).samples)
    assert plain.window(3.0).stems == ()


def test_the_window_of_a_stem_is_its_own_stretch_of_the_same_time(sound: np.ndarray) -> None:
    mix = Mix(Analyser(), SAMPLE_RATE, 4)
    fed(mix, sound, replace(BOTH, agc=False))
    window = mix.window(1.0)
    name, voice = window.stems[1]
    assert name == "voice"
    assert (voice.end_index, voice.time_s, len(voice.samples)) == (window.end_index, window.time_s, SAMPLE_RATE)
    end = window.end_index
    np.testing.assert_allclose(voice.samples, 0.75 * sound[end - SAMPLE_RATE : end, 2], atol=1e-6)


SAME = ShowState(stems=(Stem("same", (1,)),))


@pytest.mark.parametrize("first", [SAME, ShowState()])
def test_a_stem_keeps_step_with_the_main_mix_through_a_resampler(first: ShowState) -> None:
    """Where both hear the same they are the same; one that begins later is late by what its resampler holds back."""
    sound = synthesise("rain", 2.0, 3, 48_000)[:, None]
    mix, intake, pairs = Mix(Analyser(), 48_000, 1), Intake(48_000, 1), []
    for start in range(0, len(sound), 160):  # 147 samples at 44.1 kHz
        block = sound[start : start + 160]
        heard = mono(intake.push(block))
        mix.process(heard, block, start / 48_000, first if start < 48_000 else SAME)
        if mix.stretch.shape[1]:
            pairs.append(np.stack([heard, mix.stretch[:, 0]]))
    heard, stem = np.concatenate(pairs, axis=1)
    late = max(range(3000), key=lambda lag: float(heard[: len(heard) - lag] @ stem[lag:]))
    assert (late > 0) == (first is not SAME)
    np.testing.assert_allclose(stem[late + 2000 :], heard[2000 : len(heard) - late], atol=1e-3)
    assert not stem[:late].any()


def test_a_stem_begins_and_ends_as_the_state_says(sound: np.ndarray) -> None:
    mix = Mix(Analyser(), SAMPLE_RATE, 4)
    features, stretches = fed(mix, sound, ShowState(), BOTH, replace(BOTH, stems=(VOICE,)), ShowState())
    assert [tuple(dict(one.stems)) for one in features[20::86]] == [(), ("kick", "voice"), ("voice",), ()]
    assert [stretch.shape[1] for stretch in stretches[10::172]] == [0, 2, 1, 0]
    kept = features[3 * len(features) // 4 - 10]
    assert dict(kept.stems)["voice"].level > 0.5, "it went on as its neighbour ended"
    assert features[-1].strength(Follow.LEVEL, "voice") == 0.0


def test_a_patch_says_where_a_stem_lies(sound: np.ndarray) -> None:
    state = replace(BOTH, patch=(Stem("voice", (1,)), Stem("organ", (2,))))
    features, _ = fed(Mix(Analyser(), SAMPLE_RATE, 4), sound, state)
    assert of_stem(features, "voice") == of_stem(features, "kick")
    assert "organ" not in dict(features[-1].stems)


def test_channels_that_are_not_there_are_silent(sound: np.ndarray) -> None:
    state = ShowState(stems=(Stem("gone", (5, 6)), Stem("half", (1, 9))))
    features, _ = fed(Mix(Analyser(), SAMPLE_RATE, 4), sound, state)
    assert {one.state for one in of_stem(features, "gone")} == {SoundState.SILENCE}
    assert untimed(of_stem(features, "half")) == untimed(alone(sound[:, 0]))


def test_no_beat_is_counted_in_a_stem(sound: np.ndarray) -> None:
    features, _ = fed(Mix(Analyser(), SAMPLE_RATE, 4), np.tile(sound, (4, 1)), BOTH)
    assert features[-1].bpm > 0
    assert {one.bpm for one in of_stem(features, "kick")} == {SILENCE.bpm}


class Desk(Source):
    """Four channels, given by hand."""

    def __init__(self) -> None:
        super().__init__("desk", SAMPLE_RATE, 4, (0, 1))

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def counters(self) -> SourceCounters:
        return SourceCounters()


def test_what_is_kept_of_stems_lies_beside_what_is_kept_of_the_main_mix(sound: np.ndarray) -> None:
    """From before the first stem on, and whichever there are."""
    desk, states = Desk(), [ShowState()]
    with Capture(desk, state=lambda: states[-1]) as capture:

        def give(start: int, end: int) -> None:
            for at in range(start, end, 256):
                desk.ring.write(sound[at : at + 256], at / SAMPLE_RATE, at / SAMPLE_RATE)
            deadline_s = time.monotonic() + 20
            while capture.counters().samples < end:
                assert time.monotonic() < deadline_s
                time.sleep(0.001)

        give(0, 51_200)
        assert capture.stems(0, 100) is None
        states.append(BOTH)
        give(51_200, 102_400)
        states.append(replace(BOTH, stems=(VOICE,)))
        give(102_400, 153_600)
    raw, start = capture.raw(40_000)
    stems = capture.stems(start, len(raw))
    assert stems is not None
    assert stems.shape == (len(raw), 4)
    began, ended = 51_200 - 40_000, 102_400 - 40_000
    voice = np.concatenate([stems[began:ended, 1], stems[ended:, 0]])
    np.testing.assert_allclose(stems[began:ended, 0], raw[began:ended, 0], atol=1e-6)
    np.testing.assert_allclose(voice, 0.75 * sound[51_200:153_600, 2], atol=1e-6)
    assert not stems[:began].any()
    assert not stems[:, 2:].any()
    assert capture.trouble == ""
    states.append(ShowState(stems=(Stem("choir", (4, 6)),)))
    assert capture.trouble == "stem choir: desk has channels 1..4, not 6: silent there"


def test_an_input_must_have_the_channels_of_its_stems() -> None:
    assert reach((KICK, VOICE)) == 4
    assert reach(()) == 0
    check_stems((KICK, VOICE), "desk", 4)
    with pytest.raises(DeviceError, match=r"^stem voice: desk has channels 1\.\.3, not 4; --stem voice=1 would be"):
        check_stems((KICK, VOICE), "desk", 3)
