"""Training at the paper's size: TPoS's encoder and MAP against CLIP's text space, on labelled recordings.

The same loop as `pocket`'s, with another configuration: `accelerate launch` runs it on many GPUs or machines. Losses of
the paper (section 3.2): InfoNCE between sounds and their labels' CLIP embeddings (the LSTM's last state, and the sum
weighted by attention), self-contrast between two views under SpecAugment, and the squared error of MAP to the label's
text tokens. The loop's AdamW stands for the paper's two optimisers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.audio.encoder import PAPER, EncoderConfig, TokenMap, TPoSEncoder
from tpos_models.audio.spectrogram import segments, spectrogram
from tpos_models.contracts import AudioWindow, TextSpace
from tpos_models.errors import MediaError, MissingFileError
from tpos_models.stable_diffusion.tpos import ENCODER, MAP, probe
from tpos_models.training import loop
from tpos_models.training.audio.data import spec_augment
from tpos_models.training.audio.losses import info_nce_of_pairs
from tpos_models.training.loop import Recipe

WINDOW = AudioWindow()
LOGIT_SCALE = float(np.exp(0.07))
RECIPE = Recipe(steps=100_000, lr=3e-4, warmup=1000, weight_decay=1e-4)

_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True)
class Labelled:
    """One recording and what it is called."""

    path: Path
    label: str


def labelled_sounds(folder: Path) -> list[Labelled]:
    """Recordings laid out LABEL/NAME.wav, as VGGSound and Landscape; raises `MissingFileError` when there are none."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise MissingFileError(f"{folder}: no labelled sounds; LABEL/NAME.wav, .flac, .ogg or .mp3 were expected")
    return [Labelled(path, path.parent.name.replace("_", " ")) for path in paths]


def config_for(text: TextSpace, base: EncoderConfig = PAPER) -> EncoderConfig:
    """`base` with the sizes of a text space: for CLIP ViT-L/14 the paper's own."""
    empty = text.encode([""])
    tokens, size = empty.tokens.shape[1:]
    return replace(base, size=empty.joint.shape[-1], map_hidden=76 // 7 * size, map_out=(tokens - 1) * size)


class Tpos(nn.Module):
    """Encoder and MAP as one module: segments (B, N, rows, columns) to last, sum (B, size) and MAP's numbers."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.encoder, self.map = TPoSEncoder(config), TokenMap(config)
        self.encoder.conv2.requires_grad_(False)  # of no use, and data-parallel training waits for every gradient

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        encoding = self.encoder(pictures)
        sound = encoding.weighted.sum(1)
        return encoding.last, sound, self.map(sound)


class TposStage:
    """One stage of `tpos_models.training.loop`."""

    name = "tpos"

    def __init__(
        self, sounds: Sequence[Labelled], text: TextSpace, base: EncoderConfig = PAPER, batch: int = 32
    ) -> None:
        self.config = config_for(text, base)
        self.module: nn.Module = Tpos(self.config)
        self._sounds, self._batch = list(sounds), batch
        self.labels = sorted({sound.label for sound in sounds})
        with torch.no_grad():
            encoded = [text.encode([label]) for label in self.labels]
        self._joint = torch.cat([one.joint for one in encoded]).float().cpu()
        self._tokens = torch.cat([one.tokens[:, 1:].flatten(1) for one in encoded]).float().cpu()

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Two augmented views (B, N, rows, columns), and the labels' joint vectors, tokens and numbers."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        chosen = [self._sounds[i] for i in rng.integers(len(self._sounds), size=self._batch)]
        pictures = np.stack([to_segments(sound.path, rng) for sound in chosen])
        views = (torch.from_numpy(spec_augment(rng, pictures)).float() for _ in range(2))
        label = torch.tensor([self.labels.index(sound.label) for sound in chosen])
        return tuple(x.to(generator.device) for x in (*views, self._joint[label], self._tokens[label], label))

    def losses(self, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        one, two, joint, tokens, label = batch
        last, sound, mapped = (x.chunk(2) for x in self.module(torch.cat([one, two])))
        same = label[:, None] == label[None]
        one, two = (F.normalize(view, dim=-1) for view in sound)
        text = torch.stack([info_nce_of_pairs(heard, joint, same, LOGIT_SCALE) for heard in (last[0], one)]).sum()
        contrast = info_nce_of_pairs(one, two, same, LOGIT_SCALE)
        mapping = F.mse_loss(mapped[0], tokens)
        return {"loss": text + contrast + mapping, "text": text, "self": contrast, "map": mapping}

    def sheet(self, path: Path) -> None:
        """How much a sound of each label resembles every label, as a PNG."""
        from matplotlib.figure import Figure

        rng = np.random.default_rng(1)
        first = {sound.label: sound.path for sound in reversed(self._sounds)}
        device = next(self.module.parameters()).device
        pictures = torch.from_numpy(np.stack([to_segments(first[label], rng) for label in self.labels])).float()
        sound = F.normalize(self.module(pictures.to(device))[1], dim=-1).cpu()
        figure = Figure(figsize=(6, 6), layout="constrained")
        axes = figure.subplots()
        axes.imshow((sound @ self._joint.T).numpy())
        axes.set(xlabel="label", ylabel="sound")
        figure.savefig(path, format="png", dpi=100)


def to_segments(path: Path, rng: np.random.Generator) -> np.ndarray:
    """A random window of a recording as the encoder sees it: (segments, rows, columns) in 0..1; raises `MediaError`."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MediaError(f"{path}: not a readable sound; .wav, .flac, .ogg or .mp3 would be accepted") from error
    mono = soxr.resample(samples.mean(axis=1), rate, WINDOW.sample_rate)
    length = WINDOW.frames * WINDOW.hop_length
    if mono.size > length:
        start = int(rng.integers(mono.size - length))
        mono = mono[start : start + length]
    mono = np.pad(mono, (length - mono.size, 0))
    return segments(spectrogram(mono, WINDOW, "absolute")[:, : WINDOW.frames], WINDOW)


def train_tpos(
    sounds: Path,
    text: TextSpace,
    runs: Path,
    out: Path,
    recipe: Recipe = RECIPE,
    base: EncoderConfig = PAPER,
    batch: int = 32,
) -> Path:
    """Train on labelled sounds; `out` then plays as an audio encoder of Stable Diffusion. Resumes what `runs` holds."""
    stage = TposStage(labelled_sounds(sounds), text, base, batch)
    tensors = loop.run(stage, runs, recipe)
    record = {
        "config": asdict(stage.config),
        "labels": stage.labels,
        "steps": recipe.steps,
        "joint_of_nothing": probe(text),
    }
    for name, prefix in ((ENCODER, "encoder."), (MAP, "map.")):
        part = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        weights.save(out, name, part, {"what": name, **record})
    return out
