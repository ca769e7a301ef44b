"""Strengths that move while a model plays: its weights are W_0 + sum_i s_i B_i A_i, and W_0 again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_diffusers import ATTENTION, CONV, LINEAR, TEXT, VALUE, add_by_hand, write_lora

from tpos_models.contracts import Loras, Model
from tpos_models.errors import InputError
from tpos_models.network import Network, Run, follow, max_relative_error, run_in_torch
from tpos_models.stable_diffusion import Lora, load, open_model
from tpos_models.stable_diffusion.live_lora import LiveLoras, by_name
from tpos_models.stable_diffusion.modules import Denoiser, TextEncoder

NAME = "random:tiny-sd15"
SOURCE = open_model(NAME).recipe.source
G = torch.Generator().manual_seed(1)
X = (torch.randn(1, 4, 16, 16, generator=G), torch.tensor([999]), torch.randn(1, 77, 32, generator=G))


@pytest.fixture
def style(tmp_path) -> Path:
    return write_lora(tmp_path / "style.safetensors", LINEAR, CONV)


@pytest.fixture
def ink(tmp_path) -> Path:
    return write_lora(tmp_path / "ink.safetensors", LINEAR, VALUE, seed=1, rank=2)


def playing(joint_encoder, *loras: Lora) -> tuple[Model, Loras]:
    model = load(NAME, loras=loras, audio_encoder=joint_encoder)
    assert model.loras is not None
    return model, model.loras


def by_hand(*loras: tuple[Path, float]) -> torch.Tensor:
    unet = SOURCE.unet()
    add_by_hand(unet, loras)
    return Denoiser(unet)(*X)


def test_a_live_strength_is_the_sum(joint_encoder, style):
    model, loras = playing(joint_encoder, Lora(style, 0.25))
    assert max_relative_error((model.denoiser(*X),), (by_hand((style, 0.25)),)) < 2e-6
    for strength in (0.7, -1.5, 4.0):
        loras.set({"style": strength})
        assert max_relative_error((model.denoiser(*X),), (by_hand((style, strength)),)) < 2e-6
    assert (by_hand((style, 0.7)) - by_hand()).abs().max() > 1e-3, "it draws something else"


def test_two_add_up_where_they_change_the_same_layer(joint_encoder, style, ink):
    model, loras = playing(joint_encoder, Lora(style, 0.0), Lora(ink, 0.5))
    loras.set({"style": 0.8})
    assert max_relative_error((model.denoiser(*X),), (by_hand((style, 0.8), (ink, 0.5)),)) < 2e-6
    loras.set({"style": 0.8, "ink": -1.0, "another": 2.0})
    assert max_relative_error((model.denoiser(*X),), (by_hand((style, 0.8), (ink, -1.0)),)) < 2e-6
    assert loras.names == ("style", "ink")


def test_back_at_zero_it_is_the_plain_model_bit_for_bit(joint_encoder, style, ink):
    plain = load(NAME, audio_encoder=joint_encoder)
    assert plain.loras is None
    model, loras = playing(joint_encoder, Lora(style, 0.8), Lora(ink))
    first = model.denoiser(*X)
    assert not torch.equal(first, plain.denoiser(*X))
    for strength in (0.1, -3.3, 0.0):
        loras.set({"style": strength, "ink": -strength})
    assert torch.equal(model.denoiser(*X), plain.denoiser(*X))
    loras.set({})
    assert torch.equal(model.denoiser(*X), first), "one that is not named has the strength of its file"


def test_half_precision_is_rounded_once_from_float32(style, ink):
    """On a GPU W_0 is float16; steps of a fader leave no error behind."""
    recipe, live = open_model(NAME).recipe, LiveLoras([Lora(style, 0.3), Lora(ink, -0.9)])
    unet = recipe.source.unet(torch.float16)
    before = {name: weight.clone() for name, weight in unet.named_parameters()}
    network = Network("unet", lambda: unet, lambda batch: X, (), (), "", adapters=live.adapters["unet"])
    follow(network, torch.nn.ModuleDict({"unet": unet}))
    for strength in (0.1, 0.2, 0.777):
        live.set({"style": strength})
    want = recipe.source.unet()
    for name, weight in want.named_parameters():
        weight.copy_(before[name])
    add_by_hand(want, [(style, 0.777), (ink, -0.9)])
    name = f"{LINEAR.removeprefix('unet.')}.weight"
    got, exact = unet.get_parameter(name), want.get_parameter(name)
    assert got.dtype == torch.float16
    error = (got.double() - exact.double()).abs().numpy() / np.spacing(got.abs().numpy()).astype(float)
    assert error.max() < 0.75, "units in the last place; float32 itself cancels a little"


def test_a_text_encoders_part_is_followed_by_every_prompt(joint_encoder, tmp_path):
    path = write_lora(tmp_path / "words.safetensors", TEXT)
    model, loras = playing(joint_encoder, Lora(path, 0.0))
    plain = model.text.encode(["a beach", ""]).tokens
    sound = torch.zeros(44_100).numpy()
    heard = model.audio.hear(sound, 44_100, 1.0).tokens
    assert loras.set({"words": 1.5})
    clip = SOURCE.text_encoder()
    add_by_hand(clip, [(path, 1.5)])
    ids = torch.cat([model.text.ids(prompt)[0] for prompt in ("a beach", "")])  # type: ignore[attr-defined]
    torch.testing.assert_close(model.text.encode(["a beach", ""]).tokens, TextEncoder(clip)(ids)[0])
    assert not torch.allclose(model.audio.hear(sound, 44_100, 1.0).tokens, heard)
    assert loras.set({"words": 0.0})
    assert torch.equal(model.text.encode(["a beach", ""]).tokens, plain)
    assert torch.equal(model.audio.hear(sound, 44_100, 1.0).tokens, heard)
    assert not loras.set({"words": 0.0})


def test_without_a_text_encoders_part_no_prompt_is_encoded_again(joint_encoder, style, tmp_path):
    words = write_lora(tmp_path / "words.safetensors", TEXT)
    model, loras = playing(joint_encoder, Lora(style), Lora(words))
    model.text.encode(["a beach"])
    before = model.text.remembered()  # type: ignore[attr-defined]
    assert not loras.set({"style": 0.5})
    model.text.encode(["a beach"])
    after = model.text.remembered()  # type: ignore[attr-defined]
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


def test_only_what_moved_is_written_and_nothing_at_rest(style, tmp_path):
    other = write_lora(tmp_path / "other.safetensors", VALUE)
    live, written = LiveLoras([Lora(style), Lora(other)]), list[str]()
    unet = torch.nn.ModuleDict({"unet": SOURCE.unet()})
    live.adapters["unet"].attach(unet, lambda name, value: written.append(name), lambda: written.append("."))
    assert written[-1] == "."
    assert len(written) == 4
    written.clear()
    live.set({"other": 0.25})
    assert written == [f"{ATTENTION}.to_v.weight", "."]
    live.set({"other": 0.25})
    assert len(written) == 2
    assert "text_encoder" not in live.adapters


def test_weights_stay_where_they_are(style):
    """A recorded CUDA graph reads them at the address they had."""
    live, modules = LiveLoras([Lora(style)]), list[torch.nn.Module]()
    denoiser = replace(open_model(NAME).recipe, adapters=live.adapters).denoiser()
    run_in_torch(replace(denoiser, build=lambda: modules.append(denoiser.build()) or modules[0]))
    before = {name: (weight.data_ptr(), weight.clone()) for name, weight in modules[0].named_parameters()}
    live.set({"style": 0.3})
    after = dict(modules[0].named_parameters())
    assert all(after[name].data_ptr() == address for name, (address, _) in before.items())
    changed = [name for name, (_, weight) in before.items() if not torch.equal(after[name], weight)]
    assert sorted(changed) == sorted(f"{layer}.weight" for layer in (LINEAR, CONV))


def test_what_is_let_go_is_written_no_more(style):
    live, written = LiveLoras([Lora(style)]), list[str]()
    unet = torch.nn.ModuleDict({"unet": SOURCE.unet()})
    unfollow = live.adapters["unet"].attach(unet, lambda name, value: written.append(name), lambda: None)
    unfollow()
    written.clear()
    live.set({"style": 0.5})
    assert written == []


def test_what_is_built_later_has_the_strengths_of_that_moment(joint_encoder, style):
    built = list[str]()

    def runner(network: Network) -> Run:
        built.append(network.name)
        return run_in_torch(network)

    model = load(NAME, loras=(Lora(style, 0.0),), audio_encoder=joint_encoder, runner=runner, whole_steps=True)
    assert model.loras is not None
    assert not any(name.startswith("denoiser") for name in built)
    model.loras.set({"style": 0.9})
    assert max_relative_error((model.denoiser(*X),), (by_hand((style, 0.9)),)) < 2e-6


def test_names_are_the_files_and_each_is_one(tmp_path, style):
    folder = tmp_path / "more"
    folder.mkdir()
    twin = write_lora(folder / "style.safetensors", LINEAR)
    with pytest.raises(InputError, match=r"another is called style too; files of different names are accepted"):
        by_name([Lora(style), Lora(twin)])
    many = [Lora(tmp_path / f"{i}.safetensors") for i in range(17)]
    with pytest.raises(InputError, match="17 are given; at most 16 are accepted"):
        by_name(many)
    assert list(by_name(many[:16])) == [str(i) for i in range(16)]
