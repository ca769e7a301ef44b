"""The TPoS audio encoder (ICCV 2023): segments, LSTM, temporal attention (TAM) and mapping to text tokens (MAP).

Parameter names are those of the released checkpoints, the backbone's those of timm's ResNet-18, so that
`released_names` and a plain `load_state_dict` import them. Batch and device are those of the input, everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.errors import ModelError
from tpos_models.weights import describe_difference


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of one encoder; the defaults are the paper's.

    `size` is the LSTM's and the joint space's, `widths` the four stages of the ResNet-18, `map_hidden` and `map_out`
    MAP's two layers. `mean_columns` neighbouring columns of the picture become their mean; `stem_stride` is the first
    convolution's (rows, columns); `recent_columns` > 0 lets the head see the newest columns of the last feature map
    apart from the mean of all.
    """

    size: int = 768
    rows: int = 128
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    mean_columns: int = 1
    stem_stride: tuple[int, int] = (2, 2)
    recent_columns: int = 0
    map_hidden: int = 76 // 7 * 768
    map_out: int = 76 * 768
    dropout: float = 0.2


PAPER = EncoderConfig()


class Encoding(NamedTuple):
    """Last LSTM state (B, size), the outputs weighted by attention (B, N, size), the attention beta (B, N)."""

    last: torch.Tensor
    weighted: torch.Tensor
    beta: torch.Tensor

    @property
    def sound(self) -> torch.Tensor:
        """sum_i beta_i h_i (B, size): what is compared with text, and what MAP is trained on."""
        return self.weighted.sum(1)

    @property
    def played(self) -> torch.Tensor:
        """N beta_N h_N (B, size): what MAP is played on, the newest segment as loud as an even attention to all."""
        return self.weighted.shape[1] * self.weighted[:, -1]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(nn.Module):
    """ResNet-18 (He et al., 2016) of any width, with timm's parameter names: (B, 3, h, w) to (B, size).

    `stages` and `pooled` are what lies on the way, for a training that teaches those, too.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int],
        size: int,
        stem_stride: tuple[int, int] = (2, 2),
        recent_columns: int = 0,
    ) -> None:
        super().__init__()
        self.recent_columns = recent_columns
        self.conv1 = nn.Conv2d(3, widths[0], 7, stem_stride, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = (widths[0], *widths[:3])
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(BasicBlock(i, o, 1 if k == 0 else 2), BasicBlock(o, o, 1))
            for k, (i, o) in enumerate(zip(inputs, widths, strict=True))
        )
        self.fc = nn.Linear(widths[3] * (2 if recent_columns else 1), size)

    def stages(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The maps of the four stages, each (B, width, rows, columns)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def pooled(self, top: torch.Tensor) -> torch.Tensor:
        """The last map's mean, and that of its newest columns, if they are seen apart."""
        x = top.mean(2)
        pooled = x.mean(2)
        if self.recent_columns:
            pooled = torch.cat([pooled, x[:, :, -self.recent_columns :].mean(2)], 1)
        return pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pooled(self.stages(x)[-1]))


class TPoSEncoder(nn.Module):
    """Segments of a spectrogram to the LSTM's last state, the attended outputs and the attention (Sec. 3 of the paper).

    `forward((B, N, rows, segment_frames))` gives `Encoding`; any N. `segment` and `attend` are its two halves, for
    streams that keep the features of past segments.
    """

    def __init__(self, config: EncoderConfig = PAPER) -> None:
        super().__init__()
        self.config = config
        self.conv = nn.Conv2d(1, 3, 3)
        self.conv2 = nn.Conv2d(1, 77, 1)  # in the released checkpoints, used by nothing
        self.feature_extractor = ResNet18(config.widths, config.size, config.stem_stride, config.recent_columns)
        self.lstm = nn.LSTM(config.size, config.size, batch_first=True)
        self.cnn = nn.Conv1d(config.size, 1, 1)

    def segment(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, rows, segment_frames) to features (B, size)."""
        return self.feature_extractor(self.seen(pictures))

    def seen(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, rows, segment_frames) as the backbone takes them (B, 3, h, w)."""
        if self.config.mean_columns > 1:
            pictures = F.avg_pool1d(
                pictures[..., pictures.shape[-1] % self.config.mean_columns :], self.config.mean_columns
            )
        return self.conv(pictures.unsqueeze(1))

    def attend(self, features: torch.Tensor) -> Encoding:
        """Features (B, N, size), oldest first, through LSTM and TAM."""
        outputs = F.normalize(self.lstm(features)[0], dim=-1)
        beta = self.cnn(outputs.transpose(1, 2)).squeeze(1).softmax(-1)
        return Encoding(outputs[:, -1], outputs * beta.unsqueeze(-1), beta)

    def forward(self, segments: torch.Tensor) -> Encoding:
        batch, n = segments.shape[:2]
        return self.attend(self.segment(segments.flatten(0, 1)).view(batch, n, -1))


class TokenMap(nn.Module):
    """MAP: the sound (B, size) to the numbers (B, map_out) that text tokens 1.. are made of; dropout in training."""

    def __init__(self, config: EncoderConfig = PAPER) -> None:
        super().__init__()
        self.linear1 = nn.Linear(config.size, config.map_hidden)
        self.linear2 = nn.Linear(config.map_hidden, config.map_out)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        hidden = F.gelu(self.drop(self.linear1(sound)))
        return F.gelu(self.drop(self.linear2(hidden)))


class SegmentHalf(nn.Module):
    """What a stream runs for each new segment: (B, rows, segment_frames) to (B, size). For export."""

    def __init__(self, encoder: TPoSEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.encoder.segment(pictures)


class TemporalHalf(nn.Module):
    """What a stream runs on the newest features: (B, N, size) to tokens, joint and beta. For export.

    `start` (token_size,) is the start token of the encoding of "", which MAP leaves alone; the tokens are
    (B, 1 + map_out / token_size, token_size), joint is (B, size) of unit length.
    """

    start: torch.Tensor

    def __init__(self, encoder: TPoSEncoder, mapping: TokenMap, start: torch.Tensor) -> None:
        super().__init__()
        self.encoder, self.mapping = encoder, mapping
        self.register_buffer("start", start.clone(), persistent=False)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        encoding = self.encoder.attend(features)
        tokens = self.mapping(encoding.played).unflatten(1, (-1, self.start.shape[-1]))
        start = self.start.expand(features.shape[0], 1, -1)  # of the input: an exporter's trace knows its batch
        return torch.cat([start, tokens], 1), F.normalize(encoding.sound, dim=-1), encoding.beta


_UNUSED = ("T_A.", "T_A2.")


def released_names(tensors: Mapping[str, torch.Tensor], module: nn.Module, source: str) -> dict[str, torch.Tensor]:
    """A released checkpoint's tensors under this module's names, ready for `load_state_dict`.

    Strips the `module.` of data-parallel training and drops the unused `T_A` and `T_A2`; anything else that differs
    raises ModelError, which lists it.
    """
    named = {key.removeprefix("module."): value for key, value in tensors.items()}
    named = {key: value for key, value in named.items() if not key.startswith(_UNUSED)}
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in named.items()}
    if expected != found:
        raise ModelError(
            f"{source}: not a TPoS {type(module).__name__}: {describe_difference(expected, found, most=12)}"
        )
    return named
