"""The paper's own audio encoder on Stable Diffusion: released checkpoints imported, and heard through."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.audio.encoder import PAPER, EncoderConfig, SegmentHalf, TokenMap, TPoSEncoder, released_names
from tpos_models.audio.streaming import STEPS_PER_SEGMENT, Listener
from tpos_models.contracts import AudioEmbedding, AudioWindow, TextSpace
from tpos_models.errors import MissingFileError, ModelError
from tpos_models.network import Network, Runner, run_in_torch
from tpos_models.stable_diffusion.devices import CPU
from tpos_models.stable_diffusion.phrases import bank, stand_out
from tpos_models.stable_diffusion.text import ClipText

M = TypeVar("M", bound=nn.Module)

ENCODER, MAP = "tpos_encoder", "tpos_map"


class FrontEnd(StrEnum):
    """The pictures a checkpoint was trained on: the paper's published front end, or the mel pictures of its loader."""

    LINEAR = "linear"
    MEL = "mel"

    @property
    def window(self) -> AudioWindow:
        """How sound is cut, and its rows."""
        return AudioWindow(scale="slaney" if self is FrontEnd.MEL else "linear")

    @property
    def reference(self) -> Literal["absolute", "peak"]:
        """What decibels are measured against (`tpos_models.audio.spectrogram`)."""
        return "peak" if self is FrontEnd.MEL else "absolute"


def import_tpos(
    encoder: Path, mapping: Path, out: Path, config: EncoderConfig = PAPER, front_end: FrontEnd = FrontEnd.LINEAR
) -> Path:
    """Convert the released checkpoints to safetensors with records in `out`; returns `out`.

    `front_end` goes into the record: a checkpoint does not say what it was shown. The pickles are opened with
    `weights_only`. Raises `MissingFileError`, or `ModelError` listing what differs from a TPoS checkpoint; then nothing
    is written. Raises `StorageError`.
    """
    with torch.device("meta"):
        shapes: dict[str, nn.Module] = {ENCODER: TPoSEncoder(config), MAP: TokenMap(config)}
    converted = {
        name: _checked(released_names(_read_pickle(path), shapes[name], str(path)), path)
        for name, path in ((ENCODER, encoder), (MAP, mapping))
    }
    existed = out.exists()
    try:
        for name, path in ((ENCODER, encoder), (MAP, mapping)):
            record = {"what": name, "config": asdict(config), "imported_from": path.name, "front_end": str(front_end)}
            weights.save(out, name, converted[name], record)
    except weights.StorageError:
        if not existed:
            shutil.rmtree(out, ignore_errors=True)
        raise
    return out


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """A state dict of tensors and nothing else."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such checkpoint; a .pth file of TPoS was expected")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ModelError(
            f"{path}: not a checkpoint of plain tensors, the only kind that is opened ({reason})"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ModelError(f"{path}: a state dict of tensors was expected, as torch.save(model.state_dict()) writes it")
    return dict(found)


def _checked(tensors: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    bad = next((key for key, value in tensors.items() if not torch.isfinite(value).all()), None)
    if bad is not None:
        raise ModelError(f"{path}: {bad} holds NaN or infinity")
    return tensors


def is_tpos(folder: Path) -> bool:
    """Whether a folder holds an imported TPoS checkpoint."""
    return (folder / f"{ENCODER}.json").is_file()


def load_tpos(folder: Path) -> tuple[TPoSEncoder, TokenMap]:
    """The imported networks in eval mode; raises `ModelError` or `MissingFileError`."""
    return _load(folder, ENCODER, TPoSEncoder), _load(folder, MAP, TokenMap)


def _load(folder: Path, name: str, kind: Callable[[EncoderConfig], M]) -> M:
    tensors, record = weights.load(folder, name)
    module = kind(_config(record, folder / f"{name}.json"))
    weights.load_into(module, tensors, str(folder / f"{name}.safetensors"))
    return module.eval().requires_grad_(False)


def front_end(folder: Path) -> FrontEnd:
    """What a checkpoint's record says it is shown; raises `ModelError`."""
    path = folder / f"{ENCODER}.json"
    named = weights.read_record(path).get("front_end", FrontEnd.LINEAR)
    if named not in list(FrontEnd):
        raise ModelError(f"{path}: front_end is {named}; {' or '.join(FrontEnd)} would be accepted")
    return FrontEnd(named)


def _config(record: weights.Record, path: Path) -> EncoderConfig:
    sizes = record.get("config")
    if not isinstance(sizes, dict) or sizes.keys() != asdict(PAPER).keys():
        raise ModelError(f"{path}: no sizes of an audio encoder; an imported TPoS checkpoint was expected")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}
    return EncoderConfig(**values)


class Attention(nn.Module):
    """Features (B, N, size) to what MAP is played on (B, size), joint of unit length (B, size) and beta (B, N)."""

    def __init__(self, encoder: TPoSEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        encoding = self.encoder.attend(features)
        return encoding.played, F.normalize(encoding.sound, dim=-1), encoding.beta


class Mapping(nn.Module):
    """The sound (B, size) to tokens (B, TOKENS, token_size): CLIP's start token, and MAP's."""

    start: torch.Tensor

    def __init__(self, mapping: TokenMap, start: torch.Tensor) -> None:
        super().__init__()
        self.mapping = mapping
        self.register_buffer("start", start.clone(), persistent=False)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        tokens = self.mapping(sound).unflatten(1, (-1, self.start.shape[-1]))
        return torch.cat([self.start.expand(tokens.shape[0], 1, -1), tokens], 1)


def tpos_networks(folder: Path, empty: torch.Tensor, device: torch.device = CPU) -> tuple[Network, Network, Network]:
    """Segment encoder, attention and MAP for any runner.

    `empty` (TOKENS, token_size) encodes "": MAP leaves its first row, CLIP's start token, and replaces the others.
    """
    window, nets = front_end(folder).window, cache(lambda: load_tpos(folder))
    encoder_sha, map_sha = (weights.read_record(folder / f"{name}.json").get("sha256", "") for name in (ENCODER, MAP))
    config = _config(weights.read_record(folder / f"{ENCODER}.json"), folder / f"{ENCODER}.json")
    start, replaced = empty[0], empty[1:]
    if config.map_out != replaced.numel():
        raise ModelError(
            f"{folder}: MAP writes {config.map_out} numbers, {len(replaced)} tokens of {start.numel()} were expected; "
            "this checkpoint belongs to another text encoder (the paper's to SD 1.x: 76 of 768)"
        )
    segment = Network(
        "tpos-segment",
        lambda: SegmentHalf(nets()[0]).to(device),
        lambda batch: (torch.rand(batch, window.rows, window.segment_frames, device=device),),
        ("picture",),
        ("features",),
        f"{encoder_sha}",
    )
    attention = Network(
        "tpos-attention",
        lambda: Attention(nets()[0]).eval().to(device),
        lambda batch: (torch.randn(batch, window.segments, config.size, device=device),),
        ("features",),
        ("sound", "joint", "beta"),
        f"{encoder_sha}",
    )
    mapping = Network(
        "tpos-map",
        lambda: Mapping(nets()[1], start.cpu()).eval().to(device),
        lambda batch: (torch.randn(batch, config.size, device=device),),
        ("sound",),
        ("tokens",),
        f"{map_sha}",
    )
    return segment, attention, mapping


def probe(text: TextSpace) -> list[float]:
    """Numbers by which a joint space is known again."""
    return [round(float(value), 4) for value in text.encode([""]).joint[0, :8]]


def shares_joint_space(folder: Path, text: TextSpace) -> bool:
    """Whether what a checkpoint hears can be compared with phrases through `text`.

    One trained here says in its record which text encoder it was trained on. The released one was trained on CLIP's
    projected embeddings, which the text encoder in a Stable Diffusion folder does not have.
    """
    known = weights.read_record(folder / f"{ENCODER}.json").get("joint_of_nothing")
    return isinstance(known, list) and np.allclose(known, probe(text), atol=1e-3)


class TposAudioEncoder(Listener):
    """The AudioEncoder of an imported checkpoint: MAP's own tokens, phrases scored in CLIP's joint space.

    Its pictures are those of the checkpoint's front end, and MAP's tokens grow with its attention. What is heard, its
    attention and loudness are new with every answer; MAP, 1.8 GB of weights read for each call, runs once in
    `map_every` answers: by default on a GPU in all, on a CPU once per segment (1.78 s).
    """

    def __init__(
        self,
        folder: Path,
        text: ClipText,
        device: torch.device = CPU,
        runner: Runner = run_in_torch,
        map_every: int | None = None,
    ) -> None:
        empty = text.encode([""]).tokens[0]
        segment, self._attend, self._write = (runner(network) for network in tpos_networks(folder, empty, device))
        self._every = map_every or (STEPS_PER_SEGMENT if device.type == "cpu" else 1)
        self._answers = 0
        self._tokens = empty
        self.phrases = tuple(phrase.hear for phrase in bank())
        self._text = text

        def features(pictures: torch.Tensor) -> torch.Tensor:
            return segment(pictures.to(device))[0]

        hears = front_end(folder)
        super().__init__(features, self._weigh, hears.window, hears.reference)

    def another(self) -> Self:
        """The same networks for another stream, MAP's turns included."""
        other = super().another()
        other._temporal, other._answers = other._weigh, 0
        return other

    def _weigh(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        sound, joint, beta = self._attend(features)
        if self._answers % self._every == 0:
            start = self._text.encode([""]).tokens[:, :1]  # of this moment's text encoder
            self._tokens = torch.cat([start, self._write(sound)[0][:, 1:]], 1)
        self._answers += 1
        return self._tokens, joint, beta.cpu()

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        """Weights (n,) 0..1 by how far each phrase stands out from the bank, where both share CLIP's joint space."""
        background = self._text.joint(list(self.phrases))
        return stand_out((joint @ embedding.joint).cpu(), (background @ embedding.joint).cpu())
