"""Folders that are wrong in every way the show has to survive: one line, the file named, nothing loaded."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tpos_models.errors import MissingFileError, ModelError
from tpos_models.stable_diffusion import load, open_model


@pytest.fixture
def folder(pipelines, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(pipelines("sd15")[0], copy)
    return copy


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder, joint_encoder, match, error=ModelError):
    with pytest.raises((error, MissingFileError), match=match) as caught:
        load(str(folder), audio_encoder=joint_encoder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    assert "expected" in message or "accepted" in message


def test_a_folder_that_is_no_model(tmp_path, joint_encoder):
    refused(tmp_path, joint_encoder, "no model_index.json")


@pytest.mark.parametrize(
    "missing", ["unet/config.json", "text_encoder/config.json", "vae/config.json", "scheduler/scheduler_config.json"]
)
def test_missing_configurations(folder, joint_encoder, missing):
    (folder / missing).unlink()
    refused(folder, joint_encoder, missing)


def test_missing_tokenizer(folder, joint_encoder):
    shutil.rmtree(folder / "tokenizer")
    refused(
        folder, joint_encoder, r"tokenizer: no tokenizer; vocab.json and merges.txt, or tokenizer.json, were expected"
    )


def test_damaged_tokenizer(folder):
    (folder / "tokenizer" / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="damaged tokenizer"):
        open_model(str(folder))


def test_unet_that_fits_neither_vae_nor_text(folder, joint_encoder):
    edit(folder / "unet" / "config.json", cross_attention_dim=48)
    refused(folder, joint_encoder, r"unet/config.json: cross_attention_dim is 48, 32 expected.*text_encoder")
    edit(folder / "unet" / "config.json", cross_attention_dim=32, in_channels=9)
    refused(folder, joint_encoder, r"unet/config.json: in_channels is 9, 4 expected.*vae/config.json")


def test_configuration_of_another_kind(folder, joint_encoder):
    (folder / "unet" / "config.json").write_text("[1]")
    refused(folder, joint_encoder, "a JSON object was expected")
    (folder / "unet" / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"unet/config.json: not a JSON record"):
        open_model(str(folder))


def test_unknown_schedules_and_conditions(folder, joint_encoder):
    edit(folder / "scheduler" / "scheduler_config.json", prediction_type="flow")
    refused(folder, joint_encoder, "prediction_type is flow; epsilon, v_prediction, sample would be accepted")
    schedules = (
        ("beta_schedule", "linear", "scaled_linear"), ("beta_start", 0.0001, "0.00085"), ("beta_end", 0.02, "0.012"),
        ("trained_betas", [0.1], "None"), ("rescale_betas_zero_snr", True, "False"),
    )  # fmt: skip
    for name, other, accepted in schedules:
        scheduler = folder / "scheduler" / "scheduler_config.json"
        known = scheduler.read_text()
        edit(scheduler, prediction_type="epsilon", **{name: other})
        refused(folder, joint_encoder, re.escape(f"{name} is {other}; {accepted} would be accepted"))
        scheduler.write_text(known)
    edit(folder / "unet" / "config.json", addition_embed_type="image_hint")
    refused(folder, joint_encoder, r"unet/config.json: addition_embed_type is image_hint; text_time \(SDXL\) or null")


def test_an_sdxl_that_lacks_something_or_whose_parts_do_not_fit(pipelines, tmp_path, joint_encoder):
    folder = tmp_path / "model"

    def restored():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(pipelines("sdxl")[0], folder)
        return folder

    shutil.rmtree(restored() / "text_encoder_2")
    refused(folder, joint_encoder, r"text_encoder_2/config.json: missing; text_encoder_2/ and tokenizer_2/, as SDXL")
    shutil.rmtree(restored() / "tokenizer_2")
    refused(folder, joint_encoder, r"tokenizer_2: no tokenizer")
    shutil.rmtree(restored() / "text_encoder")
    refused(
        folder, joint_encoder, r"text_encoder_2/ alone, as in an SDXL refiner; a base or turbo .* would be accepted"
    )
    edit(restored() / "unet" / "config.json", cross_attention_dim=48)
    refused(folder, joint_encoder, r"cross_attention_dim is 48, 80 expected.*/text_encoder/.* and .*/text_encoder_2/")
    edit(restored() / "unet" / "config.json", projection_class_embeddings_input_dim=5 * 8 + 40)
    refused(folder, joint_encoder, r"takes 32 numbers of a whole prompt, 40 expected, .*text_encoder_2/config.json")
    path = restored() / "text_encoder_2" / "model.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"text_encoder_2/model.safetensors: not a readable safetensors file"):
        load(str(folder), audio_encoder=joint_encoder)


def test_unet_configuration_that_builds_nothing(folder, joint_encoder):
    edit(folder / "unet" / "config.json", down_block_types=["NoSuchBlock", "DownBlock2D"])
    with pytest.raises(ModelError, match=r"unet/config.json: no such network .*NoSuchBlock"):
        load(str(folder), audio_encoder=joint_encoder)


@pytest.mark.parametrize(
    ("part", "file"),
    [("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model")],
)
def test_weights_missing_pickled_damaged_or_nan(folder, joint_encoder, part, file):
    path = folder / part / f"{file}.safetensors"
    tensors = load_file(path)
    path.unlink()
    refused(folder, joint_encoder, f"{part}: no weights; {file}.safetensors was expected")
    path.with_suffix(".bin").write_bytes(b"pickled")
    refused(folder, joint_encoder, rf"{file}.bin: pickled weights can run code.*{file}.safetensors was expected")
    path.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        load(str(folder), audio_encoder=joint_encoder)
    name = next(iter(tensors))
    save_file({**tensors, name: torch.full_like(tensors[name], torch.nan)}, path)
    with pytest.raises(ModelError, match=f"{name} holds NaN or infinity"):
        load(str(folder), audio_encoder=joint_encoder)
    save_file({key: value for key, value in tensors.items() if key != name}, path)
    with pytest.raises(ModelError, match=f"weights do not fit: missing {name}"):
        load(str(folder), audio_encoder=joint_encoder)


def test_names_of_older_checkpoints(pipelines, tmp_path, joint_encoder):
    """Text encoders saved by transformers 4 and VAEs saved before diffusers 0.18 load to the same numbers."""
    source = pipelines("sd15-kl")[0]
    copy = tmp_path / "old"
    shutil.copytree(source, copy)
    text = load_file(copy / "text_encoder" / "model.safetensors")
    old = {f"text_model.{key.removeprefix('text_model.')}": value for key, value in text.items()}
    old["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(old, copy / "text_encoder" / "model.safetensors")
    vae = load_file(copy / "vae" / "diffusion_pytorch_model.safetensors")
    spelling = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for key, value in vae.items():
        for new, older in spelling.items():
            if "attentions" in key:
                key = key.replace(f".{new}.", f".{older}.")
        renamed[key] = value
    assert renamed.keys() != vae.keys()
    save_file(renamed, copy / "vae" / "diffusion_pytorch_model.safetensors")
    first, again = load(str(source), audio_encoder=joint_encoder), load(str(copy), audio_encoder=joint_encoder)
    assert torch.equal(first.text.encode(["sea"]).tokens, again.text.encode(["sea"]).tokens)
    latents = torch.randn(1, 4, 8, 8)
    assert torch.equal(first.decoder(latents), again.decoder(latents))


def test_a_tiny_vae_beside_the_model_is_preferred(pipelines, tmp_path, joint_encoder):
    copy = tmp_path / "both"
    shutil.copytree(pipelines("sd15-kl")[0], copy)
    shutil.copytree(pipelines("sd15")[0] / "vae", copy / "taesd")
    latents = torch.randn(1, 4, 8, 8)
    tiny = load(str(pipelines("sd15")[0]), audio_encoder=joint_encoder).decoder(latents)
    assert torch.equal(load(str(copy), audio_encoder=joint_encoder).decoder(latents), tiny)
    (copy / "text_encoder_2").mkdir()  # SDXL's latents are others
    assert not torch.equal(load(str(copy), audio_encoder=joint_encoder).decoder(latents), tiny)
    (copy / "taesd").rename(copy / "taesdxl")
    assert torch.equal(load(str(copy), audio_encoder=joint_encoder).decoder(latents), tiny)


def test_half_precision_files_are_found(folder, joint_encoder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(
        {k: v.half() for k, v in load_file(path).items()}, path.with_name("diffusion_pytorch_model.fp16.safetensors")
    )
    path.unlink()
    assert (
        load(str(folder), audio_encoder=joint_encoder)
        .denoiser(torch.zeros(1, 4, 8, 8), torch.tensor([9]), torch.zeros(1, 77, 32))
        .shape
    )


def test_fingerprints_follow_the_weights(folder):
    before = [network.fingerprint for network in open_model(str(folder)).networks()]
    assert before == [network.fingerprint for network in open_model(str(folder)).networks()]
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({key: value + 1 for key, value in load_file(path).items()}, path)
    after = [network.fingerprint for network in open_model(str(folder)).networks()]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]


def test_fingerprints_follow_the_second_text_encoder(pipelines, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(pipelines("sdxl")[0], folder)
    path = folder / "text_encoder_2" / "model.safetensors"
    prints = [[network.fingerprint for network in open_model(str(folder)).networks()]]
    save_file({key: value + 1 for key, value in load_file(path).items()}, path)
    prints.append([network.fingerprint for network in open_model(str(folder)).networks()])
    edit(path.with_name("config.json"), hidden_act="quick_gelu")
    prints.append([network.fingerprint for network in open_model(str(folder)).networks()])
    assert [len(set(one)) for one in zip(*prints, strict=True)] == [3, 1, 1]
