"""What teachers hear, learned: from what an encoder makes of mixtures, its stages' maps, its pooled and its segments'.

A teacher's scores alone are met in many ways, of which few hold for sounds that were not learned from; how its layers
see a sound, place by place, leaves far fewer (hints: Romero et al., 2015).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.audio.encoder import TPoSEncoder
from tpos_models.training import loop
from tpos_models.training.audio.mixtures import MixedBatch, Mixtures

MAP_WEIGHTS = (0.7, 1.4, 2.1)
"""Of the maps of the stages, from fine to coarse."""


class Read(NamedTuple):
    """What an encoder makes of pictures: maps of the stages but the last, the last one's pooled, and the segments'."""

    stages: tuple[torch.Tensor, ...]
    pooled: torch.Tensor
    segments: torch.Tensor

    @classmethod
    def of(cls, encoder: TPoSEncoder, pictures: torch.Tensor) -> Read:
        """Of pictures (B, rows, frames)."""
        backbone = encoder.feature_extractor
        *stages, top = backbone.stages(encoder.seen(pictures))
        pooled = backbone.pooled(top)
        return cls(tuple(stages), pooled, backbone.fc(pooled))

    def after(self, count: int) -> Read:
        """Without the first so many pictures."""
        return Read(tuple(stage[count:] for stage in self.stages), self.pooled[count:], self.segments[count:])


class Taught(nn.Module):
    """Tells what teachers hear from what an encoder makes of a sound; in training only."""

    def __init__(self, encoder: TPoSEncoder, mixtures: Mixtures, hidden: int = 512) -> None:
        super().__init__()
        size, pooled = encoder.config.size, encoder.feature_extractor.fc.in_features
        told = mixtures.features.shape[1] + mixtures.scores.shape[1]
        self.maps = nn.ModuleList(
            nn.Conv2d(width, one.shape[1], 1)
            for width, one in zip(encoder.config.widths[:3], mixtures.maps, strict=False)
        )
        self.pooled = nn.Linear(pooled, told)
        self.segments = nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, told))
        for number, one in enumerate((mixtures.features, *mixtures.maps)):
            known, axes = one[:4000].astype(np.float32), tuple(k for k in range(one.ndim) if k != 1)
            shape = (-1,) + (1,) * (one.ndim - 2)
            self.register_buffer(f"mean{number}", torch.from_numpy(known.mean(axes)).reshape(shape))
            self.register_buffer(f"spread{number}", torch.from_numpy(known.std(axes) + 0.05).reshape(shape))

    def forward(self, read: Read) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Maps, and from the pooled and from the segments features and log odds of classes (B, features + names).

        Maps and features are told each by its mean and spread.
        """
        maps = [layer(stage) for layer, stage in zip(self.maps, read.stages, strict=False)]
        return maps, self.pooled(read.pooled), self.segments(read.segments)

    def losses(
        self, told: tuple[list[torch.Tensor], torch.Tensor, torch.Tensor], mixed: MixedBatch
    ) -> dict[str, torch.Tensor]:
        """Mean squared errors of maps and features, and cross-entropy of all classes."""
        maps, *both = told
        features, size = self._standard(0, mixed.features), mixed.features.shape[1]
        squared = [F.mse_loss(one[:, :size].float(), features) for one in both]
        named = [
            F.binary_cross_entropy_with_logits(one[:, size:].float(), mixed.scores, reduction="none").sum(1).mean()
            for one in both
        ]
        seen = [F.mse_loss(one.float(), self._standard(k, mixed.maps[k - 1])) for k, one in enumerate(maps, 1)]
        losses = {"features": squared[0] + squared[1] / 2, "classes": named[0] + named[1] / 2}
        loss = 4 * losses["features"] + 0.3 * losses["classes"]
        if seen:
            losses["maps"] = torch.stack([weight * one for weight, one in zip(MAP_WEIGHTS, seen, strict=True)]).sum()
            loss = loss + losses["maps"]
        return {"loss": loss, **losses}

    def _standard(self, number: int, values: torch.Tensor) -> torch.Tensor:
        return (values - self.get_buffer(f"mean{number}")) / self.get_buffer(f"spread{number}")


class TaughtStage:
    """A stage of `tpos_models.training.loop`: the backbone learns to hear as teachers do, and nothing else."""

    name = "hearing-taught"

    def __init__(self, encoder: TPoSEncoder, taught: Taught, mixtures: Mixtures, batch: int = 64) -> None:
        self.mixtures, self._taught, self._batch = mixtures, taught, batch
        self.module = loop.channels_last(_Reader(encoder, taught))

    def make_batch(self, step: int, generator: torch.Generator) -> MixedBatch:
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        return self.mixtures.batch(np.random.default_rng(seed), self._batch).to(generator.device)

    def losses(self, batch: MixedBatch) -> dict[str, torch.Tensor]:
        return self._taught.losses(self.module(batch.pictures), batch)

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Mixtures as the encoder sees them; of each map a channel, a teacher's and as it is told; and the classes."""
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        device = next(self.module.parameters()).device
        mixed = self.mixtures.batch(np.random.default_rng(1), 6).to(device)
        maps, _, segments = self.module(mixed.pictures)
        size = mixed.features.shape[1]
        told = [mixed.scores, segments[:, size:].sigmoid()]
        rows = [mixed.pictures, *(one[:, 0] for pair in zip(mixed.maps, maps, strict=True) for one in pair)]
        figure, axes = pyplot.subplots(len(rows) + 1, 6, figsize=(15, 2 * len(rows) + 2), squeeze=False)
        for column, places in enumerate(axes.T):
            for place, row in zip(places, rows, strict=False):
                place.imshow(row[column].float().numpy(force=True), origin="lower", aspect="auto")
                place.set_axis_off()
            places[-1].scatter(*(one[column].float().numpy(force=True) for one in told), s=4)
        figure.savefig(path, dpi=60, bbox_inches="tight")
        pyplot.close(figure)


class _Reader(nn.Module):
    """The backbone of an encoder, whose parameters it shares, and what it is taught by."""

    def __init__(self, encoder: TPoSEncoder, taught: Taught) -> None:
        super().__init__()
        self.conv, self.feature_extractor, self.taught = encoder.conv, encoder.feature_extractor, taught
        self._encoder = (encoder,)

    def forward(self, pictures: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        return self.taught(Read.of(self._encoder[0], pictures))
