"""The networks of `pocket`'s audio encoder: TPoS's at pocket size, and MAP to clean scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tpos_models import weights
from tpos_models.audio.encoder import EncoderConfig, TokenMap, TPoSEncoder
from tpos_models.contracts import AudioWindow
from tpos_models.pocket import scene

WINDOW = AudioWindow(rows=64, scale="mel")
POCKET = EncoderConfig(
    size=128,
    rows=WINDOW.rows,
    widths=(32, 64, 128, 256),
    stem_stride=(2, 4),
    recent_columns=1,
    map_hidden=16 // 7 * 128,
    map_out=len(scene.CONDITIONS),
    dropout=0.05,
)
"""What a training begins with; trained weights say their own sizes (`load_net`)."""
NAME = "hearing"
UNLIKELY = 0.2
"""What is less likely is not heard."""


class Recognition(nn.Module):
    """Sounds and phrases to how surely each phrase is heard, independently of the others: rain over a beat is both.

    A sigmoid for each pair as in SigLIP (Zhai et al., ICCV 2023), between a layer on either side of the joint space and
    with an offset of the phrase's own: near phrases lie too near in a space made for all language.
    """

    def __init__(self, size: int, hidden: int = 256) -> None:
        super().__init__()
        self.sound = nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))
        self.phrase = nn.Linear(size, size + 1)
        self._scale = size**0.5
        nn.init.constant_(self.phrase.bias[-1:], -4.0)  # most are not heard

    def forward(self, joint: torch.Tensor, phrases: torch.Tensor) -> torch.Tensor:
        """Unit vectors of sounds (..., size) and of phrases (P, size) to log odds (..., P)."""
        rows = self.phrase(self._scale * phrases)
        return self.sound(self._scale * joint) @ rows[:, :-1].T / self._scale + rows[:, -1]

    def weights(self, joint: torch.Tensor, phrases: torch.Tensor) -> torch.Tensor:
        """How much of each phrase is heard, 0..1: nothing up to a chance of UNLIKELY, from there on evenly to 1."""
        return ((self(joint, phrases).sigmoid() - UNLIKELY) / (1 - UNLIKELY)).clamp(min=0.0)


class AudioEncoderNet(nn.Module):
    """Everything that is trained: encoder, MAP, and what tells phrases heard from others.

    MAP's last GELU leaves only numbers >= -0.17, and tokens need both signs, so MAP writes condition strengths and
    `scene.to_tokens`, which is linear, spells them: the tokens are always those of a clean scene.
    """

    def __init__(self, config: EncoderConfig = POCKET) -> None:
        super().__init__()
        self.encoder = TPoSEncoder(config)
        self.map = TokenMap(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(16.0)))
        self.recognition = Recognition(config.size)
        self.register_buffer("phrases", torch.zeros(len(scene.CONDITIONS), config.size))

    phrases: torch.Tensor
    """What the conditions are called (conditions, size), in the joint space; zeros until trained."""

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """For training: pictures (B, N, rows, frames) to last state, joint, strengths, and the scale of likeness."""
        return self.temporal(self.encoder.segment(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2]))

    def temporal(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The second half of `forward`, from features (B, N, size)."""
        encoding = self.encoder.attend(features)
        joint = nn.functional.normalize(encoding.weighted.sum(1), dim=-1)
        return encoding.last, joint, self.strengths(encoding.weighted), self.log_scale.exp()

    def resembled(self, joint: torch.Tensor) -> torch.Tensor:
        """How surely what each condition is called is heard, too, in sounds (B, size): (B, conditions), 0..1.

        Half sure is enough.
        """
        return (2 * self.recognition(joint, self.phrases).sigmoid()).clamp(max=1.0)

    def strengths(self, weighted: torch.Tensor) -> torch.Tensor:
        """Outputs weighted by attention (B, N, size) to condition strengths (B, conditions), about 0..1."""
        return self.map(weighted.sum(1) * weighted.shape[-1] ** 0.5)


class TemporalPart(nn.Module):
    """Features (B, N, size) to tokens (B, TOKENS, TOKEN_SIZE), joint (B, size) of unit length, beta (B, N).

    Strengths below `floor` count as nothing heard, so that silence is the encoding of "" exactly; above, they grow from
    0 to 1, what is half sure to three quarters: a picture shows a thing or it does not. Two readings must agree: what
    does not resemble the condition's phrase, as a low tone in music is no foghorn, is not shown. Next to a stronger one
    they fade, to nothing below 0.4 of it, from 0.7 of it on not at all: such a rest is a sound that has just ended, or
    a doubt. They say what sounds, not how loud: that is `conditioning.magnitude`'s.
    """

    def __init__(self, net: AudioEncoderNet, floor: float = 0.08) -> None:
        super().__init__()
        self.net, self.floor = net, floor

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        encoding = self.net.encoder.attend(features)
        joint = nn.functional.normalize(encoding.weighted.sum(1), dim=-1)
        strengths = (self.net.strengths(encoding.weighted) - self.floor).clamp(0.0, 1 - self.floor) / (1 - self.floor)
        strengths = strengths * self.net.resembled(joint)
        strengths = 1 - (1 - strengths) ** 2
        share = strengths / strengths.amax(-1, keepdim=True).clamp(min=1e-6)
        strengths = strengths * ((share - 0.4) / 0.3).clamp(0.0, 1.0)
        scenes = nn.functional.pad(strengths, (scene.CONDITION.start, scene.SCENE_SIZE - scene.CONDITION.stop))
        return scene.to_tokens(scenes), joint, encoding.beta


def load_net(folder: Path) -> AudioEncoderNet:
    """The trained networks, in evaluation mode; raises ModelError or MissingFileError."""
    tensors, record = weights.load(folder, NAME)
    net = AudioEncoderNet(_config(record, f"{folder / NAME}.json"))
    tensors = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    weights.load_into(net, tensors, str(folder / f"{NAME}.safetensors"))
    return net.eval()


def load_recognition(folder: Path) -> Recognition:
    """What tells phrases heard from others, alone; raises as `load_net`."""
    tensors, record = weights.load(folder, NAME)
    recognition, prefix = Recognition(_config(record, f"{folder / NAME}.json").size), "recognition."
    own = {key.removeprefix(prefix): value.float() for key, value in tensors.items() if key.startswith(prefix)}
    weights.load_into(recognition, own, str(folder / f"{NAME}.safetensors"))
    return recognition.eval()


def save_net(net: AudioEncoderNet, folder: Path, record: Mapping[str, object]) -> None:
    """Write weights, in float16, and record; to the record are added the sizes that `load_net` builds from."""
    config = asdict(net.encoder.config)
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in net.state_dict().items()}
    weights.save(folder, NAME, tensors, {"what": "pocket's audio encoder", "config": config, **record})


def _config(record: Mapping[str, object], source: str) -> EncoderConfig:
    sizes = record.get("config")
    if not isinstance(sizes, dict) or sizes.keys() != asdict(POCKET).keys():
        raise weights.ModelError(
            f"{source}: no sizes of an audio encoder; expected a config with {', '.join(asdict(POCKET))}"
        )
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}
    return EncoderConfig(**values)
