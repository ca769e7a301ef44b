"""The networks of one Stable Diffusion model as runners take them: torch, ONNX Runtime and TensorRT alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from tpos_models.network import Adapters, Network
from tpos_models.stable_diffusion.devices import CPU
from tpos_models.stable_diffusion.folder import digest, identity
from tpos_models.stable_diffusion.lora import Lora, fuse
from tpos_models.stable_diffusion.modules import (
    Denoiser,
    LatentDecoder,
    LatentEncoder,
    Source,
    TextEncoder,
    TextEncoderPair,
)  # fmt: skip
from tpos_models.stable_diffusion.tokens import MAX_TOKENS

_VERSION = 2
"""Raised whenever the modules around the networks change what they compute, or exporting how it names weights."""


@dataclass(frozen=True)
class Placement:
    """Where networks run and in which precision; on GPUs convolutions keep their channels last."""

    device: torch.device = CPU
    dtype: torch.dtype = torch.float32

    def place(self, module: nn.Module) -> nn.Module:
        """Move a module to the device, in eval mode."""
        if self.device.type != "cpu":
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return module.to(self.device).eval()


@dataclass(frozen=True)
class Recipe:
    """Everything the networks of one model are made of; `size` is the latents' (height, width).

    `loras` are fused into the weights, `adapters` change those of a network (by its first part) while it plays.
    """

    source: Source
    size: tuple[int, int]
    loras: tuple[Lora, ...] = ()
    placement: Placement = Placement()
    embedded_scale: float = 8.5
    adapters: Mapping[str, Adapters] = field(default_factory=dict)

    def text_encoder(self) -> Network:
        """ids (B, 77), with SDXL also ids_2 -> tokens (B, TOKENS, size), joint (B, joint_size)."""
        count = len(self.source.configs.texts)
        return self._network(
            "text_encoder",
            ("text_encoder", "text_encoder_2")[:count],
            self._text_encoder,
            lambda b: (torch.arange(b * MAX_TOKENS, device=self.placement.device).view(b, -1) % 500,) * count,
            ("ids", "ids_2")[:count],
            ("tokens", "joint"),
        )

    def _text_encoder(self) -> nn.Module:
        dtype = self.placement.dtype
        clip = self._fused("text_encoder", self.source.text_encoder(dtype))
        if self.source.configs.text_2 is None:
            return TextEncoder(clip)
        return TextEncoderPair(clip, self._fused("text_encoder_2", self.source.text_encoder_2(dtype)))

    def denoiser(self) -> Network:
        """x_t (B, C, h, w), t (B,), tokens (B, TOKENS, size) -> prediction (B, C, h, w)."""
        return self._network(
            "denoiser",
            ("unet",),
            lambda: Denoiser(
                self._fused("unet", self.source.unet(self.placement.dtype)), self.embedded_scale, self.size_px
            ),
            self._denoiser_example,
            ("x_t", "t", "tokens"),
            ("prediction",),
        )

    def decoder(self) -> Network:
        """Latents (B, C, h, w) -> RGB (B, 3, H, W) in 0..1."""
        return self._network(
            "decoder",
            ("vae",),
            lambda: LatentDecoder(*self._vae()),
            lambda b: (self._random(b, self.channels, *self.size),),
            ("latents",),
            ("image",),
        )

    def encoder(self) -> Network:
        """RGB (B, 3, H, W) in 0..1 -> latents (B, C, h, w)."""
        return self._network(
            "encoder",
            ("vae",),
            lambda: LatentEncoder(*self._vae()),
            lambda b: (self._random(b, 3, *self.size_px).sigmoid(),),
            ("image",),
            ("latents",),
        )

    def _vae(self) -> tuple[Any, bool]:
        """The VAE, and whether it stays in float32 where others are float16: SDXL's own, which overflows there."""
        precise = self.source.configs.text_2 is not None and bool(self.source.configs.vae.get("force_upcast"))
        dtype = self.placement.dtype
        return self.source.vae(torch.float32 if precise and dtype == torch.float16 else dtype), precise

    @property
    def size_px(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        return self.size[0] * self.scale, self.size[1] * self.scale

    @property
    def channels(self) -> int:
        """Latent channels."""
        return int(self.source.configs.unet["in_channels"])

    @property
    def scale(self) -> int:
        """Pixels per latent cell."""
        vae = self.source.configs.vae
        if vae.get("_class_name") == "AutoencoderTiny":
            return int(vae.get("upsampling_scaling_factor", 2)) ** (len(vae.get("num_decoder_blocks", (0,) * 4)) - 1)
        return 2 ** (len(vae.get("block_out_channels", (0,))) - 1)

    @property
    def tokens(self) -> int:
        """Rows of one encoded prompt: its tokens, with SDXL the whole prompt under them."""
        return MAX_TOKENS + (self.source.configs.text_2 is not None)

    @property
    def token_size(self) -> int:
        """Numbers per row."""
        return sum(int(text["hidden_size"]) for text in self.source.configs.texts)

    def _denoiser_example(self, batch: int) -> tuple[torch.Tensor, ...]:
        t = torch.tensor([999, 759, 499, 259], device=self.placement.device)[:batch]
        return self._random(batch, self.channels, *self.size), t, self._random(batch, self.tokens, self.token_size)

    def _random(self, *shape: int) -> torch.Tensor:
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
        return noise.to(self.placement.device)

    def _fused(self, part: str, module: Any) -> Any:
        for lora in self.loras:
            fuse(module, part, lora)
        return module

    def _network(
        self,
        name: str,
        parts: tuple[str, ...],
        build: Callable[[], nn.Module],
        example: Callable[[int], tuple[torch.Tensor, ...]],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
    ) -> Network:
        if name != "text_encoder":
            name = f"{name}-{self.size_px[1]}x{self.size_px[0]}"
        return Network(
            name,
            lambda: self.placement.place(build()),
            example,
            inputs,
            outputs,
            self._fingerprint(name, parts),
            adapters=self.adapters.get(parts[0]),
        )

    def _fingerprint(self, name: str, parts: tuple[str, ...]) -> str:
        """Device and precision are not in it: runners keep what they build for each apart."""
        source = self.source
        made_of = [
            _VERSION, name, [source.config(part) for part in parts], self.embedded_scale,
            [identity(source.folder, part) if source.folder else (source.name, source.seed) for part in parts],
            [(digest(lora.path), lora.strength) for lora in self.loras],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()
