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

_UNET_SD15: Config = {
    "sample_size": 64, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 768, "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}  # fmt: skip
_UNET_SD21: Config = {
    **_UNET_SD15, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True
}  # fmt: skip
_UNET_TINY: Config = {
    "sample_size": 16, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 32, "attention_head_dim": 8,
    "block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip

_TEXT_SD15: Config = {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "projection_dim": 768, "hidden_act": "quick_gelu",
}  # fmt: skip
_TEXT_SD21: Config = {
    "vocab_size": 49408, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23,
    "num_attention_heads": 16, "projection_dim": 512, "hidden_act": "gelu",
}  # fmt: skip
_TEXT_TINY: Config = {
    "vocab_size": 514, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "projection_dim": 32, "hidden_act": "quick_gelu",
}  # fmt: skip

_TAESD: Config = {"_class_name": "AutoencoderTiny"}
_TAESD_TINY: Config = {
    "_class_name": "AutoencoderTiny", "num_encoder_blocks": (1, 1, 1, 1), "num_decoder_blocks": (1, 1, 1, 1),
    "encoder_block_out_channels": (16,) * 4, "decoder_block_out_channels": (16,) * 4,
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """The four configurations a diffusers folder would hold."""

    unet: Config
    text: Config
    scheduler: Config
    vae: Config


ARCHITECTURES: dict[str, Architecture] = {
    "sd15": Architecture(_UNET_SD15, _TEXT_SD15, _PNDM, _TAESD),
    "sd21": Architecture(_UNET_SD21, _TEXT_SD21, _V, _TAESD),
    "lcm": Architecture({**_UNET_SD15, "time_cond_proj_dim": 256}, _TEXT_SD15, _LCM, _TAESD),
    "tiny-sd15": Architecture(_UNET_TINY, _TEXT_TINY, _PNDM, _TAESD_TINY),
    "tiny-sd21": Architecture({**_UNET_TINY, "use_linear_projection": True}, _TEXT_TINY, _V, _TAESD_TINY),
    "tiny-turbo": Architecture({**_UNET_TINY, "use_linear_projection": True}, _TEXT_TINY, _TURBO, _TAESD_TINY),
    "tiny-lcm": Architecture({**_UNET_TINY, "time_cond_proj_dim": 16}, _TEXT_TINY, _LCM, _TAESD_TINY),
}


def architecture(name: str) -> Architecture:
    """The architecture of `random:NAME`; raises `ModelError` for an unknown one."""
    try:
        return ARCHITECTURES[name.removeprefix(PREFIX)]
    except KeyError:
        accepted = ", ".join(PREFIX + known for known in ARCHITECTURES)
        raise ModelError(f"{name}: no such architecture; {accepted} would be accepted") from None
