"""Our loop against diffusers' own latent-consistency pipeline: same weights, same process, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from diffusers import LCMScheduler
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from engine.bench.report import Bar, Notify
from engine.bench.stages import NetworkProfiler, SteppedShow
from engine.core.messages import GuidanceTier, Prompt, ShowState
from engine.inference.priority import step_back
from export.onnx_session import threads_alone
from tpos_models.contracts import Model, ModelSpec
from tpos_models.network import Network

ROUNDS = 6
PROMPT = "a beach in the evening"
LEAST_RATIO = {"cpu": 3.0, "cuda": 4.0}
"""For compiled networks; the same eager torch on both sides gives about 1."""


class PipelineUnet(ModelMixin, ConfigMixin):
    """A model's own denoiser where the pipeline looks for its UNet; the guidance embedding is made and left unused."""

    @register_to_config
    def __init__(self, in_channels: int, sample_size: int, time_cond_proj_dim: int = 256) -> None:
        super().__init__()
        self.inner: nn.Module = nn.Identity()

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor, **unused: Any
    ) -> tuple[torch.Tensor]:
        return (self.inner(sample, timestep.expand(len(sample)), encoder_hidden_states),)


class PipelineVae(ModelMixin, ConfigMixin):
    """A model's own decoder where the pipeline looks for its VAE, which gives -1..1."""

    @register_to_config
    def __init__(self, block_out_channels: tuple[int, ...], scaling_factor: float = 1.0) -> None:
        super().__init__()
        self.inner: nn.Module = nn.Identity()

    def decode(self, latents: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        """Latents (B, C, h, w) to (B, 3, H, W)."""
        return (self.inner(latents) * 2 - 1,)


def build_pipeline(spec: ModelSpec, denoiser: Network, decoder: Network) -> Any:
    """diffusers' LatentConsistencyModelPipeline of these networks, eager torch; no safety checker, no progress bar."""
    transformers.logging.set_verbosity_error()  # the pipeline's import warns of picture processors it will not need
    from diffusers import LatentConsistencyModelPipeline

    unet = PipelineUnet(spec.latent_channels, spec.sample_size[0])
    unet.inner = denoiser.build()
    vae = PipelineVae((1,) * spec.scale.bit_length())
    vae.inner = decoder.build()
    scheduler = LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=spec.prediction_type
    )
    pipeline: Any = LatentConsistencyModelPipeline(
        vae=vae, text_encoder=None, tokenizer=None, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@dataclass(frozen=True)
class Comparison:
    """Frames a second of both, round by round, and the largest difference of their pictures, 0..255, at one step."""

    ours: list[float]
    diffusers: list[float]
    largest_difference: float
    steps: int

    @property
    def ratio(self) -> float:
        """Ours over diffusers', medians over the rounds."""
        return float(np.median(self.ours) / np.median(self.diffusers))

    def bar(self, device: str) -> Bar:
        """The line of the report."""
        return Bar("blend: frames a second over diffusers' pipeline", self.ratio, "least", LEAST_RATIO[device], "times")

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "ours_fps": float(np.median(self.ours)),
            "diffusers_fps": float(np.median(self.diffusers)),
            "ratio": self.ratio,
            "rounds": [list(pair) for pair in zip(self.ours, self.diffusers, strict=True)],
            "largest_difference": self.largest_difference,
            "steps": self.steps,
            "threads": threads_alone(),
        }

    def lines(self, runner: str) -> list[str]:
        """What each does, and how fast."""
        return [
            f"  ours, {runner}: analysis, an audio hop every 0.2 s, conditions, moving noise, sampler, uint8 picture: "
            f"{np.median(self.ours):.2f} frames/s",
            "  diffusers LatentConsistencyModelPipeline, eager torch, given latents and prompt tokens, float picture: "
            f"{np.median(self.diffusers):.2f} frames/s",
            f"  both {self.steps} step{'s' * (self.steps > 1)}, 1 evaluation each, {threads_alone()} CPU threads, "
            f"turn by turn; one picture of each differs by at most {self.largest_difference:.2f} of 255",
        ]


def measure_comparison(model: Model, networks: list[Network], steps: int, seconds: float, notify: Notify) -> Comparison:
    """Alternate both for `seconds` each in `ROUNDS` rounds, in a thread with the model's own priority."""
    notify("building diffusers' pipeline")
    denoiser, decoder = (next(n for n in networks if part in n.name) for part in ("denoiser", "decoder"))
    pipeline = build_pipeline(model.spec, denoiser, decoder)
    with ThreadPoolExecutor(1, initializer=step_back) as pool:
        return pool.submit(_alternate, model, pipeline, steps, seconds, notify).result()


def _alternate(model: Model, pipeline: Any, steps: int, seconds: float, notify: Notify) -> Comparison:
    state = ShowState(prompts=(Prompt(PROMPT),), guidance=GuidanceTier.BLEND, steps=steps)
    show = SteppedShow(model, state, NetworkProfiler())
    theirs = _theirs(model, pipeline, steps)
    difference = _difference(model, _theirs(model, pipeline, 1))
    ours_fps, theirs_fps = [], []
    own_threads = torch.get_num_threads()
    for number in range(ROUNDS):
        ours_fps.append(show.play_for(seconds / ROUNDS))
        torch.set_num_threads(threads_alone())
        theirs_fps.append(_fps(theirs, seconds / ROUNDS))
        torch.set_num_threads(own_threads)
        notify(f"round {number + 1} of {ROUNDS}: {ours_fps[-1]:.2f} against {theirs_fps[-1]:.2f} frames/s")
    return Comparison(ours_fps, theirs_fps, difference, steps)


def _theirs(model: Model, pipeline: Any, steps: int) -> Callable[[], np.ndarray]:
    """One frame of diffusers' pipeline: RGB (height, width, 3), 0..1."""
    spec = model.spec
    tokens = model.text.encode([PROMPT]).tokens.to(model.device)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn((1, spec.latent_channels, *spec.sample_size), generator=generator).to(model.device)
    height, width = (side * spec.scale for side in spec.sample_size)

    def frame() -> np.ndarray:
        out = pipeline(
            prompt_embeds=tokens,
            latents=z.clone(),
            num_inference_steps=steps,
            height=height,
            width=width,
            output_type="np",
        )
        return np.asarray(out.images[0])

    return frame


def _difference(model: Model, theirs: Callable[[], np.ndarray]) -> float:
    """How far the two first pictures of seed 0 are apart: one step, no sound, no motion."""
    still = ShowState(prompts=(Prompt(PROMPT),), guidance=GuidanceTier.BLEND, amount=0.0, motion=0.0, seed=0)
    ours = SteppedShow(model, still, NetworkProfiler()).pipeline.frame(still).image[..., :3]
    return float(np.abs(255 * theirs() - ours).max())


def _fps(play: Callable[[], object], seconds: float) -> float:
    play()
    start_s = time.perf_counter()
    frames = 0
    while (took_s := time.perf_counter() - start_s) < seconds or not frames:
        play()
        frames += 1
    return frames / took_s
