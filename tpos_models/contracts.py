"""The one contract every model fulfils, from `pocket` to Stable Diffusion.

text space, audio encoder, denoiser and decoder, and the record of shapes that travels with the weights.
Implementations may run in torch, ONNX Runtime or TensorRT: what crosses these calls is always a torch tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch

from tpos_models.diffusion.flow import NoiseFlow, plain_flow
from tpos_models.diffusion.guidance import Guidance
from tpos_models.network import Run
from tpos_models.precision import Precision

PredictionType = Literal["epsilon", "v_prediction", "sample"]
Schedule = Literal["rectified_flow", "scaled_linear"]
Stepping = Literal["consistency", "euler", "ancestral"]


@dataclass(frozen=True)
class ModelSpec:
    """Shapes, schedule and prediction type of one model; stored as JSON beside its weights.

    `sample_size` is the latents' (height, width), `scale` the pixels per latent cell. `tokens` x `token_size` is the
    shape of one encoded prompt, `joint_size` of the space in which sounds and phrases are compared.
    """

    name: str
    latent_channels: int = 4
    sample_size: tuple[int, int] = (32, 32)
    scale: int = 8
    tokens: int = 17
    token_size: int = 32
    joint_size: int = 128
    prediction_type: PredictionType = "sample"
    schedule: Schedule = "rectified_flow"
    num_train_timesteps: int = 1000
    stepping: Stepping = "consistency"
    """How few steps follow each other, as the model was distilled (formula: `diffusion.schedule`)."""
    timesteps: tuple[int, ...] = (999, 679, 359, 99)
    """Timesteps of the few-step schedule, noisiest first; n steps take n of them, evenly."""
    most_steps: int | None = None
    """Steps beyond which its pictures get worse; None: it gains by as many as it has timesteps."""
    guidance: Guidance = Guidance()
    """Strengths at `amount` 1 that suit this model."""
    spherical: bool = True
    """Prompts crossfade by turning tokens (CLIP) rather than mixing them (a linear space)."""


@dataclass(frozen=True)
class AudioWindow:
    """How the audio encoder cuts its input (TPoS: 768 frames at hop 512 of 44.1 kHz, five segments of 153).

    `rows` are spaced evenly over the frequencies, as TPoS has them, or as mel bands: `pocket`'s own, or the usual ones.
    """

    sample_rate: int = 44_100
    n_fft: int = 1024
    hop_length: int = 512
    rows: int = 128
    frames: int = 768
    segments: int = 5
    scale: Literal["linear", "mel", "slaney"] = "linear"

    @property
    def segment_frames(self) -> int:
        """STFT frames in one segment: 153, the last 3 of the 768 are dropped."""
        return self.frames // self.segments

    @property
    def segment_samples(self) -> int:
        """Samples from one segment to the next: 78 336, 1.78 s."""
        return self.segment_frames * self.hop_length


@dataclass(frozen=True)
class AudioEmbedding:
    """What the encoder heard in one window.

    `tokens` (TOKENS, TOKEN_SIZE) is MAP's answer, conditioning in the text space's own format; `joint` (joint_size,)
    is unit length, comparable with `TextSpace.encode(...).joint`; `beta` (segments,) is TAM's attention, oldest
    first, sums to 1; `loudness_db` is the RMS level of the newest segment, 0 dB = full scale; `time_s` is the capture
    time of the newest sample in the window. `attention` 0..1 is how much of its attention the encoder gives to the
    newest segment, where its tokens do not say so themselves.
    """

    tokens: torch.Tensor
    joint: torch.Tensor
    beta: np.ndarray
    loudness_db: float
    time_s: float
    attention: float = 1.0


@dataclass(frozen=True)
class TextEmbedding:
    """`tokens` (B, TOKENS, TOKEN_SIZE) conditions the denoiser; `joint` (B, joint_size) has unit length."""

    tokens: torch.Tensor
    joint: torch.Tensor


class UnknownWord(NamedTuple):
    """A word of a prompt that a model cannot draw, and the nearest thing that it can; "" where nothing is near."""

    word: str
    nearest: str

    def line(self, model: str) -> str:
        """One line for a person, such as: pocket does not draw "cat"; nearest: "meadow"."""
        return f'{model} does not draw "{self.word}"' + (f'; nearest: "{self.nearest}"' if self.nearest else "")


class TextSpace(Protocol):
    """Prompts to conditioning. `encode([""])` is the unconditional branch."""

    def encode(self, prompts: list[str]) -> TextEmbedding:
        """Encode prompts of any length and script; never fails on text."""
        ...

    def joint(self, prompts: list[str]) -> torch.Tensor:
        """The joint (B, joint_size) of `encode` alone, which may cost less."""
        ...

    def unknown(self, prompt: str) -> tuple[UnknownWord, ...]:
        """The words of a prompt that mean nothing to the picture, in their order; never fails on text."""
        ...


class AudioEncoder(Protocol):
    """Sound to conditioning. One instance belongs to one stream: it caches the features of past segments."""

    window: AudioWindow
    phrases: tuple[str, ...]
    """Its own vocabulary: what it names when nobody asks for other phrases."""

    def hear(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """Encode the newest window of a stream.

        `samples` is mono float32 (n,) at `window.sample_rate`, newest last; shorter than a window is padded with
        silence in front. `end_index` counts the stream's samples up to and including the last one, which was captured
        at `time_s`: samples[i] is number end_index - n + i. What was heard before is skipped by its number, so a window
        that moved on by h samples costs the segments that h samples touched. One that does not continue the last, as
        its `end_index` goes back or leaves a hole, begins a new stream.
        """
        ...

    def another(self) -> AudioEncoder:
        """The same networks for another stream, on the same thread."""
        ...

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        """How much the sound resembles each phrase: joint (n, joint_size) -> weights (n,) 0..1, low when none fits."""
        ...


class Denoiser(Protocol):
    """One evaluation of the network."""

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """x_t (B, C, h, w), t (B,) int64 in 0..num_train_timesteps-1, tokens (B, L, D) -> prediction (B, C, h, w)."""
        ...


class Decoder(Protocol):
    """Latents to pixels."""

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, h, w) of unit variance to RGB (B, 3, h * scale, w * scale) in 0..1."""
        ...


class Encoder(Protocol):
    """Pixels to latents: what `Decoder` undoes."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """RGB (B, 3, h * scale, w * scale) in 0..1 to latents (B, C, h, w) of unit variance."""
        ...


class Loras(Protocol):
    """What was added to a model's weights, by name, as strongly as the show asks. Owned by the thread that samples."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def words(self) -> bool:
        """Whether any of them changes the text encoder."""
        ...

    def set(self, strengths: Mapping[str, float]) -> bool:
        """Change strengths between two frames; one that is not named has that which it was loaded with.

        Whether what `TextSpace` and `AudioEncoder` answered before is what they would no longer answer.
        """
        ...


@dataclass(frozen=True)
class Model:
    """One playable model: its parts behind the contract.

    `device` and `dtype` are where latents live; `noise_flow` says which way its noise moves under prompt and sound.
    `step` and `pixels`, where its runner compiles them, are `tpos_models.diffusion.step.Step` and `Pixels` as functions
    of tensors; denoiser and decoder are then built when they are first asked, as by the paper's own sampler.
    """

    spec: ModelSpec
    text: TextSpace
    audio: AudioEncoder
    denoiser: Denoiser
    decoder: Decoder
    encoder: Encoder
    runner: str = "torch"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    precision: Precision = Precision.FP32
    noise_flow: NoiseFlow = plain_flow
    step: Run | None = None
    pixels: Run | None = None
    sampler: Any = None
    """Its own `diffusion.sampler.Sampler` of few-step frames, where it draws without denoiser and decoder."""
    loras: Loras | None = None
