from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tpos_models.errors import MissingFileError
from tpos_models.pocket.scene import CONDITIONS
from tpos_models.training import loop
from tpos_models.training.hearing import HearingStage, TemporalStage, self_contrast
from tpos_models.training.hearing_data import (
    Clip,
    Composer,
    phrases,
    recordings,
    spec_augment,
    strength_of,
    synthetic_clips,
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return synthetic_clips(range(2), 2.0, ("rain", "night", "kick"))


def joint(prompts: list[str]) -> torch.Tensor:
    """Every phrase of a label is the same corner of a cube."""
    order = ["kick", "night", "rain", "silence"]
    return torch.eye(4, 128)[[next(i for i, name in enumerate(order) if p in phrases(name)) for p in prompts]]


def test_scenes_share_one_label_among_their_sounds(clips: list[Clip]) -> None:
    composer = Composer(clips, segments=2)
    batch = composer.batch(np.random.default_rng(0), 40)
    assert batch.pictures.shape == (40, 2, 128, 153)
    assert batch.pictures.min() >= 0
    assert batch.pictures.max() <= 1
    np.testing.assert_allclose(batch.labels.sum(1), 1, atol=1e-6)
    silent = batch.labels[:, composer.bank.index("silence")] == 1
    assert 0 < silent.sum() < 20
    assert not batch.strengths[silent].any()
    assert batch.pictures[silent].mean() < batch.pictures[~silent].mean()
    rain = batch.labels[:, composer.bank.index("rain")] > 0
    assert (batch.strengths[~rain, CONDITIONS.index("rain")] == 0).all()


def test_masks_stay_within_their_limits() -> None:
    pictures = np.ones((6, 1, 128, 153), np.float32)
    masked = spec_augment(np.random.default_rng(0), pictures)
    assert (pictures == 1).all()
    rows_gone = (masked == 0).all(axis=(1, 3)).mean(axis=1)
    columns_gone = (masked == 0).all(axis=(1, 2)).mean(axis=1)
    assert rows_gone.max() <= 0.30
    assert columns_gone.max() <= 0.60
    assert (masked == 0).any()


def test_strength_follows_level() -> None:
    levels = [strength_of(db) for db in (-80, -52, -34, -16, 0)]
    assert levels == [0, 0, 0.5, 1, 1.25]


def test_recordings_are_read_by_label_and_fold(tmp_path: Path) -> None:
    (tmp_path / "sea_waves").mkdir()
    for name in ("1-a.wav", "2-b.wav"):
        soundfile.write(tmp_path / "sea_waves" / name, np.random.default_rng(0).uniform(-0.1, 0.1, (8000, 2)), 16_000)
    found = recordings(tmp_path, folds=("2",), speeds=(1.0, 0.9))
    assert [clip.group for clip in found] == ["2-b.wav"] * 2
    assert {clip.label for clip in found} == {"waves"}
    assert found[1].db.shape[1] > found[0].db.shape[1]
    with pytest.raises(MissingFileError, match="LABEL/NAME"):
        recordings(tmp_path / "none")


def test_views_of_one_scene_attract_and_equal_labels_do_not_repel() -> None:
    one = torch.eye(3)
    labels = torch.eye(3)
    assert self_contrast(one, one, labels) < self_contrast(one, one.roll(1, 0), labels)
    twins = torch.tensor([[1.0, 0], [1.0, 0]])
    assert self_contrast(twins, twins, torch.tensor([[1.0, 0], [1.0, 0]])) < 1e-3


def test_a_minute_of_training_lowers_every_loss(tmp_path: Path, clips: list[Clip]) -> None:
    recipe = loop.Recipe(steps=24, lr=2e-3, warmup=4, sheet_every=1000, ema=0.8)
    first = HearingStage(clips, joint, batch=6)
    before = measured(first)
    whole = first.module
    whole.load_state_dict(loop.run(first, tmp_path / "segments", recipe))
    after = measured(first)
    assert after["text"] < before["text"]
    assert after["map"] < before["map"]
    assert after["loss"] < before["loss"]
    second = TemporalStage(first.net, clips, joint, scenes=64, batch=32)
    before = measured(second)
    loop.run(second, tmp_path / "time", loop.Recipe(steps=30, lr=3e-3, warmup=2, sheet_every=1000))
    assert measured(second)["loss"] < before["loss"]
    second.set_gate()
    assert torch.isfinite(first.net.gate).all()
    assert list((tmp_path / "time").glob("sheet-*.png"))


def measured(stage: loop.Stage) -> dict[str, float]:
    """Losses on one fixed batch, in training mode as the loop sees them."""
    batch = stage.make_batch(0, torch.Generator().manual_seed(99))
    with torch.no_grad():
        return {name: float(value) for name, value in stage.losses(batch).items()}
