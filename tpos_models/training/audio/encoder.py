"""Teaches the audio encoder with TPoS's losses against the text space.

InfoNCE between sound (last LSTM state, and the attended sum) and phrases; self-contrast between two SpecAugment views;
MSE of MAP to the text tokens of what sounds, as strong as it is loud. The negatives of the first are every label the
trainer knows rather than those of the batch, since a batch here is small and labels repeat in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.contracts import TextSpace
from tpos_models.pocket import scene
from tpos_models.pocket.audio_networks import AudioEncoderNet
from tpos_models.training import loop
from tpos_models.training.audio.data import WINDOW, Clip, Kind
from tpos_models.training.audio.labels import phrases
from tpos_models.training.audio.losses import naming, self_contrast, sigmoid_loss, tokens_mse
from tpos_models.training.audio.mixtures import MixedBatch, Mixtures
from tpos_models.training.audio.scenes import Batch, Composer, Shares, bank_of, joined, spec_augment
from tpos_models.training.audio.taught import Read, Taught

Joint = Callable[[list[str]], torch.Tensor]
"""Phrases to unit vectors (P, joint_size)."""

MADE: Shares = {Kind.SYNTHETIC: 0.8, Kind.LABELLED: 0.08, Kind.TAGGED: 0.04, Kind.MUSIC: 0.05, Kind.RENDERED: 0.03}
"""Mostly synthetic sounds, whose every beginning is known."""
LATEST, OFTENER = ("night", "sunny", "rain", "waves"), 4
"""Crickets and birds, rain and waves are told apart latest: each is drawn so many times as often as another."""


def takeovers(clips: Sequence[Clip], segments: int) -> Composer:
    """Of scenes in which, mostly, a condition's synthetic sound took over from another's a moment ago."""
    some = [clip for clip in clips if clip.kind is not Kind.SYNTHETIC or clip.label in scene.CONDITIONS]
    # a composer draws a label by the root of its clips
    some += (OFTENER**2 - 1) * [clip for clip in some if clip.kind is Kind.SYNTHETIC and clip.label in LATEST]
    return Composer(some, segments, MADE, changes=0.8, bank=bank_of(clips))


def joint_of(text: TextSpace) -> Joint:
    """The text space's side of the comparison."""

    def encode(prompts: list[str]) -> torch.Tensor:
        with torch.no_grad():
            return text.encode(prompts).joint.detach()

    return encode


class AudioEncoderStage:
    """One stage of `tpos_models.training.loop`: the whole encoder, end to end.

    Beside composed scenes it hears mixtures, where there are some, and learns what teachers hear in them.
    """

    name = "hearing"

    def __init__(
        self,
        clips: Sequence[Clip],
        joint: Joint,
        mixtures: Mixtures | None = None,
        segments: int = 1,
        batch: int = 40,
        mixed: int = 48,
    ) -> None:
        self.net = AudioEncoderNet()
        self.composer, self.mixtures = Composer(clips, segments), mixtures
        self._takeovers, self.taken_over = takeovers(clips, segments), 0.25
        whole = _Whole(self.net, len(self.composer.bank), mixtures)
        self.module, self.taught = loop.channels_last(whole), whole.taught
        self._batch, self._twice, self._mixed = batch, batch // 4, mixed
        self._phrases = [joint(list(phrases(label))) for label in self.composer.bank]

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[Batch, torch.Tensor, MixedBatch | None]:
        """Composed scenes, the first quarter seen twice; one phrase for every label of the bank; mixtures.

        Of the scenes the last, a share of `taken_over`, are `takeovers`.
        """
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        chosen = torch.stack([known[rng.integers(len(known))] for known in self._phrases])
        last = round(self.taken_over * self._batch)
        scenes = joined(self.composer.batch(rng, self._batch - last), self._takeovers.batch(rng, last))
        views = [spec_augment(rng, pictures, masks=3) for pictures in (scenes.pictures, scenes.pictures[: self._twice])]
        mixed = self.mixtures.batch(rng, self._mixed).to(generator.device) if self.mixtures else None
        return replace(scenes, pictures=np.concatenate(views)), chosen, mixed

    def losses(self, batch: tuple[Batch, torch.Tensor, MixedBatch | None]) -> dict[str, torch.Tensor]:
        scenes, bank, mixtures = batch
        device = next(self.module.parameters()).device
        pictures, chances, labels, strengths = (
            torch.as_tensor(x, dtype=torch.float32, device=device)
            for x in (scenes.pictures, scenes.chances, scenes.shares, scenes.strengths)
        )
        twice = torch.cat([torch.arange(labels.shape[0]), torch.arange(self._twice)]).to(device)
        bank = bank.to(device)
        mixed = mixtures.pictures if mixtures else None
        (logits, odds, last, joint, heard, scale), told = self.module(pictures, bank, mixed)
        text_loss = torch.stack([naming(sound, bank, labels[twice], scale) for sound in (last, joint)]).sum()
        mapping = tokens_mse(heard, strengths[twice])
        views = joint[: self._twice], joint[labels.shape[0] :]
        contrast = self_contrast(*views, labels[: self._twice])
        named, recognised = (sigmoid_loss(each, chances[twice]) for each in (logits, odds))
        loss = text_loss + 0.3 * (named + recognised) + 0.2 * contrast + 6 * mapping
        parts = {"text": text_loss, "named": named, "recognised": recognised, "self": contrast, "map": mapping}
        if self.taught and mixtures:
            parts["taught"] = self.taught.losses(told, mixtures)["loss"]
            loss = loss + parts["taught"]
        return {"loss": loss, **parts}

    def sheet(self, path: Path) -> None:
        """A matrix of what is heard for what sounds, from held-out seeds."""
        composer, bank = self.composer, torch.stack([known[0] for known in self._phrases])
        scenes = composer.batch(np.random.default_rng(1), 2 * self._batch)
        device = next(self.module.parameters()).device
        _, joint, heard, _ = self.net(torch.from_numpy(scenes.pictures).to(device, torch.float32))
        labels, strengths = torch.from_numpy(scenes.shares), torch.from_numpy(scenes.strengths)
        weights = self.net.recognition(joint, bank.to(device)).sigmoid()
        draw_sheet(path, composer.bank, labels, strengths, weights, heard)


class TemporalStage:
    """The second stage: memory and attention on whole windows, the features of their segments computed once.

    Its scenes are five segments long, so it learns here what came before and what sounds now. Half of them mix
    recordings and synthetic sounds evenly, the other half are mostly synthetic sounds that took over from another a
    moment ago. How one segment is read stays as the first stage learned it from ever new scenes (see `only_memory`):
    learned again from these few, whose sounds the features know by heart, it would be worse at unheard ones.
    """

    name = "hearing-time"

    def __init__(
        self, net: AudioEncoderNet, clips: Sequence[Clip], joint: Joint, scenes: int = 10_000, batch: int = 96
    ):
        self.composer = Composer(clips, WINDOW.segments, changes=0.5)
        self.net, self._batch = net, batch
        self.module: nn.Module = _Temporal(net)
        only_memory(net)
        self._phrases = [joint(list(phrases(label))) for label in self.composer.bank]
        self._centres = torch.stack([F.normalize(known.mean(0), dim=0) for known in self._phrases])
        halves = featured(net, self.composer, scenes, 1), featured(net, takeovers(clips, WINDOW.segments), scenes, 3)
        self._known = tuple(torch.cat(parts) for parts in zip(*halves, strict=True))
        silence = torch.zeros(1, WINDOW.rows, WINDOW.segment_frames, device=next(net.parameters()).device)
        with torch.no_grad():
            self._silence = net.encoder.segment(silence).cpu()
        self._unseen = featured(net, self.composer, max(32, scenes // 12), seed=2)

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Features, labels, strengths and chances of known scenes, and one phrase for every label of the bank.

        Nearly all get another scene's past, or none, up to the newest segment: what sounded before must not decide what
        sounds now.
        """
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        rows = torch.from_numpy(rng.integers(len(self._known[0]), size=self._batch))
        chosen = torch.stack([known[rng.integers(len(known))] for known in self._phrases])
        features, labels, strengths, chances = (x[rows] for x in self._known)
        before = WINDOW.segments - 1
        past = np.where(rng.uniform(size=self._batch) < 0.95, before, rng.integers(0, before, self._batch))
        foreign = torch.arange(WINDOW.segments) < torch.from_numpy(past)[:, None]
        silent = torch.from_numpy(rng.uniform(size=(self._batch, 1, 1)) < 0.3)
        others = torch.where(silent, self._silence, features.roll(1, 0))
        features = torch.where(foreign[..., None], others, features)
        return tuple(x.to(generator.device) for x in (features, labels, strengths, chances, chosen))

    def losses(self, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        features, labels, strengths, chances, bank = batch
        noise = 0.1 * features.std() * torch.randn_like(features)
        odds, last, joint, heard, scale = self.module(F.dropout(features + noise, 0.2), bank)
        text_loss = torch.stack([naming(sound, bank, labels, scale) for sound in (last, joint)]).sum()
        mapping = tokens_mse(heard, strengths)
        pull = (1 - F.cosine_similarity(joint, labels @ self._centres.to(joint))).mean()
        recognised = sigmoid_loss(odds, chances)
        loss = text_loss + recognised + 2 * pull + 200 * mapping
        return {"loss": loss, "text": text_loss, "recognised": recognised, "pull": pull, "map": mapping}

    def sheet(self, path: Path) -> None:
        """As the first stage's, from scenes that are never trained on."""
        features, labels, strengths, _ = self._unseen
        device = next(self.module.parameters()).device
        _, joint, heard, _ = self.net.temporal(features.to(device))
        bank = torch.stack([known[0] for known in self._phrases]).to(device)
        draw_sheet(path, self.composer.bank, labels, strengths, self.net.recognition(joint, bank).sigmoid(), heard)

    @torch.no_grad()
    def keep_phrases(self) -> None:
        """Leave with the network what the conditions are called."""
        named = dict(zip(self.composer.bank, self._centres, strict=True))
        self.net.phrases.copy_(torch.stack([named.get(name, self._centres[0] * 0) for name in scene.CONDITIONS]))


def only_memory(net: AudioEncoderNet) -> None:
    """Leave to training what the first stage, which sees one segment, cannot teach: recurrence, forgetting, attention.

    The LSTM starts with hardly a memory (no recurrence, forget gates at 0.12), so that it answers to every segment much
    as the first stage does, and from there learns what to keep. MAP, recognition, and what the input, cell and output
    gates see of a segment, stay as they are: on sounds known by heart they would learn to be too sure.
    """
    for known in (net.map, net.recognition):
        known.requires_grad_(False)
    size, lstm = net.encoder.config.size, dict(net.encoder.lstm.named_parameters())
    forget = slice(size, 2 * size)
    lstm.pop("weight_hh_l0").data.zero_()
    for part in lstm.values():
        part.data[forget] = 0 if part.ndim > 1 else -1
        mask = torch.zeros_like(part)
        mask[forget] = 1
        part.register_hook(lambda gradient, mask=mask: gradient * mask)


class _Whole(nn.Module):
    """The networks and, in training only, a plain classifier on the newest segment, and what teachers hear."""

    def __init__(self, net: AudioEncoderNet, labels: int, mixtures: Mixtures | None = None) -> None:
        super().__init__()
        size = net.encoder.config.size
        self.net, self.head = net, nn.Linear(size, labels)
        self.taught = Taught(net.encoder, mixtures) if mixtures else None

    def forward(
        self, pictures: torch.Tensor, bank: torch.Tensor, mixed: torch.Tensor | None = None
    ) -> tuple[tuple[torch.Tensor, ...], Any]:
        """What scenes are (B, N, rows, frames), and what teachers hear in mixtures (M, rows, frames)."""
        scenes = pictures.flatten(0, 1)
        read = Read.of(self.net.encoder, scenes if mixed is None else torch.cat([scenes, mixed]))
        told = self.taught(read.after(len(scenes))) if self.taught else None
        heard = read.segments[: len(scenes)].unflatten(0, pictures.shape[:2])
        features = F.dropout(heard, 0.2, self.training)
        last, joint, strengths, scale = self.net.temporal(features)
        logits, odds = self.head(features[:, -1]), self.net.recognition(joint, bank)
        return (logits, odds, last, joint, strengths, scale), told


class _Temporal(nn.Module):
    """The part of an AudioEncoderNet that the second stage trains; shares its parameters."""

    def __init__(self, net: AudioEncoderNet) -> None:
        super().__init__()
        self.lstm, self.cnn, self.map = net.encoder.lstm, net.encoder.cnn, net.map
        self.log_scale, self.recognition = net.log_scale, net.recognition
        self._net = (net,)

    def forward(self, features: torch.Tensor, bank: torch.Tensor) -> tuple[torch.Tensor, ...]:
        last, joint, heard, scale = self._net[0].temporal(features)
        return self.recognition(joint, bank), last, joint, heard, scale


@torch.no_grad()
def featured(net: AudioEncoderNet, composer: Composer, scenes: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Features (scenes, N, size), labels, strengths and chances of composed scenes."""
    rng, parts = np.random.default_rng(seed), []
    device = next(net.parameters()).device
    net.eval()
    for _ in range(0, scenes, 32):
        batch = composer.batch(rng, 32)
        pictures = torch.from_numpy(batch.pictures).to(device, torch.float32)
        features = net.encoder.segment(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
        known = (batch.shares, batch.strengths, batch.chances)
        parts.append((features.cpu(), *map(torch.from_numpy, known)))
    return tuple(torch.cat(part).float() for part in zip(*parts, strict=True))


def draw_sheet(
    path: Path,
    bank: Sequence[str],
    labels: torch.Tensor,
    strengths: torch.Tensor,
    weights: torch.Tensor,
    heard: torch.Tensor,
) -> None:
    """Write two matrices as a PNG: mean phrase weights by true label, and MAP's strengths against the true ones."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    confusion = labels.T @ weights.cpu() / labels.sum(0)[:, None].clamp(min=1e-6)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(17, 8))
    left.imshow(confusion.numpy(), vmin=0, vmax=1)
    left.set_xticks(range(len(bank)), bank, rotation=90)
    left.set_yticks(range(len(bank)), bank)
    for i, name in enumerate(scene.CONDITIONS):
        right.scatter(strengths[:, i].numpy(), heard[:, i].cpu().numpy(), label=name, s=12)
    right.set_xlabel("strength that sounds")
    right.set_ylabel("strength that MAP hears")
    right.legend(fontsize=7)
    figure.savefig(path, dpi=80, bbox_inches="tight")
    pyplot.close(figure)
