"""What teachers hear is learned: maps, features and classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tpos_models.pocket.audio_networks import AudioEncoderNet
from tpos_models.training import loop
from tpos_models.training.audio.data import synthetic_clips
from tpos_models.training.audio.encoder import AudioEncoderStage
from tpos_models.training.audio.mixtures import Mixtures, stage_grids
from tpos_models.training.audio.taught import MAP_WEIGHTS, Read, Taught, TaughtStage


def drawn(count: int, size: int = 3, maps: bool = True) -> Mixtures:
    rng = np.random.default_rng(0)
    db = rng.uniform(-80, -10, (count, 64, 153)).astype(np.float16)
    features = rng.normal(2.0, 3.0, (count, size)).astype(np.float16)
    layers = [rng.normal(1.0, 2.0, (count, 5, *grid)).astype(np.float16) for grid in stage_grids()] if maps else []
    return Mixtures(db, rng.uniform(0, 1, (count, 2)).astype(np.float16), features, tuple(layers))


def learned(stage: loop.Stage, batch: loop.Batch) -> list[dict[str, float]]:
    """The losses of a dozen steps on one batch."""
    optimizer, found = torch.optim.AdamW(stage.module.parameters(), lr=2e-3), []
    for _ in range(12):
        losses = stage.losses(batch)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        found.append({name: value.item() for name, value in losses.items()})
    return found


def test_what_is_taught_is_lost_only_where_it_differs() -> None:
    told = drawn(200)
    taught = Taught(AudioEncoderNet().encoder, told)
    batch = told.batch(np.random.default_rng(0), 50)

    def standard(values: torch.Tensor, known: np.ndarray) -> torch.Tensor:
        """By mean and spread of each number, of maps of each channel."""
        each = np.moveaxis(known.astype(np.float32), 1, 0).reshape(known.shape[1], -1)
        shape = (1, -1) + (1,) * (known.ndim - 2)
        return (values - torch.from_numpy(each.mean(1)).view(shape)) / torch.from_numpy(each.std(1) + 0.05).view(shape)

    maps = [standard(one, known) for one, known in zip(batch.maps, told.maps, strict=True)]
    exact = torch.cat([standard(batch.features, told.features), torch.logit(batch.scores.clamp(1e-4, 1 - 1e-4))], 1)
    p = batch.scores
    entropy = float(-(p * p.log() + (1 - p) * (1 - p).log()).nansum(1).mean())
    losses = taught.losses((maps, exact, exact), batch)
    assert float(losses["features"]) == pytest.approx(0, abs=1e-5)
    assert float(losses["maps"]) == pytest.approx(0, abs=1e-5)
    assert float(losses["classes"]) == pytest.approx(1.5 * entropy, rel=1e-3)  # pooled, and half of the segments'
    off = exact.clone()
    off[:, 0] += 0.5
    assert float(taught.losses((maps, off, exact), batch)["features"]) == pytest.approx(0.25 / 3, rel=1e-3)
    assert float(taught.losses((maps, exact, off), batch)["features"]) == pytest.approx(0.125 / 3, rel=1e-3)
    for k in range(3):
        other = [one + 0.5 * (number == k) for number, one in enumerate(maps)]
        assert float(taught.losses((other, exact, exact), batch)["maps"]) == pytest.approx(MAP_WEIGHTS[k] / 4, rel=1e-3)


def test_pictures_of_mixtures_are_as_the_encoder_sees_them() -> None:
    told = drawn(6)
    pictures, scores, features, maps = told.batch(np.random.default_rng(0), 12)
    assert pictures.shape == (12, 64, 153)
    assert pictures.min() >= 0
    assert pictures.max() == 1
    rows = [int(np.flatnonzero((told.features == one).all(1))[0]) for one in features.numpy().astype(np.float16)]
    np.testing.assert_array_equal(scores, told.scores[rows].astype(np.float32))
    for got, known in zip(maps, told.maps, strict=True):
        np.testing.assert_array_equal(got, known[rows].astype(np.float32))
    masked = [(one == 0).all(0).any() or (one == 0).all(1).any() for one in pictures]
    assert 1 <= sum(masked) <= 4  # a third


def test_a_sixth_of_the_mixtures_fades_into_the_past() -> None:
    told = drawn(6)
    even = replace(told, db=np.full_like(told.db, -20))
    pictures = even.batch(np.random.default_rng(0), 12).pictures
    darker = [float(one[:, 0].max()) < 0.9 < float(one[:, -1].max()) for one in pictures]
    assert sum(darker) == 2


def test_what_is_read_on_the_way_is_what_the_encoder_makes_of_it() -> None:
    encoder = AudioEncoderNet().encoder.eval()
    pictures = torch.rand(5, 64, 153, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        read = Read.of(encoder, pictures)
        torch.testing.assert_close(read.segments, encoder.segment(pictures))
        later = read.after(2)
    assert [len(one) for one in (*later.stages, later.pooled, later.segments)] == [3] * 5
    assert [one.shape[2:] for one in read.stages] == [torch.Size(grid) for grid in stage_grids()]


@pytest.mark.parametrize("maps", [True, False])
def test_the_backbone_learns_what_teachers_hear(maps: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    told, encoder = drawn(4, maps=maps), AudioEncoderNet().encoder
    stage = TaughtStage(encoder, Taught(encoder, told), told, batch=8)
    batch = stage.make_batch(0, torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    found = learned(stage, batch)
    assert ("maps" in found[0]) == maps
    assert all(found[-1][name] < 0.8 * found[0][name] for name in found[0] if name != "classes")
    changed = {name.split(".")[0] for name, value in encoder.state_dict().items() if not value.equal(before[name])}
    assert changed == {"conv", "feature_extractor"}
    stage.sheet(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_the_encoder_goes_on_learning_it_beside_its_scenes() -> None:
    torch.manual_seed(0)
    clips = synthetic_clips(range(1), 2.0, ("rain",))
    told = drawn(4)
    stage = AudioEncoderStage(clips, lambda prompts: torch.eye(len(prompts), 128), told, batch=4, mixed=4)
    batch = stage.make_batch(0, torch.Generator().manual_seed(0))
    found = learned(stage, batch)
    assert found[-1]["taught"] < 0.7 * found[0]["taught"]
    untaught = AudioEncoderStage(clips, lambda prompts: torch.eye(len(prompts), 128), batch=4)
    assert "taught" not in untaught.losses(untaught.make_batch(0, torch.Generator().manual_seed(0)))
