"""The training loop: it learns, can be cut anywhere, and goes on as if it had not been."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.errors import ModelError, StorageError
from tpos_models.training.loop import Paced, Recipe, Trainer, learning_rate, run

RECIPE = Recipe(steps=60, lr=1e-1, warmup=5, sheet_every=30, ema=0.9)


class Forgetful(torch.nn.Linear):
    """Draws random numbers of its own in training."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(F.dropout(x, 0.01, self.training))


class Sums:
    """Learns to add four numbers."""

    name = "sums"

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.module: torch.nn.Module = Forgetful(4, 1)
        self.stop_at: int | None = None

    def make_batch(self, step: int, generator: torch.Generator) -> torch.Tensor:
        if step == self.stop_at:
            raise KeyboardInterrupt
        return torch.randn(32, 4, generator=generator)

    def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        loss = ((self.module(batch) - batch.sum(1, keepdim=True)) ** 2).mean()
        return {"loss": loss}

    def sheet(self, path) -> None:
        path.write_bytes(b"a picture")


def test_it_learns_and_leaves_its_trail(tmp_path):
    average = run(Sums(), tmp_path, RECIPE)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"] / 10
    assert torch.allclose(average["weight"], torch.ones(1, 4), atol=0.3)
    assert (tmp_path / "losses.png").stat().st_size > 1000
    assert (tmp_path / "sheet-000060.png").exists()


def test_cut_anywhere_it_ends_where_it_would_have(tmp_path):
    whole = run(Sums(), tmp_path / "whole", RECIPE)
    cut = Sums()
    cut.stop_at = 37
    with pytest.raises(KeyboardInterrupt):
        run(cut, tmp_path / "cut", RECIPE)
    resumed = run(Sums(), tmp_path / "cut", RECIPE)
    assert all(torch.equal(resumed[key], whole[key]) for key in whole)


def test_a_loss_that_is_no_number_stops_before_it_spoils_the_weights(tmp_path):
    stage = Sums()
    trainer = Trainer(stage, tmp_path, RECIPE)
    stage.losses = lambda batch: {"loss": stage.module(batch).sum() * torch.nan}
    with pytest.raises(ModelError, match="step 0"):
        trainer.run()
    assert torch.isfinite(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["module"]["weight"]).all()


class Judged(Sums):
    """Its second validation finds it best."""

    def __init__(self, scores: tuple[float, ...] = (0.5, 0.9, 0.7)) -> None:
        super().__init__()
        self.scores = iter(scores)
        self.seen: list[dict[str, torch.Tensor]] = []

    def validate(self) -> dict[str, float]:
        assert not self.module.training
        self.seen.append({key: value.clone() for key, value in self.module.state_dict().items()})
        return {"recall": next(self.scores), "other": 1.0}


def test_the_best_is_kept_and_returned(tmp_path):
    recipe = replace(RECIPE, sheet_every=20)
    stage = Judged()
    best = run(stage, tmp_path, recipe)
    assert [len(stage.seen), torch.equal(stage.seen[1]["weight"], stage.seen[2]["weight"])] == [3, False]
    assert torch.equal(best["weight"], stage.seen[1]["weight"])
    assert weights.read_record(tmp_path / "best.json").items() >= {"step": 40, "recall": 0.9, "other": 1.0}.items()
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [row["recall"] for row in rows] == [0.5, 0.9, 0.7]
    longer = run(Judged((0.8,)), tmp_path, replace(recipe, steps=80))
    assert torch.equal(longer["weight"], best["weight"])
    (tmp_path / "checkpoint.pt").unlink()
    anew = Judged((0.1, 0.2, 0.3))
    assert torch.equal(run(anew, tmp_path, recipe)["weight"], anew.seen[2]["weight"])


def test_what_is_resumed_is_copied_to_where_the_training_has_it(tmp_path):
    run(Sums(), tmp_path, RECIPE)
    trainer = Trainer(Sums(), tmp_path, RECIPE)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["average"]
    places = {key: value.zero_().data_ptr() for key, value in trainer.average.items()}
    trainer._resume()
    assert {key: value.data_ptr() for key, value in trainer.average.items()} == places
    assert all(torch.equal(trainer.average[key], saved[key]) for key in saved)


@pytest.mark.gpu
def test_a_resumed_training_goes_on_on_the_gpu(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")

    class OnGpu(Sums):
        def make_batch(self, step: int, generator: torch.Generator) -> torch.Tensor:
            return torch.randn(32, 4, generator=generator, device=generator.device)

    run(OnGpu(), tmp_path, replace(RECIPE, steps=30))
    average = run(OnGpu(), tmp_path, RECIPE)
    assert average["weight"].is_cuda
    assert torch.allclose(average["weight"].cpu(), torch.ones(1, 4), atol=0.3)


def test_a_checkpoint_is_written_whole_once_or_not_at_all(tmp_path):
    run(Sums(), tmp_path, replace(RECIPE, steps=30))
    written = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    run(Sums(), tmp_path, replace(RECIPE, steps=30))
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == written
    (tmp_path / "checkpoint.part").mkdir()
    with pytest.raises(StorageError, match=r"checkpoint.pt: cannot be written"):
        run(Sums(), tmp_path, RECIPE)
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", ["cut short", "no checkpoint", "of another"])
def test_a_checkpoint_that_does_not_fit_is_named(tmp_path, damage):
    run(Sums(), tmp_path, replace(RECIPE, steps=2))
    path, other = tmp_path / "checkpoint.pt", Sums()
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "no checkpoint":
        path.write_text(damage)
    else:
        other.module = torch.nn.Linear(5, 1)
    with pytest.raises(ModelError, match=r"checkpoint.pt: not a checkpoint of this training"):
        Trainer(other, tmp_path, RECIPE)


def test_each_optimiser_keeps_its_own_pace_and_bound(tmp_path):
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steep, self.flat = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))

    two = Two()

    class Downhill(Sums):
        def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": (1000 * two.steep + 0.5 * two.flat).sum()}

    def paced(module: Two, recipe: Recipe) -> list[Paced]:
        return [
            Paced(torch.optim.SGD([part], 1.0), rate)
            for part, rate in ((module.steep, lambda step: 1.0 + step), (module.flat, lambda step: 0.1))
        ]

    stage = Downhill()
    stage.module = two
    Trainer(stage, tmp_path, replace(RECIPE, steps=3), paced).run()
    module = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["module"]
    assert float(module["steep"]) == pytest.approx(-(1 + 2 + 3) * 1.0, rel=1e-4)  # its gradient is cut down to 1
    assert float(module["flat"]) == pytest.approx(-3 * 0.1 * 0.5, rel=1e-4)


def test_the_rate_warms_up_and_decays():
    rates = [learning_rate(RECIPE, step) for step in range(RECIPE.steps)]
    assert rates[0] == pytest.approx(RECIPE.lr / RECIPE.warmup)
    assert max(rates) == pytest.approx(RECIPE.lr)
    assert rates[-1] < RECIPE.lr / 50
