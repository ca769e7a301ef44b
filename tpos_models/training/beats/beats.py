"""Teaches the beat network: beat, downbeat, whether there is a rhythm, and the class of its tempo, at every hop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.beats.bands import HOP_S
from tpos_models.training import loop
from tpos_models.training.beats import augment, data
from tpos_models.training.beats.network import BeatNet
from tpos_models.training.loop import Recipe

RECIPE = Recipe(steps=4000, lr=4e-3, lr_end=1e-4, warmup=100, weight_decay=1e-3, ema=0.995)
_SMOOTHED = 0.2
"""Share of a tempo's target that its two neighbours get, each."""


class BeatStage:
    """One stage of `tpos_models.training.loop`."""

    name = "beats"

    def __init__(self, augmenter: augment.Augmenter, batch: int = 16) -> None:
        self.module: nn.Module = BeatNet()
        self._augmenter, self._batch = augmenter, batch

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Features, targets, weights and tempo classes; see `augment.Batch`."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        batch = self._augmenter.batch(rng, self._batch)
        parts = batch.features, batch.targets, batch.weights, batch.tempo
        return tuple(torch.from_numpy(part).to(generator.device) for part in parts)

    def losses(self, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        features, targets, weights, tempo = batch
        with torch.autocast(features.device.type, torch.bfloat16):
            out = self.module(features).float()
        apart = F.binary_cross_entropy_with_logits(out[:, :3], targets, reduction="none") * weights
        beat, downbeat, rhythm = apart.mean((0, 2))
        classes = tempo_loss(out[:, 3:].transpose(1, 2)[tempo >= 0], tempo[tempo >= 0])
        loss = 8 * beat + 12 * downbeat + rhythm + 0.25 * classes
        return {"loss": loss, "beat": beat, "downbeat": downbeat, "rhythm": rhythm, "tempo": classes}

    def sheet(self, path: Path) -> None:
        """Activations over targets of a few excerpts, as a PNG."""
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        batch = self._augmenter.batch(np.random.default_rng(1), 8)
        out = self.module(torch.from_numpy(batch.features).to(next(self.module.parameters()).device)).cpu()
        figure, rows = pyplot.subplots(8, 1, figsize=(18, 14), sharex=True)
        for i, row in enumerate(rows):
            for output in range(3):
                row.plot(output + 0.9 * out[i, output].sigmoid(), linewidth=0.7)
                row.plot(output + 0.9 * batch.targets[i, output], linewidth=0.4, color="black")
        figure.savefig(path, dpi=60, bbox_inches="tight")
        pyplot.close(figure)


def tempo_loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of (N, TEMPI) logits with classes (N,) that lend to their neighbours."""
    logs = F.log_softmax(logits, -1)
    padded = F.pad(logs, (1, 1), "replicate")
    picked = (padded.gather(1, classes[:, None] + off)[:, 0] for off in range(3))
    shares = (_SMOOTHED, 1 - 2 * _SMOOTHED, _SMOOTHED)
    loss = torch.stack([-share * log for share, log in zip(shares, picked, strict=True)])
    return loss.sum() / max(1, len(classes))


def train_beats(
    runs: Path,
    folder: Path,
    music: Sequence[Path],
    beatless: Sequence[Path],
    held_out: Sequence[str] = (),
    recipe: Recipe = RECIPE,
    synthetic: int = 120,
) -> None:
    """Train on folders of `music` (see `data.labelled`) and of recordings without a beat; save beats.safetensors.

    Of the latter those whose names start with one of `held_out` are left out; `synthetic` metronomes and as many drones
    are drawn besides. Resumes what `runs` holds.
    """
    started, rng = time.monotonic(), np.random.default_rng(recipe.seed)
    groups = [list(data.excerpts(data.labelled(one), data.SPEEDS)) for one in music]
    groups.append(list(data.clicks(rng, synthetic)))
    nothing = [path for one in beatless for path in data.recordings(one, held_out)]
    torch.manual_seed(recipe.seed)
    stage = BeatStage(augment.Augmenter(groups, [*data.beatless(nothing), *data.drones(rng, synthetic)]))
    arrays = loop.run(stage, runs, recipe)
    record = {
        "steps": recipe.steps,
        "seconds": round(time.monotonic() - started),
        "seed": recipe.seed,
        "hours": [round(sum(len(e.amplitudes) for e in group) * HOP_S / 3600, 1) for group in groups],
    }
    weights.save(folder, "beats", {name: value.half() for name, value in arrays.items()}, record)
