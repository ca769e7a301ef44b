"""LoRA files in the three spellings, fused; those for another base refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from tpos_models.errors import InputError, MissingFileError, ModelError
from tpos_models.stable_diffusion import Lora, load, open_model
from tpos_models.stable_diffusion.live_lora import LiveLoras
from tpos_models.stable_diffusion.lora import fuse

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
        ({"lora_te2_text_model.lora_down.weight": torch.ones(2, 2)}, "another base model"),
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
