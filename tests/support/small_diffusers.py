"""Small models made with diffusers' and transformers' own classes and saved in the hub's layout.

And LoRA files for the `random:tiny-` models, and what they make of weights, in numpy's float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

SPELLING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "sd15": ({}, {"prediction_type": "epsilon"}, "PNDMScheduler"),
    "sd21": ({"use_linear_projection": True}, {"prediction_type": "v_prediction"}, "DDIMScheduler"),
    "sample": ({}, {"prediction_type": "sample"}, "DDIMScheduler"),
    "turbo": ({}, {"prediction_type": "epsilon", "timestep_spacing": "trailing"}, "EulerDiscreteScheduler"),
    "lcm": ({"time_cond_proj_dim": 16}, {"prediction_type": "epsilon"}, "LCMScheduler"),
    "sdxl": (
        {
            "use_linear_projection": True,
            "cross_attention_dim": 80,
            "transformer_layers_per_block": (1, 2),
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 40,
        },
        {"prediction_type": "epsilon", "timestep_spacing": "trailing"},
        "EulerAncestralDiscreteScheduler",
    ),
}
SPELLING["lightning"] = (*SPELLING["sdxl"][:2], "EulerDiscreteScheduler")
ATTENTION = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2"
LINEAR, VALUE, CONV = f"{ATTENTION}.to_k", f"{ATTENTION}.to_v", "unet.down_blocks.0.resnets.0.conv1"
TEXT = "text_encoder.text_model.encoder.layers.0.self_attn.v_proj"
SHAPES = {LINEAR: (32, 32), VALUE: (32, 32), CONV: (32, 32, 3, 3), TEXT: (32, 32)}


def byte_pair_tokenizer(pad="<|endoftext|>"):
    """A CLIP tokenizer with a small vocabulary: the byte alphabet and a few merges."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    merges: Any = [("t", "h"), ("th", "e</w>"), ("s", "e"), ("se", "a</w>")]
    entries = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    entries += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {entry: i for i, entry in enumerate(entries)}
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=pad, model_max_length=77)


def text_encoder(tokenizer, kind="CLIPTextModel", **sizes):
    import transformers

    config = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 32,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    return getattr(transformers, kind)(transformers.CLIPTextConfig(**config | sizes)).eval()


def unet(extra):
    import diffusers

    config = {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
        "attention_head_dim": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    made: Any = diffusers.UNet2DConditionModel(**config | extra)
    made.eval()
    with torch.no_grad():  # untrained attention hardly listens to the prompt; make it matter
        for name, parameter in made.named_parameters():
            if "attn2" in name:
                parameter *= 4
    return made


def vae(tiny):
    import diffusers

    made: Any
    if tiny:
        made = diffusers.AutoencoderTiny(
            encoder_block_out_channels=(8,) * 4,
            decoder_block_out_channels=(8,) * 4,
            num_encoder_blocks=(1,) * 4,
            num_decoder_blocks=(1,) * 4,
        )
    else:
        made = diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8,) * 4,
            norm_num_groups=4,
            layers_per_block=1,
        )
    return made.eval()


def make_pipeline(kind: str, tiny_vae: bool = True):
    import diffusers

    unet_extra, scheduler_config, scheduler_name = SPELLING[kind]
    torch.manual_seed(sum(map(ord, kind)))
    tokenizer = byte_pair_tokenizer()
    parts = {"text_encoder": text_encoder(tokenizer), "unet": unet(unet_extra), "vae": vae(tiny_vae)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(diffusers, scheduler_name)(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, **scheduler_config
        )
    extra: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    kinds = {"lcm": diffusers.LatentConsistencyModelPipeline}
    if unet_extra.get("addition_embed_type"):
        kinds[kind] = diffusers.StableDiffusionXLPipeline
        second = byte_pair_tokenizer(pad="!")
        sizes = {"hidden_size": 48, "num_hidden_layers": 3, "projection_dim": 40, "hidden_act": "gelu"}
        extra = {
            "tokenizer_2": second,
            "text_encoder_2": text_encoder(second, "CLIPTextModelWithProjection", **sizes),
            "add_watermarker": False,
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kinds.get(kind, diffusers.StableDiffusionPipeline)(
            **parts, tokenizer=tokenizer, scheduler=scheduler, **extra
        )


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory) -> Callable[[str], tuple[Path, object]]:
    """`pipelines(kind)` gives the folder of a small model and the diffusers pipeline that was saved there."""
    made: dict[str, tuple[Path, object]] = {}

    def get(kind: str) -> tuple[Path, object]:
        if kind not in made:
            pipeline = make_pipeline(kind.removesuffix("-kl"), tiny_vae=not kind.endswith("-kl"))
            pipeline.set_progress_bar_config(disable=True)
            folder = tmp_path_factory.mktemp(kind) / "model"
            pipeline.save_pretrained(folder, safe_serialization=True)
            made[kind] = folder, pipeline
        return made[kind]

    return get


@pytest.fixture(autouse=True)
def empty_hub(tmp_path, monkeypatch):
    """No test sees the hub or what this machine has fetched from it."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def write_lora(path: Path, *layers: str, seed: int = 0, rank: int = 3) -> Path:
    """A file in PEFT's spelling, its alpha the rank."""
    generator, tensors = torch.Generator().manual_seed(seed), dict[str, torch.Tensor]()
    for layer in layers:
        out, *inner = SHAPES[layer]
        ones = (1,) * (len(inner) - 1)
        tensors[f"{layer}.lora_A.weight"] = torch.randn(rank, *inner, generator=generator) * 0.3
        tensors[f"{layer}.lora_B.weight"] = torch.randn(out, rank, *ones, generator=generator) * 0.3
    save_file(tensors, path)
    return path


@torch.no_grad()
def add_by_hand(module: torch.nn.Module, loras: Sequence[tuple[Path, float]]) -> None:
    """W + sum_i s_i B_i A_i, written into a UNet or a CLIP."""
    weights = {name.replace("text_model.", ""): weight for name, weight in module.named_parameters()}
    for layer in SHAPES:
        name = layer.split(".", 1)[1].replace("text_model.", "") + ".weight"
        if name not in weights:
            continue
        value = weights[name].double().numpy()
        for path, strength in loras:
            tensors = load_file(path)
            if f"{layer}.lora_A.weight" in tensors:
                a, b = (tensors[f"{layer}.lora_{half}.weight"].double().numpy() for half in "AB")
                value = value + strength * np.tensordot(b.reshape(len(b), -1), a, 1)
        weights[name].copy_(torch.from_numpy(value))
