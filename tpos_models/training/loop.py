"""One training loop for every stage: seeded, resumable at any moment, with progress, curves and sample sheets.

`accelerate` places the module, so one process on a CPU and `accelerate launch` on many GPUs run the same lines.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tpos_models.errors import ModelError

Batch = Any


class Stage(Protocol):
    """What one stage trains. `losses` returns tensors by name; the one called "loss" is minimised."""

    name: str
    module: torch.nn.Module

    def make_batch(self, step: int, generator: torch.Generator) -> Batch:
        """Data of one step, on `generator.device`; must depend on `step` and `generator` only."""
        ...

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Scalar losses of one batch through `self.module`."""
        ...

    def sheet(self, path: Path) -> None:
        """Write a PNG that shows how far the training is, from held-out seeds."""
        ...


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: `steps` optimiser steps, peak `lr`, warm-up and cosine decay to `lr_end`."""

    steps: int
    lr: float = 1e-3
    lr_end: float = 1e-5
    warmup: int = 200
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0
    save_every_s: float = 120.0
    sheet_every: int = 1000


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine from `lr` to `lr_end`."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    done = min(1.0, (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.lr_end + (recipe.lr - recipe.lr_end) * 0.5 * (1 + math.cos(math.pi * done))


class Trainer:
    """Owns module, optimiser, running average and step of one stage.

    `folder` receives checkpoint.pt, log.jsonl, losses.png and sheet-*.png. A checkpoint found there is resumed: the
    recipe may be longer than it was, the step, the averages and the optimiser go on.
    """

    def __init__(self, stage: Stage, folder: Path, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.stage, self.folder, self.recipe = stage, folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator()
        optimizer = torch.optim.AdamW(
            stage.module.parameters(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
        )
        stage.module, self.optimizer = self.accelerator.prepare(stage.module, optimizer)
        self.step = 0
        self.average = {key: value.detach().clone() for key, value in self._module().state_dict().items()}
        if self._checkpoint.exists():
            self._resume()

    def run(self, report: Callable[[int, dict[str, float]], None] | None = None) -> dict[str, torch.Tensor]:
        """Train to `recipe.steps`, return the averaged weights; an interrupt saves and re-raises."""
        saved = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=not self.accelerator.is_main_process) as progress:
            bar = progress.add_task(self.stage.name, total=self.recipe.steps, completed=self.step)
            try:
                while self.step < self.recipe.steps:
                    losses = self._train_step()
                    if report:
                        report(self.step, losses)
                    text = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
                    progress.update(bar, completed=self.step, description=f"{self.stage.name} {self.step} {text}")
                    if self.step % self.recipe.sheet_every == 0:
                        self.sheet()
                    if time.monotonic() - saved > self.recipe.save_every_s:
                        self.save()
                        saved = time.monotonic()
            finally:
                self.save()
        self.sheet()
        return self.average

    def _train_step(self) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        rank = self.accelerator.process_index
        generator = torch.Generator(self.accelerator.device)
        generator.manual_seed((self.recipe.seed * 1_000_003 + self.step) * 4099 + rank)
        losses = self.stage.losses(self.stage.make_batch(self.step, generator))
        values = {name: float(value.detach()) for name, value in losses.items()}
        if not math.isfinite(values["loss"]):
            raise ModelError(f"{self.stage.name}: loss {values['loss']} at step {self.step}; lower the learning rate")
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(losses["loss"])
        self.accelerator.clip_grad_norm_(self.stage.module.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.step += 1
        self._follow()
        if self.accelerator.is_main_process and self.step % 20 == 0:
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": self.step, "time": round(time.time(), 1), **values}) + "\n")
        return values

    @torch.no_grad()
    def _follow(self) -> None:
        """Exponential moving average of the weights, with a short memory at first."""
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for key, value in self._module().state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 - keep)
            else:
                self.average[key].copy_(value)

    def _module(self) -> torch.nn.Module:
        return self.accelerator.unwrap_model(self.stage.module)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write checkpoint and loss curve, whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        temporary = self._checkpoint.with_suffix(".part")
        state = {
            "step": self.step,
            "module": self._module().state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, temporary)
        temporary.replace(self._checkpoint)
        plot_losses(self.folder / "log.jsonl", self.folder / "losses.png")

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location="cpu", weights_only=True)
        self._module().load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step = state["average"], state["step"]

    def sheet(self) -> None:
        """Draw the stage's sample sheet with the averaged weights."""
        if not self.accelerator.is_main_process:
            return
        module = self._module()
        training = {key: value.clone() for key, value in module.state_dict().items()}
        module.load_state_dict(self.average)
        module.eval()
        with torch.no_grad():
            self.stage.sheet(self.folder / f"sheet-{self.step:06d}.png")
        module.load_state_dict(training)
        module.train()


def processes() -> int:
    """How many processes share the training, as `accelerate launch` says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def channels_last(module: torch.nn.Module) -> torch.nn.Module:
    """The layout in which convolutions train fastest."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def run(stage: Stage, folder: Path, recipe: Recipe) -> dict[str, torch.Tensor]:
    """Train `stage` in `folder`, resuming what is there; returns the averaged weights."""
    return Trainer(stage, folder, recipe).run()


def plot_losses(log: Path, path: Path) -> None:
    """Loss curves of a log.jsonl as a PNG; nothing to draw is not an error."""
    if not log.exists():
        return
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = [json.loads(line) for line in log.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(8, 4))
    for name in [key for key in rows[-1] if key not in ("step", "time")]:
        axes.plot([row["step"] for row in rows], [row.get(name) for row in rows], label=name, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.legend()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
