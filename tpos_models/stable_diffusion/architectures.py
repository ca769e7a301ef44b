"""`random:` models: architectures of the Stable Diffusion family with seeded random weights, for tests and benchmarks.

A random model is built from the same configurations a diffusers folder holds; no byte is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tpos_models.errors import ModelError

Config = dict[str, Any]

PREFIX = "random:"

_BETAS: Config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
_LCM: Config = {"_class_name": "LCMScheduler", "prediction_type": "epsilon", "original_inference_steps": 50, **_BETAS}
_PNDM: Config = {"_class_name": "PNDMScheduler", "prediction_type": "epsilon", **_BETAS}
_V: Config = {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", **_BETAS}
_TURBO: Config = {
    "_class_name": "EulerDiscreteScheduler", "prediction_type": "epsilon", "timestep_spacing": "trailing", **_BETAS
}  # fmt: skip
_TURBO_XL: Config = {**_TURBO, "_class_name": "EulerAncestralDiscreteScheduler"}

_UNET_SD15: Config = {
    "sample_size": 64, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 768, "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}  # fmt: skip
_UNET_SD21: Config = {
    **_UNET_SD15, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True
}  # fmt: skip
_UNET_SDXL: Config = {
    "sample_size": 128, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True,
    "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
    "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
    "up_block_types": ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
    "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
_UNET_TINY: Config = {
    "sample_size": 16, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 32, "attention_head_dim": 8,
    "block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip
_UNET_TINY_XL: Config = {
    **_UNET_TINY, "cross_attention_dim": 80, "use_linear_projection": True,
    "transformer_layers_per_block": (1, 2), "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 88,
}  # fmt: skip

_TEXT_SD15: Config = {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "projection_dim": 768, "hidden_act": "quick_gelu",
}  # fmt: skip
_TEXT_SD21: Config = {
    "vocab_size": 49408, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23,
    "num_attention_heads": 16, "projection_dim": 512, "hidden_act": "gelu",
}  # fmt: skip
_TEXT_SDXL_2: Config = {
    "vocab_size": 49408, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
    "num_attention_heads": 20, "projection_dim": 1280, "hidden_act": "gelu",
}  # fmt: skip
_TEXT_TINY: Config = {
    "vocab_size": 514, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "projection_dim": 32, "hidden_act": "quick_gelu",
}  # fmt: skip
_TEXT_TINY_2: Config = {
    **_TEXT_TINY, "hidden_size": 48, "num_hidden_layers": 3, "projection_dim": 40, "hidden_act": "gelu"
}  # fmt: skip

_TAESD: Config = {"_class_name": "AutoencoderTiny"}
_TAESD_TINY: Config = {
    "_class_name": "AutoencoderTiny", "num_encoder_blocks": (1, 1, 1, 1), "num_decoder_blocks": (1, 1, 1, 1),
    "encoder_block_out_channels": (16,) * 4, "decoder_block_out_channels": (16,) * 4,
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """The configurations a diffusers folder would hold; `text_2` is SDXL's second text encoder."""

    unet: Config
    text: Config
    scheduler: Config
    vae: Config
    text_2: Config | None = None

    @property
    def texts(self) -> tuple[Config, ...]:
        """The text encoders, whose tokens lie side by side."""
        return (self.text,) if self.text_2 is None else (self.text, self.text_2)


ARCHITECTURES: dict[str, Architecture] = {
    "sd15": Architecture(_UNET_SD15, _TEXT_SD15, _PNDM, _TAESD),
    "sd21": Architecture(_UNET_SD21, _TEXT_SD21, _V, _TAESD),
    "lcm": Architecture({**_UNET_SD15, "time_cond_proj_dim": 256}, _TEXT_SD15, _LCM, _TAESD),
    "sdxl": Architecture(_UNET_SDXL, _TEXT_SD15, _TURBO_XL, _TAESD, _TEXT_SDXL_2),
    "tiny-sd15": Architecture(_UNET_TINY, _TEXT_TINY, _PNDM, _TAESD_TINY),
    "tiny-sd21": Architecture({**_UNET_TINY, "use_linear_projection": True}, _TEXT_TINY, _V, _TAESD_TINY),
    "tiny-turbo": Architecture({**_UNET_TINY, "use_linear_projection": True}, _TEXT_TINY, _TURBO, _TAESD_TINY),
    "tiny-lcm": Architecture({**_UNET_TINY, "time_cond_proj_dim": 16}, _TEXT_TINY, _LCM, _TAESD_TINY),
    "tiny-sdxl": Architecture(_UNET_TINY_XL, _TEXT_TINY, _TURBO_XL, _TAESD_TINY, _TEXT_TINY_2),
}


def whole_prompt_size(unet: Config) -> int:
    """How many numbers of a whole prompt SDXL's UNet takes, beside six sizes of its picture; 0 for others."""
    if unet.get("addition_embed_type") != "text_time":
        return 0
    together, one_size = unet.get("projection_class_embeddings_input_dim"), unet.get("addition_time_embed_dim")
    return int(together or 0) - 6 * int(one_size or 0)


def architecture(name: str) -> Architecture:
    """The architecture of `random:NAME`; raises `ModelError` for an unknown one."""
    try:
        return ARCHITECTURES[name.removeprefix(PREFIX)]
    except KeyError:
        accepted = ", ".join(PREFIX + known for known in ARCHITECTURES)
        raise ModelError(f"{name}: no such architecture; {accepted} would be accepted") from None
