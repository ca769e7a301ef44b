"""The stages of `pocket`'s ear, in order."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tpos_models import weights
from tpos_models.pocket.audio_networks import AudioEncoderNet, load_net
from tpos_models.pocket.model import WEIGHTS
from tpos_models.pocket.text import PocketText
from tpos_models.training import loop
from tpos_models.training.audio import hearing
from tpos_models.training.audio.corpus import Teachers, collect
from tpos_models.training.audio.encoder import AudioEncoderStage, TemporalStage
from tpos_models.training.audio.hearing import RECIPES, Heard, gently, mean_of_runs, train_audio_encoder
from tpos_models.training.audio.mixtures import stage_grids
from tpos_models.training.loop import Recipe


class Hums:
    def scores(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        return {"Hum": 0.9}


def test_the_backbone_goes_on_a_fifth_as_fast() -> None:
    net = AudioEncoderNet()
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    recipe = Recipe(10, lr=1e-3, warmup=0, weight_decay=0.0)
    paced = gently(net, recipe)
    torch.stack([value.sum() for value in net.parameters()]).sum().backward()
    for optimizer, rate in paced:
        optimizer.param_groups[0]["lr"] = rate(0)
        optimizer.step()
    for name, value in net.named_parameters():
        backbone = name.startswith(("encoder.conv.", "encoder.feature_extractor.")) and ".fc." not in name
        # the first step of Adam is as long as its rate
        moved = float((before[name] - value.detach()).mean())
        assert moved == pytest.approx(2e-4 if backbone else 1e-3, rel=0.02), name


class Points:
    """A stage whose end depends on what it saw, and which counts that, too."""

    name = "points"

    def __init__(self) -> None:
        self.norm, self.head = torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1)
        encoder = torch.nn.ModuleDict({"conv": self.norm})
        self.module: torch.nn.Module = torch.nn.ModuleDict({"encoder": encoder, "head": self.head})

    def make_batch(self, step: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randn(8, 2, generator=generator)

    def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (self.head(self.norm(batch)) - batch[:, :1]).square().mean()}

    def sheet(self, path: Path) -> None: ...


def test_of_several_runs_from_one_start_the_mean_is_kept(tmp_path: Path) -> None:
    recipe, ends, stage = Recipe(5, lr=0.3, seed=4), [], Points()
    module = stage.module
    start = {name: value.clone() for name, value in module.state_dict().items()}
    for seed in (4, 5):
        alone = Points()
        alone.module.load_state_dict(start)
        ends.append(loop.run(alone, tmp_path / f"alone {seed}", replace(recipe, seed=seed), gently))
    mean_of_runs(stage, tmp_path / "points", recipe)
    assert stage.module is module
    for name, value in module.state_dict().items():
        assert not torch.equal(ends[0][name], ends[1][name]) or name.endswith("num_batches_tracked")
        torch.testing.assert_close(value.double(), (ends[0][name].double() + ends[1][name].double()) / 2)


@pytest.mark.parametrize("mixed", [True, False])
def test_an_ear_is_trained_from_nothing_and_what_of_is_written_beside_it(
    mixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "TemporalStage", partial(TemporalStage, scenes=32, batch=8))
    corpus, rng = tmp_path / "corpus", np.random.default_rng(0)
    if mixed:
        (tmp_path / "sounds").mkdir()
        soundfile.write(tmp_path / "sounds" / "hum.wav", np.sin(np.arange(44_100) / 50), 44_100)
        collect(tmp_path / "sounds", corpus, Teachers([Hums()]))
        shapes = {"db": (64, 153), "scores": (2,), "features": (3,)}
        shapes |= {f"map{k}": (2, *grid) for k, grid in enumerate(stage_grids(), 1)}
        tensors = {name: torch.from_numpy(rng.uniform(0, 1, (6, *shape))).half() for name, shape in shapes.items()}
        weights.save(corpus, "mixtures-000", tensors, {"names": ["a", "b"]})
    shares: dict[str, float] = {}

    def noted(stage: AudioEncoderStage, folder: Path, recipe: Recipe) -> None:
        shares[folder.name] = stage.taken_over
        mean_of_runs(stage, folder, recipe)

    monkeypatch.setattr(hearing, "mean_of_runs", noted)
    heard = Heard(corpus=corpus if mixed else None)
    train_audio_encoder(tmp_path / "runs", tmp_path, PocketText.load(WEIGHTS), heard, RECIPES.of(1), seeds=1)
    record = weights.read_record(tmp_path / "hearing.json")
    assert record["steps"] == [1] * (4 if mixed else 2)
    assert shares == ({"segments": 0.25, "settled": 0.4} if mixed else {}), "takeovers come more often last"
    assert record["mixtures"] == (6 if mixed else 0)
    twice = ["segments-0", "segments-1", "settled-0", "settled-1", "taught"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [*(twice if mixed else ["segments"]), "time"]
    assert load_net(tmp_path).phrases.abs().sum() > 0
