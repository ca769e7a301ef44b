"""SDXL against diffusers' own pipeline on the same weights: its two text encoders, its UNet and its VAE."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from export.onnx_export import export
from export.onnx_session import open_session
from tpos_models.audio.encoder import EncoderConfig, TokenMap, TPoSEncoder
from tpos_models.diffusion.conditioning import crossfade, mix
from tpos_models.diffusion.step import compiles, step_network
from tpos_models.errors import ModelError
from tpos_models.network import run_in_torch
from tpos_models.stable_diffusion import load, open_model, open_text
from tpos_models.stable_diffusion.networks import Placement
from tpos_models.stable_diffusion.tpos import import_tpos


@pytest.mark.parametrize("prompt", ["the sea at night", "", "日本の海 🌊", "word " * 500])
def test_prompts_are_encoded_as_the_pipeline_does(pipelines, prompt):
    """So is "", for which the pipeline, unless it is given, takes zeros: here it is a prompt like others."""
    folder, pipeline = pipelines("sdxl")
    with torch.no_grad():
        tokens, zeros, whole, _ = pipeline.encode_prompt(prompt, device="cpu")
    assert pipeline.config.force_zeros_for_empty_prompt
    assert not zeros.any()
    got = open_text(str(folder)).encode([prompt])
    assert got.tokens.shape == (1, 78, 80)
    torch.testing.assert_close(got.tokens[:, :77], tokens, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.tokens[:, 77], F.pad(whole, (0, 40)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.joint, whole / whole.norm(), rtol=1e-5, atol=1e-5)


def test_predictions_are_those_of_the_pipelines_unet(pipelines):
    """Prompt, whole prompt and the picture's size, height before width, as the pipeline hands them to its UNet."""
    folder, pipeline = pipelines("sdxl")
    size = (96, 64)
    with torch.no_grad():
        tokens, _, whole, _ = pipeline.encode_prompt("the sea at night", device="cpu")
        sizes = pipeline._get_add_time_ids(size, (0, 0), size, torch.float32, text_encoder_projection_dim=40)
        x_t, t = torch.randn(2, 4, 12, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([999, 499])

        def predict(tokens: torch.Tensor, whole: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
            added = {"text_embeds": whole.expand(2, -1), "time_ids": sizes.expand(2, -1)}
            tokens = tokens.expand(2, -1, -1)
            return pipeline.unet(x_t, t, encoder_hidden_states=tokens, added_cond_kwargs=added).sample

        want = predict(tokens, whole, sizes)
        for other in ((-tokens, whole, sizes), (tokens, -whole, sizes), (tokens, whole, sizes.flip(1))):
            assert (predict(*other) - want).abs().max() > 1e-3
    denoiser = open_model(str(folder), size_px=(64, 96)).recipe.denoiser()
    encoded = open_text(str(folder)).encode(["the sea at night"]).tokens.expand(2, -1, -1)
    torch.testing.assert_close(run_in_torch(denoiser)(x_t, t, encoded)[0], want, rtol=1e-5, atol=1e-5)


def test_prompts_are_mixed_and_crossfade_whole_prompt_and_all(pipelines):
    a, b, null = open_text(str(pipelines("sdxl")[0])).encode(["the sea", "a fire", ""]).tokens
    half = mix(torch.stack([a, b]), [0.5, 0.5], null)
    torch.testing.assert_close(half[77], (a[77] + b[77]) / 2)
    between = crossfade(a, b, 0.5, spherical=True)[77]
    torch.testing.assert_close(F.cosine_similarity(between, a[77], 0), F.cosine_similarity(between, b[77], 0))
    assert not between[40:].any()


@pytest.fixture
def loud_vae(pipelines, tmp_path):
    """`loud_vae(force_upcast)`: a VAE of SDXL's kind, whose values float16 does not hold."""

    def get(force_upcast: bool):
        folder = tmp_path / f"model-{force_upcast}"
        shutil.copytree(pipelines("sdxl-kl")[0], folder)
        path = folder / "vae" / "diffusion_pytorch_model.safetensors"
        scales = {f"{half}.conv_in.weight": 1e6 for half in ("encoder", "decoder")}
        save_file({name: value * scales.get(name, 1.0) for name, value in load_file(path).items()}, path)
        config = folder / "vae" / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "force_upcast": force_upcast}))
        return str(folder)

    return get


@pytest.mark.parametrize("part", ["decoder", "encoder"])
def test_a_vae_that_overflows_float16_stays_in_float32_where_it_says_so(loud_vae, tmp_path, part):
    for force_upcast in (True, False):
        full, half = (
            getattr(open_model(loud, Placement(dtype=dtype)).recipe, part)()
            for loud in [loud_vae(force_upcast)]
            for dtype in (torch.float32, torch.float16)
        )
        (want,), (got,) = (run_in_torch(network)(*network.example(1)) for network in (full, half))
        if force_upcast:
            assert torch.equal(got, want)
            assert export(full, tmp_path / f"{part}.onnx", "fp16").error < 2e-3
        else:
            assert not torch.isfinite(got).all()
            with pytest.raises(ModelError, match="differs from torch"):
                export(full, tmp_path / f"{part}.onnx", "fp16")


def test_bfloat16_holds_what_float16_does_not(loud_vae):
    decoder = open_model(loud_vae(True), Placement(dtype=torch.bfloat16)).recipe.decoder().build()
    assert {parameter.dtype for parameter in decoder.parameters()} == {torch.bfloat16}


def test_its_networks_leave_as_onnx_in_both_precisions(tmp_path):
    opened = open_model("random:tiny-sdxl", size_px=(64, 64))
    step = step_network(opened.recipe.denoiser(), opened.spec.guidance.quantile)
    for network in (opened.recipe.text_encoder(), step):
        for precision in ("fp32", "fp16"):
            export(network, tmp_path / f"{network.name}-{precision}.onnx", precision)
    run = open_session(tmp_path / "text_encoder-fp32.onnx", opened.recipe.text_encoder())
    assert [tensor.shape for tensor in run(*opened.recipe.text_encoder().example(3))] == [(3, 78, 80), (3, 40)]


@pytest.mark.parametrize("size_px", [None, (512, 512)])
def test_full_size_is_sdxls(size_px):
    """Podell et al. 2023: tokens of 2048, a whole prompt of 1280, 2.6 billion weights, trained at 1024 pixels."""
    opened = open_model("random:sdxl", Placement(torch.device("meta"), torch.float16), size_px=size_px)
    spec, side = opened.spec, 128 if size_px is None else 64
    assert (spec.tokens, spec.token_size, spec.joint_size, spec.sample_size) == (78, 2048, 1280, (side, side))
    assert compiles(spec)
    with torch.device("meta"):
        unet, text = opened.recipe.denoiser().build(), opened.recipe.text_encoder().build()
    billions = [sum(parameter.numel() for parameter in module.parameters()) / 1e9 for module in (unet, text)]
    assert billions == pytest.approx([2.567, 0.817], abs=0.002)


@pytest.mark.parametrize("rows", [76, 77])
def test_sdxl_is_heard_for_by_a_checkpoint_that_writes_the_whole_prompt_too(pipelines, tmp_path, rows):
    """The paper's writes 76 tokens after the first, of one text encoder; what is trained on SDXL's has a row more."""
    config = EncoderConfig(size=16, widths=(4, 4, 8, 8), map_hidden=12, map_out=rows * 80)
    torch.save(TokenMap(config).state_dict(), tmp_path / "map.pth")
    torch.save(TPoSEncoder(config).state_dict(), tmp_path / "encoder.pth")
    out = import_tpos(tmp_path / "encoder.pth", tmp_path / "map.pth", tmp_path / "tpos", config)
    name = str(pipelines("sdxl")[0])
    if rows == 76:
        with pytest.raises(ModelError, match=r"MAP writes 6080 numbers, 77 tokens of 80 were expected.*another text"):
            load(name, audio_encoder=out)
    else:
        assert load(name, audio_encoder=out).audio.hear(np.zeros(1000, np.float32), 1000, 0.0).tokens.shape == (78, 80)
