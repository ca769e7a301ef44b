"""LoRA files in the three spellings, fused; those for another base refused."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from tpos_models.errors import InputError, MissingFileError, ModelError
from tpos_models.network import follow
from tpos_models.stable_diffusion import Lora, load, open_model
from tpos_models.stable_diffusion.live_lora import LiveLoras
from tpos_models.stable_diffusion.lora import flat_name, fuse

LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
OUT = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_out.0"
CONV = "down_blocks.0.resnets.0.conv1"
TEXT = "encoder.layers.0.self_attn.q_proj"


def layers(rank=3):
    g = torch.Generator().manual_seed(0)
    shapes = {LINEAR: (32, 32), OUT: (32, 32), CONV: (32, 32, 3, 3)}
    return {
        name: (
            torch.randn(rank, *shape[1:], generator=g) * 0.1,
            torch.randn(shape[0], rank, *(1,) * (len(shape) - 2), generator=g) * 0.1,
        )
        for name, shape in shapes.items()
    }


def kohya(alpha=6.0):
    tensors: dict[str, torch.Tensor] = {}
    for name, (down, up) in layers().items():
        flat = "lora_unet_" + name.replace(".", "_")
        tensors |= {
            f"{flat}.lora_down.weight": down,
            f"{flat}.lora_up.weight": up,
            f"{flat}.alpha": torch.tensor(alpha),
        }
    return tensors


def peft():
    return {
        f"unet.{name}.lora_{half}.weight": tensor
        for name, pair in layers().items()
        for half, tensor in zip("AB", pair, strict=True)
    }


def older():
    tensors: dict[str, torch.Tensor] = {}
    for name, (down, up) in layers().items():
        if name == CONV:
            stem = f"unet.{name}.lora"
        else:
            block, _, projection = name.rpartition(".to_")
            stem = f"unet.{block}.processor.to_{projection.removesuffix('.0')}_lora"
        tensors |= {f"{stem}.down.weight": down, f"{stem}.up.weight": up}
    return tensors


@pytest.mark.parametrize(("spelling", "alpha"), [(kohya, 2.0), (peft, 1.0), (older, 1.0)])
def test_every_spelling_is_fused(tmp_path, spelling, alpha):
    path = tmp_path / "style.safetensors"
    save_file(spelling(), path)
    source = open_model("random:tiny-sd15").recipe.source
    before, after = source.unet(), source.unet()
    fuse(after, "unet", Lora(path, 0.5))
    for name, (down, up) in layers().items():
        want = before.get_submodule(name).weight + 0.5 * alpha * (up.flatten(1) @ down.flatten(1)).view_as(
            before.get_submodule(name).weight
        )
        torch.testing.assert_close(after.get_submodule(name).weight, want)
    changed = [n for n, p in after.named_parameters() if not torch.equal(p, before.get_parameter(n))]
    assert sorted(changed) == sorted(f"{name}.weight" for name in layers())


def test_text_encoder_layers_are_fused(tmp_path):
    flat = "lora_te_text_model_" + TEXT.replace(".", "_")
    save_file(
        {f"{flat}.lora_down.weight": torch.ones(2, 32), f"{flat}.lora_up.weight": torch.ones(32, 2)},
        tmp_path / "te.safetensors",
    )
    source = open_model("random:tiny-sd15").recipe.source
    text = source.text_encoder()
    before = dict(text.named_parameters())
    key = next(name for name in before if name.endswith(f"{TEXT}.weight"))
    want = before[key].clone() + 2
    fuse(text, "text_encoder", Lora(tmp_path / "te.safetensors"))
    torch.testing.assert_close(dict(text.named_parameters())[key], want)


XL = {
    "unet": ("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", (32, 80)),
    "text_encoder": ("text_model.encoder.layers.0.self_attn.q_proj", (32, 32)),
    "text_encoder_2": ("text_model.encoder.layers.2.mlp.fc1", (64, 48)),
}
"""A layer of each of SDXL's networks, as diffusers names it."""


def pair(shape, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(3, shape[1], generator=g), torch.randn(shape[0], 3, generator=g)


def written_by_diffusers(folder):
    """PEFT's spelling."""
    from diffusers import StableDiffusionXLPipeline

    layers = {
        f"{part}_lora_layers": {
            f"{name}.lora_{half}.weight": tensor for half, tensor in zip("AB", pair(shape, len(part)), strict=True)
        }
        for part, (name, shape) in XL.items()
    }
    StableDiffusionXLPipeline.save_lora_weights(folder, **layers)
    return folder / "pytorch_lora_weights.safetensors"


def written_by_kohya(folder, *parts):
    """Layers of all networks, unless told of which."""
    spelled = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
    tensors = {
        f"{spelled[part]}_{name.replace('.', '_')}.lora_{half}.weight": tensor
        for part, (name, shape) in XL.items()
        if part in (parts or XL)
        for half, tensor in zip(("down", "up"), pair(shape, len(part)), strict=True)
    }
    save_file(tensors, folder / "kohya.safetensors")
    return folder / "kohya.safetensors"


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("written_by", [written_by_diffusers, written_by_kohya])
def test_all_three_networks_of_sdxl_are_changed(tmp_path, written_by, live):
    lora, plain = Lora(written_by(tmp_path), 0.5), open_model("random:tiny-sdxl").recipe
    styled = replace(plain, adapters=LiveLoras([lora]).adapters) if live else replace(plain, loras=(lora,))
    for part, (name, shape) in XL.items():
        before, after = (one.denoiser() if part == "unet" else one.text_encoder() for one in (plain, styled))
        was, module = before.build(), after.build()
        follow(after, module)
        down, up = pair(shape, len(part))
        root = {"unet": "unet", "text_encoder": "clip", "text_encoder_2": "clip_2"}[part]
        changed = [
            key
            for key, value in module.named_parameters()
            if key.startswith(f"{root}.") and not torch.equal(value, was.get_parameter(key))
        ]
        own = name.removeprefix("text_model.")
        assert [key.replace("text_model.", "") for key in changed] == [f"{root}.{own}.weight"]
        torch.testing.assert_close(module.get_parameter(changed[0]), was.get_parameter(changed[0]) + 0.5 * up @ down)


@pytest.mark.parametrize("part", XL)
def test_a_strength_that_moves_in_sdxl_is_that_which_it_is_loaded_with(tmp_path, joint_encoder, part):
    """Each of the text encoders alone makes other words."""
    path = written_by_kohya(tmp_path, part)
    x = (torch.randn(1, 4, 16, 16), torch.tensor([999]), torch.randn(1, 78, 80))

    def play(model):
        return model.text.encode(["the sea"]).tokens, model.denoiser(*x)

    moved, want = (
        load("random:tiny-sdxl", loras=(Lora(path, strength),), audio_encoder=joint_encoder) for strength in (0.0, 0.5)
    )
    before, words = play(moved), part != "unet"
    assert moved.loras is not None
    assert moved.loras.words == words
    assert moved.loras.set({"kohya": 0.5}) == words
    for got, true, was, changes in zip(play(moved), play(want), before, (words, not words), strict=True):
        assert torch.equal(got, true)
        assert torch.equal(got, was) != changes


SGM = [
    *(f"{block}_1_{layer}" for block in (
        *(f"input_blocks_{i}" for i in (4, 5, 7, 8)), "middle_block", *(f"output_blocks_{i}" for i in range(6))
    ) for layer in ("proj_in", "transformer_blocks_0_attn1_to_q", "transformer_blocks_1_attn2_to_out_0",
                    "transformer_blocks_0_ff_net_0_proj")),
    *(f"{block}_0_{layer}" for block in ("input_blocks_4", "input_blocks_7", "output_blocks_0", "output_blocks_8")
      for layer in ("in_layers_2", "emb_layers_1", "out_layers_3", "skip_connection")),
    "middle_block_0_in_layers_2", "middle_block_2_out_layers_3",
    "input_blocks_3_0_op", "input_blocks_6_0_op", "output_blocks_2_2_conv", "output_blocks_5_2_conv",
    "input_blocks_0_0", "time_embed_0", "time_embed_2", "label_emb_0_0", "label_emb_0_2", "out_2",
]  # fmt: skip


def test_stabilitys_names_are_the_layers_that_diffusers_takes_them_for():
    from diffusers.loaders import lora_conversion_utils as theirs

    unet = SimpleNamespace(layers_per_block=2)
    with torch.device("meta"):
        known = {flat_name(name) for name, _ in open_model("random:sdxl").recipe.source.unet().named_modules()}
    for name in SGM:
        halves = {f"lora_unet_{name}.lora_{half}.weight": torch.ones(1) for half in ("down", "up")}
        halves = theirs._maybe_map_sgm_blocks_to_diffusers(halves, unet)
        renamed, _ = theirs._convert_non_diffusers_lora_to_diffusers(halves)
        (want,) = {re.sub(r"[._]lora\..*", "", key).removeprefix("unet.") for key in renamed}
        assert flat_name(name) == flat_name(want), name
        assert flat_name(name) in known


def test_a_lora_changes_the_picture_and_no_compiled_network(tmp_path, joint_encoder):
    path = tmp_path / "style.safetensors"
    save_file(kohya(), path)
    recipe = open_model("random:tiny-sd15").recipe
    live = replace(recipe, adapters=LiveLoras([Lora(path)]).adapters)
    fused = replace(recipe, loras=(Lora(path),))
    assert live.denoiser().fingerprint == recipe.denoiser().fingerprint != fused.denoiser().fingerprint
    x = (torch.randn(1, 4, 16, 16), torch.tensor([999]), torch.randn(1, 77, 32))
    a, b = (
        load("random:tiny-sd15", audio_encoder=joint_encoder),
        load("random:tiny-sd15", loras=(Lora(path),), audio_encoder=joint_encoder),
    )
    assert (a.denoiser(*x) - b.denoiser(*x)).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        (
            {
                "lora_unet_down_blocks_3_attentions_0_to_q.lora_down.weight": torch.ones(2, 8),
                "lora_unet_down_blocks_3_attentions_0_to_q.lora_up.weight": torch.ones(8, 2),
            },
            "for another base: 1 of 1 unet layers do not fit, first down_blocks_3",
        ),
        (
            {f"unet.{LINEAR}.lora_A.weight": torch.ones(2, 2048), f"unet.{LINEAR}.lora_B.weight": torch.ones(32, 2)},
            "for another base: 1 of 1",
        ),
        ({f"unet.{LINEAR}.lora_A.weight": torch.ones(2, 32)}, "for another base"),
        ({"lora_te2_text_model.lora_down.weight": torch.ones(2, 2)}, "another base: 1 of 1 text_encoder_2 layers"),
        ({"transformer.blocks.0.lora_A.weight": torch.ones(2, 2)}, r"of SD 1.x, 2.x or SDXL; another base model"),
        ({f"unet.{LINEAR}.lora_A.weight": torch.full((2, 32), torch.nan)}, "NaN"),
    ],
)
def test_foreign_and_broken_files_are_refused(tmp_path, joint_encoder, tensors, match):
    path = tmp_path / "foreign.safetensors"
    save_file(tensors, path)
    with pytest.raises(ModelError, match=match) as caught:
        load("random:tiny-sd15", loras=(Lora(path),), audio_encoder=joint_encoder)
    assert str(path) in str(caught.value)


def test_pickled_loras_and_bad_arguments_are_refused(tmp_path, joint_encoder):
    pickled = tmp_path / "style.pt"
    torch.save({}, pickled)
    with pytest.raises(ModelError, match="pickled files can run code"):
        load("random:tiny-sd15", loras=(Lora(pickled),), audio_encoder=joint_encoder)
    path = tmp_path / "style.safetensors"
    save_file(kohya(), path)
    assert Lora.parse(f"{path}:0.8") == Lora(path, 0.8)
    assert Lora.parse(str(path)) == Lora(path, 1.0)
    assert Lora.parse(str(path), {"style": 0.3}) == Lora(path, 0.3)
    assert Lora.parse(f"{path}:0.8", {"style": 0.3}) == Lora(path, 0.8)
    with pytest.raises(MissingFileError, match="no such LoRA file"):
        Lora.parse("absent.safetensors:0.5")
    with pytest.raises(InputError, match="-4 to 4"):
        Lora.parse(f"{path}:40")
