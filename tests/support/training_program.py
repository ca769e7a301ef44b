"""Trains TPoS's encoder, small: run by test_tpos_processes.py here, and in two processes that torch's launcher starts.

Usage: training_program.py SOUNDS RUNS BATCH WORKERS. Leaves in RUNS, beside what training leaves, losses.json: those
of each step, by name.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from tpos_models.audio.encoder import EncoderConfig
from tpos_models.contracts import TextEmbedding, UnknownWord
from tpos_models.training.audio.labelled import labelled_sounds
from tpos_models.training.audio.tpos import Tpos, TposStage, train_tpos
from tpos_models.training.loop import Paced, Recipe, Trainer

SMALL = EncoderConfig(widths=(4, 4, 8, 8), dropout=0.0)
RECIPE = Recipe(steps=4, sheet_every=2, clip=1e9)


class Hashed:
    """A text space in which every phrase is some direction."""

    size = 16

    def encode(self, prompts: list[str]) -> TextEmbedding:
        seeds = [torch.Generator().manual_seed(zlib.crc32(prompt.encode())) for prompt in prompts]
        joint = torch.stack([torch.randn(self.size, generator=seed) for seed in seeds])
        tokens = torch.stack([torch.randn(7, self.size, generator=seed) for seed in seeds])
        return TextEmbedding(tokens, F.normalize(joint, dim=-1))

    def joint(self, prompts: list[str]) -> torch.Tensor:
        return self.encode(prompts).joint

    def unknown(self, prompt: str) -> tuple[UnknownWord, ...]:
        return ()


class Exact(TposStage):
    """In float64: this small net amplifies rounding errors until they look like another gradient."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.module.double()
        self._joint, self._tokens = self._joint.double(), self._tokens.double()

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        clean, augmented, *rest = super().make_batch(step, generator)
        return clean.double(), augmented.double(), *rest

    def _held_out_windows(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for clean, label in super()._held_out_windows():
            yield clean.double(), label

    def sheet(self, path: Path) -> None:
        """By the main process alone: wrapped for many, the module would wait for the others, or take their turn."""
        assert not isinstance(self.module, DistributedDataParallel)
        super().sheet(path)


def steep(module: Tpos, recipe: Recipe) -> list[Paced]:
    """Plain steps along the gradient, so that one of another size or direction shows in the next loss."""
    return [Paced(torch.optim.SGD(part.parameters(), 0.1), lambda step: 0.1) for part in (module.encoder, module.map)]


def train(sounds: Path, runs: Path, batch: int, workers: int) -> None:
    """A few steep steps, and two as the paper's in `runs`/paper."""
    Accelerator()
    torch.manual_seed(0)
    stage = Exact(labelled_sounds(sounds), Hashed(), SMALL, batch, workers)
    losses: list[dict[str, float]] = []
    Trainer(stage, runs, RECIPE, steep).run(lambda step, values: losses.append(values))
    paper = train_tpos([sounds], Hashed(), runs / "paper", runs / "out", Recipe(steps=2), SMALL, batch, workers)
    if PartialState().is_main_process:
        (runs / "losses.json").write_text(json.dumps({"steep": losses, "paper": paper}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    PartialState().destroy_process_group()
