"""Training at the paper's size: TPoS's encoder and MAP against CLIP's text space, on labelled recordings.

The same loop as `pocket`'s: `accelerate launch` runs it on many GPUs or machines, and as many processes with a part of
the batch each learn what one with all of it does. The losses are the paper's (section 3.2), see `paper_losses`; the
encoder learns by SGD at a cyclic rate, MAP by Adam.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import gather_object, reduce
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.audio.encoder import PAPER, EncoderConfig, TokenMap, TPoSEncoder
from tpos_models.contracts import TextSpace
from tpos_models.errors import MediaError
from tpos_models.stable_diffusion.tpos import ENCODER, MAP, probe
from tpos_models.training import loop
from tpos_models.training.audio.imagenet import start_from_imagenet
from tpos_models.training.audio.labelled import Labelled, labelled_sounds
from tpos_models.training.audio.losses import info_nce_of_pairs
from tpos_models.training.audio.windows import FRONT_END, UNREADABLE, Order, Windows, WindowSet, default_workers, loader
from tpos_models.training.distributed import gathered, normalise_globally
from tpos_models.training.loop import Paced, Recipe

LOGIT_SCALE = float(np.exp(0.07))
SLOWEST, FASTEST, CLIMB = 1e-3, 1e-1, 2000
"""The encoder's learning rates, and the steps from one to the other (torch's CyclicLR's own)."""
RECIPE = Recipe(steps=100_000, lr=3e-4, warmup=1000, save_every_s=1800.0, sheet_every=2000)
"""`lr` is MAP's, which the paper leaves open; a checkpoint is 7.5 GB, most of it MAP with Adam's moments."""

log = logging.getLogger(__name__)


def config_for(text: TextSpace, base: EncoderConfig = PAPER) -> EncoderConfig:
    """`base` with the sizes of a text space: for CLIP ViT-L/14 the paper's own."""
    empty = text.encode([""])
    tokens, size = empty.tokens.shape[1:]
    return replace(base, size=empty.joint.shape[-1], map_hidden=76 // 7 * size, map_out=(tokens - 1) * size)


def cyclic_rate(step: int) -> float:
    """Triangular cycles (Smith, 2017) between SLOWEST and FASTEST."""
    return SLOWEST + (FASTEST - SLOWEST) * (1 - abs(step / CLIMB % 2 - 1))


def optimizers(module: Tpos, recipe: Recipe) -> list[Paced]:
    """SGD (momentum 0.9, which the paper leaves open) for the encoder, Adam for MAP."""
    encoder = [parameter for parameter in module.encoder.parameters() if parameter.requires_grad]
    return [
        Paced(torch.optim.SGD(encoder, lr=SLOWEST, momentum=0.9), cyclic_rate),
        Paced(torch.optim.Adam(module.map.parameters(), lr=recipe.lr), lambda step: loop.learning_rate(recipe, step)),
    ]


class Tpos(nn.Module):
    """Encoder and MAP as one module, for one forward pass of data-parallel training.

    Segments (B, N, rows, columns), clean and augmented, to the clean ones' last LSTM state and attended sum, the
    augmented ones' sum (B, size), and MAP's numbers of the clean sum (B, map_out).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.encoder, self.map = TPoSEncoder(config), TokenMap(config)
        normalise_globally(self.encoder)
        self.encoder.conv2.requires_grad_(False)  # of no use, and data-parallel training waits for every gradient

    def forward(self, clean: torch.Tensor, augmented: torch.Tensor) -> tuple[torch.Tensor, ...]:
        encoding = self.encoder(torch.cat([clean, augmented]))
        sound, view = encoding.sound.split([len(clean), len(augmented)])
        return encoding.last[: len(clean)], sound, view, self.map(sound)


def paper_losses(
    last: torch.Tensor,
    sound: torch.Tensor,
    view: torch.Tensor,
    joint: torch.Tensor,
    label: torch.Tensor,
    mapped: torch.Tensor,
    tokens: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """InfoNCE to text, contrast with the augmented view, MAP's mean squared error: weighted, and their sum as "loss".

    Of the whole batch: `last`, `sound`, `view` and the texts' `joint` (B, size), `label` (B,). InfoNCE is the sum of
    both directions' cross-entropies, logits times exp(0.07): a quarter of that of `last` and of `sound` against text, a
    sixth of that of `sound` against `view`. Others of the same label are left out of it, which the paper does not say:
    in a large batch they are many, and no negatives. `mapped` and `tokens` (b, map_out) may be one process's share.
    """
    same = label[:, None] == label[None]
    sound, view = F.normalize(sound, dim=-1), F.normalize(view, dim=-1)

    def both_ways(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return 2 * info_nce_of_pairs(one, other, same, LOGIT_SCALE)

    text = (both_ways(last, joint) + both_ways(sound, joint)) / 4
    contrast = both_ways(sound, view) / 6
    mapping = F.mse_loss(mapped, tokens)
    return {"loss": text + contrast + mapping, "text": text, "self": contrast, "map": mapping}


class TposStage:
    """One stage of `tpos_models.training.loop`; validated on the recordings that are held out."""

    name = "tpos"

    def __init__(
        self,
        sounds: Sequence[Labelled],
        text: TextSpace,
        base: EncoderConfig = PAPER,
        batch: int = 32,
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        self.config = config_for(text, base)
        net = Tpos(self.config)
        self.module: nn.Module = net
        self.backbone = net.encoder.feature_extractor
        self.labels = sorted({sound.label for sound in sounds})
        self.unreadable: set[str] = set()
        self._trained = [sound for sound in sounds if not sound.held_out]
        self._held_out = [sound for sound in sounds if sound.held_out]
        self._batch, self._seed = batch, seed
        self._workers = default_workers() if workers is None else workers
        self._next_step, self._batches = -1, iter(())
        with torch.no_grad():
            encoded = [text.encode([label]) for label in self.labels]
        self._joint = torch.cat([one.joint for one in encoded]).float().cpu()
        self._tokens = torch.cat([one.tokens[:, 1:].flatten(1) for one in encoded]).float().cpu()
        self._likeness = torch.zeros(len(self.labels), len(self.labels))

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Clean and augmented windows (B, N, rows, columns), and the labels' joint vectors, tokens and numbers.

        This process's share of the step, whatever the generator; raises `MediaError` where hardly a file can be read.
        """
        if step != self._next_step:
            order = Order(len(self._trained), self._batch, self._seed, start=step)
            self._batches = iter(loader(WindowSet(self._trained, self.labels, self._seed), order, self._workers))
        self._next_step = step + 1
        batch: Windows = next(self._batches)
        self._note(batch.skipped)
        if (batch.label == UNREADABLE).any():
            raise MediaError(f"{batch.skipped[-1]}: not a readable sound, and those before it neither; check --sounds")
        views = batch.clean, batch.augmented, self._joint[batch.label], self._tokens[batch.label], batch.label
        return tuple(x.to(generator.device) for x in views)

    def _note(self, skipped: Sequence[str]) -> None:
        for path in sorted(set(skipped) - self.unreadable):
            self.unreadable.add(path)
            log.warning("%s: not a readable sound; skipped", path)

    def losses(self, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        clean, augmented, joint, tokens, label = batch
        last, sound, view, mapped = self.module(clean, augmented)
        last, sound, view, joint, label = (gathered(rows) for rows in (last, sound, view, joint, label))
        return paper_losses(last, sound, view, joint, label, mapped, tokens)

    def validate(self) -> dict[str, float]:
        """Shares (0..1) of held-out sounds whose label's text is the nearest of all, or among five; MAP's error."""
        if not self._held_out:
            return {}
        device, labels = next(self.module.parameters()).device, len(self.labels)
        joint, tokens = self._joint.to(device), self._tokens.to(device)
        totals, likeness = torch.zeros(4, device=device), torch.zeros(labels, labels, device=device)
        for clean, label in self._held_out_windows():
            label = label.to(device)
            _, sound, _, mapped = self.module(clean.to(device), clean[:0].to(device))
            alike = (F.normalize(sound, dim=-1) @ joint.T).float()
            nearer = (alike > alike.gather(1, label[:, None])).sum(1)
            error = (mapped - tokens[label]).square().mean(1)
            totals += torch.stack([nearer < 1, nearer < 5, error, torch.ones_like(error)]).sum(1)
            likeness.index_add_(0, label, alike)
        totals, self._likeness = reduce(totals, "sum").cpu(), reduce(likeness, "sum").cpu()
        names = ("recall@1", "recall@5", "map_error")
        return dict(zip(names, (totals[:3] / totals[3].clamp(min=1)).tolist(), strict=True))

    def _held_out_windows(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """This process's share of what is held out: clean windows and labels, without those that cannot be read."""
        state = PartialState()
        keys = [(0, k) for k in range(state.process_index, len(self._held_out), state.num_processes)]
        order = [keys[k : k + self._batch] for k in range(0, len(keys), self._batch)]
        batch: Any
        for batch in loader(WindowSet(self._held_out, self.labels, self._seed, tries=1), order, self._workers):
            self._note(batch.skipped)
            readable = batch.label != UNREADABLE
            if readable.any():
                yield batch.clean[readable], batch.label[readable]

    def sheet(self, path: Path) -> None:
        """How much the held-out sounds of each label resembled every label at the last validation, as a PNG."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 6), layout="constrained")
        axes = figure.subplots()
        axes.imshow(F.normalize(self._likeness, dim=1).numpy())
        axes.set(xlabel="label", ylabel="sound")
        figure.savefig(path, format="png", dpi=100)


def train_tpos(
    folders: Sequence[Path],
    text: TextSpace,
    runs: Path,
    out: Path,
    recipe: Recipe = RECIPE,
    base: EncoderConfig = PAPER,
    batch: int = 32,
    workers: int | None = None,
    imagenet: Path | None = None,
) -> dict[str, Any]:
    """Train on labelled sounds; `out` then plays as an audio encoder of Stable Diffusion. Resumes what `runs` holds.

    `batch` sounds and `workers` reading processes for each training process. Returns the steps, the best validation's
    scores and the unreadable files.
    """
    Accelerator()  # joins the processes, which a PartialState alone does not on CPUs
    torch.manual_seed(recipe.seed)
    stage = TposStage([sound for folder in folders for sound in labelled_sounds(folder)], text, base, batch, workers)
    if not (runs / loop.CHECKPOINT).exists():
        start_from_imagenet(stage.backbone, imagenet)
    tensors = loop.run(stage, runs, recipe, optimizers)
    result = {
        "steps": recipe.steps,
        "scores": loop.best_scores(runs),
        "unreadable": sorted(set(gather_object(sorted(stage.unreadable)))),
    }
    if PartialState().is_main_process:
        joint = {
            "config": asdict(stage.config),
            "labels": stage.labels,
            "joint_of_nothing": probe(text),
            "front_end": str(FRONT_END),
        }
        for name, prefix in ((ENCODER, "encoder."), (MAP, "map.")):
            part = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            weights.save(out, name, part, {"what": name, **joint, **result})
    return result
