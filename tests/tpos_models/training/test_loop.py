"""The training loop: it learns, can be cut anywhere, and goes on as if it had not been."""

from __future__ import annotations

import json

import pytest
import torch

from tpos_models.errors import ModelError
from tpos_models.training.loop import Recipe, Trainer, learning_rate, run

RECIPE = Recipe(steps=60, lr=1e-1, warmup=5, sheet_every=30, ema=0.9)


class Sums:
    """Learns to add four numbers."""

    name = "sums"

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.module: torch.nn.Module = torch.nn.Linear(4, 1)
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


def test_the_rate_warms_up_and_decays():
    rates = [learning_rate(RECIPE, step) for step in range(RECIPE.steps)]
    assert rates[0] == pytest.approx(RECIPE.lr / RECIPE.warmup)
    assert max(rates) == pytest.approx(RECIPE.lr)
    assert rates[-1] < RECIPE.lr / 50
