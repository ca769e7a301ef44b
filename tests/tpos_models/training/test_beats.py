"""What the beat network is taught, and how beats are scored, against cases counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tpos_models.beats.bands import HOP_S
from tpos_models.beats.network import DELAY_HOPS, load_network, tempo_class
from tpos_models.errors import InputError, MediaError, MissingFileError, ModelError
from tpos_models.training import recipes
from tpos_models.training.beats.augment import HOPS, Augmenter, truth
from tpos_models.training.beats.beats import RECIPE, train_beats
from tpos_models.training.beats.data import Excerpt, beatless, clicks, drones, excerpts, labelled, recordings
from tpos_models.training.beats.evaluation import Announced, f_measure, mean, score, tempo_changes

RATE = 44_100


@pytest.mark.parametrize(
    ("found_s", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0], 1.0),
        ([1.06, 1.94, 3.06, 3.94], 1.0),
        ([1.08, 2.08, 3.08, 4.08], 0.0),
        ([1.0, 3.0], 2 * 2 / 6),  # half as fast: all right, half missing
        ([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0], 2 * 4 / 11),
        ([1.0, 1.02, 2.0, 3.0, 4.0], 2 * 4 / 9),  # one true beat serves one
        ([], 0.0),
    ],
)
def test_f_measure(found_s: list[float], expected: float) -> None:
    assert f_measure(np.array(found_s), np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(expected)


def said(bpm: float, first_s: float = 0.0, seconds: float = 40.0, known_from_s: float = 0.0) -> Announced:
    """A tracker that announces a beat in time, each fourth a downbeat."""
    times_s = np.arange(1, round(seconds / HOP_S)) * HOP_S
    beats = np.floor((times_s - first_s) * bpm / 60).astype(int)
    return Announced(times_s, np.where(times_s < known_from_s, 0, bpm), beats, beats // 4)


def test_a_tracker_that_is_right_has_full_marks_and_one_an_octave_off_has_not() -> None:
    beats_s = np.arange(0.2, 39.8, 0.5)
    right = score(said(120, 0.2), beats_s, beats_s[::4])
    assert (right.beat_f, right.downbeat_f, right.has_tempo, right.octave, right.tempo_changes) == (1, 1, 1, 0, 0)
    half = score(said(60, 0.2, known_from_s=25.0), beats_s, beats_s[:0])
    assert half.beat_f == pytest.approx(2 / 3, abs=0.02)
    assert half.downbeat_f is None
    assert half.has_tempo == pytest.approx(0.5, abs=0.01)
    assert half.octave == 1
    off = score(said(120, 0.45), beats_s, beats_s[::4])
    assert (off.beat_f, off.octave) == (0, 0)
    assert mean([right, half, off])["octave_errors"] == pytest.approx(1 / 3)


def test_a_tempo_that_bends_has_not_changed_and_one_that_jumps_has() -> None:
    assert tempo_changes(np.array([0, 100, 103, 106, 109, 0, 0, 110, 55, 55, 110.0])) == 2


def test_targets_come_as_late_as_the_network_may_answer() -> None:
    beats_s = np.arange(0.25, 60, 0.5)
    excerpt = Excerpt("", np.zeros((5000, 40), np.float16), beats_s, beats_s[::4])
    start = 500
    targets, weights, tempo = truth(excerpt, start)
    hops = [int(b / HOP_S) + DELAY_HOPS - start for b in beats_s]
    assert set(np.flatnonzero(targets[0] == 1)) == {hop for hop in hops if 0 <= hop < HOPS}
    assert set(np.flatnonzero(targets[1] == 1)) == {hop for hop in hops[::4] if 0 <= hop < HOPS}
    assert set(targets[0, np.flatnonzero(targets[0] == 1)[1:] - 1]) == {0.5}
    assert targets[2].min() == weights.min() == 1
    assert set(tempo) == set(tempo_class(np.array([120.0])))


def test_what_is_not_known_is_not_asked_for() -> None:
    beats_s = np.arange(0.0, 10, 0.5)
    targets, weights, tempo = truth(Excerpt("", np.zeros((0, 40), np.float16), beats_s, beats_s[:0]), 0)
    assert weights[1].max() == 0 < weights[0].min()
    over = round(10.1 / HOP_S)
    assert targets[2, over:].max() == 0 < targets[2, : over - 40].min()
    assert set(tempo[over:]) == {-1}
    assert weights[2, over] == 0 < weights[2, -1]


def test_batches_are_finite_and_hold_music_and_what_is_none() -> None:
    rng = np.random.default_rng(0)
    augmenter = Augmenter([list(clicks(rng, 3))], list(drones(rng, 2, 3.0)))
    batch = augmenter.batch(rng, 12)
    assert batch.features.shape == (12, 80, HOPS)
    assert np.isfinite(batch.features).all()
    with_beats = batch.targets[:, 0].max(1) > 0
    assert 0 < with_beats.sum() < 12
    assert batch.targets[~with_beats].max() == 0
    assert np.abs(batch.features).max() < 10


def write(folder: Path, name: str, sound: np.ndarray, record: object = None) -> None:
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / f"{name}.wav", sound, RATE)
    if record is not None:
        (folder / f"{name}.json").write_text(json.dumps(record))


def test_loops_are_known_by_name_and_repeated_and_played_faster(tmp_path: Path) -> None:
    write(tmp_path, "loop_breakbeat", np.random.default_rng(0).uniform(-0.1, 0.1, round(1.9048 * RATE)))
    write(tmp_path, "unknown", np.zeros(1000))
    (loop,) = labelled(tmp_path)
    np.testing.assert_allclose(np.diff(loop.beats_s), 60 / 126, rtol=1e-3)
    np.testing.assert_allclose(loop.downbeats_s, loop.beats_s[::4])
    assert len(loop.samples()) / RATE > 45
    normal, faster, too_fast = *excerpts([loop], (1.0, 1.5)), list(excerpts([loop], (1.6,)))
    assert len(faster.amplitudes) == pytest.approx(len(normal.amplitudes) / 1.5, abs=2)
    np.testing.assert_allclose(np.diff(faster.beats_s), 60 / 189, rtol=1e-3)
    assert too_fast == []


def test_labels_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no sounds whose beats are known"):
        labelled(tmp_path)
    write(tmp_path, "song", np.zeros(1000), {"beats_s": [0.0]})
    with pytest.raises(ModelError, match=r"song\.json: .*`downbeats_s`; labels as"):
        labelled(tmp_path)
    write(tmp_path, "song", np.zeros(1000), {"beats_s": "all", "downbeats_s": []})
    with pytest.raises(ModelError, match=r"song\.json: .*`\$\.beats_s`; labels as"):
        labelled(tmp_path)


@pytest.mark.parametrize("name", ["loop_breakbeat.wav", "1-rain.wav"])
def test_sounds_that_cannot_be_read_are_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no sound")
    with pytest.raises(MediaError, match=rf"{name}: not a readable sound"):
        list(beatless(recordings(tmp_path))) if name[0] == "1" else labelled(tmp_path)


def test_a_training_of_two_steps_writes_a_network_that_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tpos_models.training.beats.augment.HOPS", 200)
    rng, beats_s = np.random.default_rng(0), np.arange(0.1, 6, 0.5)
    record = {"beats_s": beats_s.tolist(), "downbeats_s": beats_s[::4].tolist()}
    write(tmp_path / "music", "song", 0.1 * rng.standard_normal(6 * RATE), record)
    write(tmp_path / "rain", "1-rain", 0.1 * rng.standard_normal(2 * RATE))
    recipe, folders = replace(RECIPE, steps=2), ([tmp_path / "music"], [tmp_path / "rain"])
    train_beats(tmp_path / "runs", tmp_path / "out", *folders, ["3-"], recipe, synthetic=2)
    assert json.loads((tmp_path / "out" / "beats.json").read_text())["steps"] == 2
    assert -1 < load_network(tmp_path / "out").push(np.zeros(513, np.float32)).rhythm < 1
    with pytest.raises(MissingFileError, match="rain: no recordings"):
        train_beats(tmp_path / "runs", tmp_path / "out", *folders, ["3-", "1-"], recipe, synthetic=2)


def test_training_beats_needs_music_and_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sounds FOLDER"):
        recipes.train_beats(tmp_path, None, [], [tmp_path], None, ())
    with pytest.raises(InputError, match="--beatless FOLDER"):
        recipes.train_beats(tmp_path, None, [tmp_path], [], None, ())
