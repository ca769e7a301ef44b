"""One training loop for every stage: seeded, resumable at any moment, with progress, curves, validation and sheets.

`accelerate` places the module, so one process on a CPU and `accelerate launch` on many GPUs run the same lines. All
processes draw, step and validate alike; the main one writes.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tpos_models import weights
from tpos_models.errors import ModelError, StorageError

Batch = Any
CHECKPOINT = "checkpoint.pt"
BEST = "best"
"""Name of the averaged weights of the best validation, beside the checkpoint."""


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


@runtime_checkable
class Validated(Protocol):
    """A stage that is validated before each sheet."""

    def validate(self) -> dict[str, float]:
        """Scores by name, the same in every process: the higher the first, the better. {} where nothing is held out."""
        ...


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: `steps` optimiser steps, peak `lr`, warm-up and cosine decay to `lr_end`.

    `clip` bounds the norm of each optimiser's gradients. A checkpoint is written every `save_every_s`, and when a run
    ends or breaks; sheet and validation come every `sheet_every` steps.
    """

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


class Paced(NamedTuple):
    """An optimiser, and its learning rate at each step."""

    optimizer: torch.optim.Optimizer
    rate: Callable[[int], float]


Optimizers = Callable[[Any, Recipe], Sequence[Paced]]
"""From a stage's module and recipe: who trains which of its parameters."""


def adamw(module: torch.nn.Module, recipe: Recipe) -> list[Paced]:
    """One for all parameters, at `learning_rate`."""
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
    )
    return [Paced(optimizer, lambda step: learning_rate(recipe, step))]


class Trainer:
    """Owns module, optimisers, running average and step of one stage.

    `folder` receives checkpoint.pt, log.jsonl, losses.png and sheet-*.png; of a stage that is validated scores.jsonl,
    and best.safetensors with its record. A checkpoint found there is resumed: the recipe may be longer than it was, the
    step, the averages and the optimisers go on.
    """

    def __init__(self, stage: Stage, folder: Path, recipe: Recipe, optimizers: Optimizers = adamw) -> None:
        torch.manual_seed(recipe.seed)
        self.stage, self.folder, self.recipe = stage, folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator()
        paced = optimizers(stage.module, recipe)
        stage.module, *prepared = self.accelerator.prepare(stage.module, *(optimizer for optimizer, _ in paced))
        self._paced = [Paced(optimizer, rate) for optimizer, (_, rate) in zip(prepared, paced, strict=True)]
        self.step, self._saved_step = 0, -1
        self.average = {key: value.detach().clone() for key, value in self._module().state_dict().items()}
        if self._checkpoint.exists():
            self._resume()
        elif self.accelerator.is_main_process:
            self._best.unlink(missing_ok=True)

    def run(self, report: Callable[[int, dict[str, float]], None] | None = None) -> dict[str, torch.Tensor]:
        """Train to `recipe.steps`; an interrupt saves and re-raises.

        Returns the averaged weights: the newest or, of a stage that is validated, the best.
        """
        saved, looked = time.monotonic(), -1
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, disable=not self.accelerator.is_main_process) as progress:
            bar = progress.add_task(self.stage.name, total=self.recipe.steps, completed=self.step)
            try:
                while self.step < self.recipe.steps:
                    losses = self._train_step()
                    if report:
                        report(self.step, losses)
                    text = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
                    progress.update(bar, completed=self.step, description=f"{self.stage.name} {self.step} {text}")
                    if self.step % self.recipe.sheet_every == 0:
                        self._look(progress)
                        looked = self.step
                    if time.monotonic() - saved > self.recipe.save_every_s:
                        self.save()
                        saved = time.monotonic()
            finally:
                self.save()
            if looked != self.step:
                self._look(progress)
        return weights.load(self.folder, BEST)[0] if self._best.exists() else self.average

    def _train_step(self) -> dict[str, float]:
        seed = (self.recipe.seed * 1_000_003 + self.step) * 4099 + self.accelerator.process_index
        torch.manual_seed(seed)  # dropout's: as a run that was not interrupted draws it
        generator = torch.Generator(self.accelerator.device).manual_seed(seed)
        losses = self.stage.losses(self.stage.make_batch(self.step, generator))
        means = self.accelerator.reduce(torch.stack([value.detach().float() for value in losses.values()]), "mean")
        values = dict(zip(losses, means.tolist(), strict=True))
        if not math.isfinite(values["loss"]):
            raise ModelError(f"{self.stage.name}: loss {values['loss']} at step {self.step}; lower the learning rate")
        self._optimize(losses["loss"])
        self.step += 1
        self._follow()
        if self.accelerator.is_main_process and self.step % 20 == 0:
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": self.step, "time": round(time.time(), 1), **values}) + "\n")
        return values

    def _optimize(self, loss: torch.Tensor) -> None:
        for optimizer, rate in self._paced:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = rate(self.step)
        self.accelerator.backward(loss)
        self.accelerator.unscale_gradients()
        for optimizer, _ in self._paced:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
            optimizer.step()

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
        return self.folder / CHECKPOINT

    @property
    def _best(self) -> Path:
        return self.folder / f"{BEST}.json"

    def save(self) -> None:
        """Write checkpoint and loss curve, whole or not at all, unless it is written already; raises StorageError."""
        if not self.accelerator.is_main_process or self.step == self._saved_step:
            return
        temporary = self._checkpoint.with_suffix(".part")
        state = {
            "step": self.step,
            "module": self._module().state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer, _ in self._paced],
        }
        try:
            torch.save(state, temporary)
            temporary.replace(self._checkpoint)
        except (OSError, RuntimeError) as error:  # torch's own writer raises RuntimeError where the disk is full
            with suppress(OSError):
                temporary.unlink()
            raise StorageError(
                f"{self._checkpoint}: cannot be written; free some space or choose another folder"
            ) from error
        self._saved_step = self.step
        plot_losses(self.folder / "log.jsonl", self.folder / "losses.png")

    def _resume(self) -> None:
        """Take over a checkpoint, each tensor to its own device; raises `ModelError` where it is not this stage's."""
        try:
            state = torch.load(self._checkpoint, map_location="cpu", weights_only=True)
            self._module().load_state_dict(state["module"])
            for (optimizer, _), known in zip(self._paced, state["optimizers"], strict=True):
                optimizer.load_state_dict(known)
            for key, value in self.average.items():
                value.copy_(state["average"][key])
        except (KeyError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"{self._checkpoint}: not a checkpoint of this training; remove it or choose another folder for runs"
            ) from error
        self.step = self._saved_step = state["step"]

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The stage with the averaged weights in eval mode, its module bare: one process alone may call it.

        Wrapped for many processes, a call waits until all of them have made it.
        """
        wrapped, module = self.stage.module, self._module()
        training = {key: value.clone() for key, value in module.state_dict().items()}
        module.load_state_dict(self.average)
        self.stage.module = module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            module.load_state_dict(training)
            self.stage.module = wrapped.train()

    def _look(self, progress: Progress) -> None:
        """Validate the averaged weights, keep the best, draw the stage's sheet."""
        with self._averaged():
            scores = self.stage.validate() if isinstance(self.stage, Validated) else {}
            if self.accelerator.is_main_process:
                self.stage.sheet(self.folder / f"sheet-{self.step:06d}.png")
                if scores:
                    text = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
                    progress.console.print(f"{self.stage.name} {self.step}: {text}")
                    self._keep_best(scores)
        self.accelerator.wait_for_everyone()

    def _keep_best(self, scores: dict[str, float]) -> None:
        record = {"step": self.step, **scores}
        with (self.folder / "scores.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
        first = next(iter(scores))
        if not self._best.exists() or scores[first] >= weights.read_record(self._best)[first]:
            weights.save(self.folder, BEST, self.average, record)


def best_scores(folder: Path) -> dict[str, float]:
    """The scores that chose a folder's best weights, and their step; {} where nothing was held out."""
    path = folder / f"{BEST}.json"
    record = weights.read_record(path) if path.exists() else {}
    return {name: value for name, value in record.items() if name != "sha256"}


def processes() -> int:
    """How many processes share the training, as `accelerate launch` says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def channels_last(module: torch.nn.Module) -> torch.nn.Module:
    """The layout in which convolutions train fastest."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def run(stage: Stage, folder: Path, recipe: Recipe, optimizers: Optimizers = adamw) -> dict[str, torch.Tensor]:
    """Train `stage` in `folder`, resuming what is there; returns the averaged weights, the best of those validated."""
    return Trainer(stage, folder, recipe, optimizers).run()


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
