"""The networks of one Stable Diffusion model as modules with plain tensors in and out, built when first asked for."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from tpos_models.errors import ModelError
from tpos_models.stable_diffusion.architectures import Architecture, Config, whole_prompt_size
from tpos_models.stable_diffusion.folder import Folder, fill

M = TypeVar("M", bound=nn.Module)
_SEEDS = {"unet": 1, "text_encoder": 2, "vae": 3, "text_encoder_2": 4}


@dataclass(frozen=True)
class Source:
    """Where a model's networks come from: a folder, or `seed` for random weights of an architecture."""

    name: str
    configs: Architecture
    folder: Folder | None = None
    seed: int = 0

    def config(self, part: str) -> Config | None:
        """The configuration of "unet", "text_encoder", "text_encoder_2" or "vae"."""
        configs = self.configs
        return {
            "unet": configs.unet, "text_encoder": configs.text, "text_encoder_2": configs.text_2, "vae": configs.vae
        }[part]  # fmt: skip

    def unet(self, dtype: torch.dtype = torch.float32) -> Any:
        """diffusers' UNet2DConditionModel, in eval mode on the CPU."""
        from diffusers import UNet2DConditionModel

        return self._module("unet", lambda: _from_config(UNet2DConditionModel, self.configs.unet), dtype)

    def text_encoder(self, dtype: torch.dtype = torch.float32) -> Any:
        """transformers' CLIPTextModel, or CLIPTextModelWithProjection where the configuration names it."""
        projected = "CLIPTextModelWithProjection" in self.configs.text.get("architectures", [])
        return self._clip("text_encoder", self.configs.text, projected, dtype)

    def text_encoder_2(self, dtype: torch.dtype = torch.float32) -> Any:
        """SDXL's second, a CLIPTextModelWithProjection."""
        assert self.configs.text_2 is not None
        return self._clip("text_encoder_2", self.configs.text_2, True, dtype)

    def _clip(self, part: str, config: Config, projected: bool, dtype: torch.dtype) -> Any:
        import transformers

        config = dict(config)
        kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
        config["attn_implementation"] = "eager"  # 77 tokens; the others' masks do not leave as float16 ONNX
        if self.folder is None:
            config |= {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
        return self._module(part, lambda: kind(transformers.CLIPTextConfig.from_dict(config)), dtype)

    def vae(self, dtype: torch.dtype = torch.float32) -> Any:
        """diffusers' AutoencoderTiny or AutoencoderKL."""
        import diffusers

        kinds = ("AutoencoderTiny", "AutoencoderKL")
        kind = self.configs.vae.get("_class_name")
        if kind not in kinds:
            raise ModelError(f"{self._where('vae')}/config.json: _class_name is {kind}; {' or '.join(kinds)} expected")
        return self._module("vae", lambda: _from_config(getattr(diffusers, kind), self.configs.vae), dtype)

    def _where(self, part: str) -> str:
        return str(self.folder.path(part)) if self.folder else self.name

    def _module(self, part: str, build: Callable[[], M], dtype: torch.dtype) -> M:
        with _seeded(self.seed + _SEEDS[part]) if self.folder is None else _SkipInit():
            try:
                module = build()
            except (ValueError, TypeError, KeyError) as error:
                reason = str(error).splitlines()[0][:160]
                raise ModelError(f"{self._where(part)}/config.json: no such network ({reason})") from error
        # nn.Module's own `to`: diffusers' logs a line for every cast
        nn.Module.to(module, dtype).eval().requires_grad_(False)
        if self.folder is not None:
            fill(module, self.folder, part)
        return module


def _from_config(kind: Any, config: Config) -> Any:
    """A diffusers class from a configuration: keys it does not know are left out, tuples stand where JSON has lists."""
    known = inspect.signature(kind).parameters
    chosen = {key: value for key, value in config.items() if key in known}
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in chosen.items()})


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class _SkipInit(TorchFunctionMode):
    """Leaves new parameters as they come: weights from a file overwrite all of them (checked by `fill`)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return (kwargs or {})["tensor"] if "tensor" in (kwargs or {}) else args[0]
        return func(*args, **(kwargs or {}))


class TextEncoder(nn.Module):
    """ids (B, 77) int64 to tokens (B, 77, size) and joint (B, joint_size) of unit length, both float32."""

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.clip(input_ids=ids)
        joint = out.text_embeds if hasattr(out, "text_embeds") else out.pooler_output
        return out.last_hidden_state.float(), F.normalize(joint.float(), dim=-1)


class TextEncoderPair(nn.Module):
    """SDXL's (Podell et al. 2023): two ids (B, 77) to tokens (B, 78, size + size_2) and joint (B, joint_size), float32.

    Tokens are both encoders' last but one hidden states side by side, without the final normalisation. Under them, in a
    row filled up with zeros, lies what the second makes of the whole prompt; `joint` is the same at unit length.
    """

    def __init__(self, clip: Any, clip_2: Any) -> None:
        super().__init__()
        self.clip, self.clip_2 = clip, clip_2

    def forward(self, ids: torch.Tensor, ids_2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.clip(input_ids=ids, output_hidden_states=True)
        out_2 = self.clip_2(input_ids=ids_2, output_hidden_states=True)
        tokens = torch.cat([out.hidden_states[-2], out_2.hidden_states[-2]], -1)
        whole = out_2.text_embeds
        row = F.pad(whole, (0, tokens.shape[-1] - whole.shape[-1]))[:, None]
        return torch.cat([tokens, row], 1).float(), F.normalize(whole.float(), dim=-1)


class Denoiser(nn.Module):
    """The UNet in its own precision between float32 latents.

    A UNet distilled with a guidance embedding (LCM) gets w = `embedded_scale` - 1 (Luo et al. 2023, section 4.3). One
    of SDXL gets the last of the tokens' rows apart from the others, and that its picture is a whole one of `size_px`
    (height, width).
    """

    condition: torch.Tensor | None
    time_ids: torch.Tensor | None

    def __init__(self, unet: Any, embedded_scale: float = 8.5, size_px: tuple[int, int] = (512, 512)) -> None:
        super().__init__()
        self.unet = unet
        self._whole = whole_prompt_size(unet.config)
        original_cropped_wanted = torch.tensor([[*size_px, 0, 0, *size_px]], dtype=unet.dtype)
        self.register_buffer("time_ids", original_cropped_wanted if self._whole else None, persistent=False)
        size = unet.config.time_cond_proj_dim
        condition = None if size is None else guidance_embedding(embedded_scale - 1, size).to(unet.dtype)
        self.register_buffer("condition", condition, persistent=False)

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        condition = None if self.condition is None else self.condition.expand(x_t.shape[0], -1)
        added = None
        if self.time_ids is not None:
            tokens, whole = tokens[:, :-1], tokens[:, -1, : self._whole].to(self.unet.dtype)
            added = {"text_embeds": whole, "time_ids": self.time_ids.expand(x_t.shape[0], -1)}
        out = self.unet(
            x_t.to(self.unet.dtype),
            t,
            encoder_hidden_states=tokens.to(self.unet.dtype),
            timestep_cond=condition,
            added_cond_kwargs=added,
            return_dict=False,
        )
        return out[0].float()


def guidance_embedding(w: float, size: int) -> torch.Tensor:
    """Sinusoidal embedding (1, size) of the guidance scale, as LCM-distilled UNets were trained with."""
    half = size // 2
    frequency = torch.exp(torch.arange(half, dtype=torch.float32) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angle = 1000.0 * w * frequency
    return F.pad(torch.cat([angle.sin(), angle.cos()]), (0, size % 2))[None]


class LatentDecoder(nn.Module):
    """Latents (B, C, h, w) of unit variance to RGB (B, 3, H, W) in 0..1, float32.

    One that is `precise` stays in float32 where it is exported in float16.
    """

    def __init__(self, vae: Any, precise: bool = False) -> None:
        super().__init__()
        self.vae, self.precise = vae, precise
        self._scaling = float(vae.config.scaling_factor)
        self._shift = float(getattr(vae.config, "shift_factor", None) or 0.0)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        image = self.vae.decode((latents / self._scaling + self._shift).to(self.vae.dtype), return_dict=False)[0]
        return (image.float() / 2 + 0.5).clamp(0, 1)


class LatentEncoder(nn.Module):
    """RGB (B, 3, H, W) in 0..1 to latents (B, C, h, w) of unit variance: the mean, nothing drawn at random.

    `precise` as in `LatentDecoder`.
    """

    def __init__(self, vae: Any, precise: bool = False) -> None:
        super().__init__()
        self.vae, self.precise = vae, precise
        self._scaling = float(vae.config.scaling_factor)
        self._shift = float(getattr(vae.config, "shift_factor", None) or 0.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        out = self.vae.encode((image * 2 - 1).to(self.vae.dtype))
        latents = cast(torch.Tensor, out.latents if hasattr(out, "latents") else out.latent_dist.mode())
        return (latents.float() - self._shift) * self._scaling
