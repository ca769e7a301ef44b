"""A diffusers-layout folder as configurations and checked weights.

    model_index.json   unet/   text_encoder/   tokenizer/   vae/   scheduler/      SDXL: text_encoder_2/   tokenizer_2/

Only safetensors are read. Whatever does not fit is one line that names the file and what was expected.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tpos_models.errors import MissingFileError, ModelError
from tpos_models.stable_diffusion.architectures import Architecture, Config, whole_prompt_size
from tpos_models.weights import load_into, read_record

_DIFFUSERS, _TRANSFORMERS = "diffusion_pytorch_model", "model"
_STEMS = {"unet": _DIFFUSERS, "vae": _DIFFUSERS, "text_encoder": _TRANSFORMERS, "text_encoder_2": _TRANSFORMERS}
_LAYOUT = "model_index.json, unet/, text_encoder/, tokenizer/, scheduler/ and vae/ of a diffusers folder were expected"
_SECOND = "text_encoder_2/ and tokenizer_2/, as SDXL has them, were expected beside text_encoder/ and tokenizer/"
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names in VAEs saved before diffusers 0.18, such as Stable Diffusion 1.5's."""


@dataclass(frozen=True)
class Folder:
    """Where the networks of one model lie; `vae` may be another folder's (a tiny VAE's)."""

    root: Path
    vae: Path

    def path(self, part: str) -> Path:
        """The folder of "unet", "text_encoder", "text_encoder_2" or "vae"."""
        return self.vae if part == "vae" else self.root / part


def read_folder(root: Path, tiny_vae: Path | None = None) -> tuple[Folder, Architecture]:
    """Read and check the configurations of a model; raises `MissingFileError` or `ModelError`."""
    if not (root / "model_index.json").is_file():
        raise ModelError(f"{root}: no model ({'no model_index.json' if root.is_dir() else 'no folder'}); {_LAYOUT}")
    if has_second_text(root) and not (root / "text_encoder").is_dir():
        raise ModelError(
            f"{root}: text_encoder_2/ alone, as in an SDXL refiner; a base or turbo with text_encoder/ too "
            "would be accepted"
        )
    folder = Folder(root, tiny_vae or root / "vae")
    unet = _config(root / "unet" / "config.json")
    is_xl = unet.get("addition_embed_type") == "text_time"
    configs = Architecture(
        unet=unet,
        text=_config(root / "text_encoder" / "config.json"),
        scheduler=_config(root / "scheduler" / "scheduler_config.json"),
        vae=_config(folder.vae / "config.json"),
        text_2=_config(root / "text_encoder_2" / "config.json", _SECOND) if is_xl else None,
    )
    check_fit(configs, folder)
    return folder, configs


def has_second_text(root: Path) -> bool:
    """Whether a folder is of SDXL's kind."""
    return (root / "text_encoder_2").is_dir()


def _config(path: Path, expected: str = _LAYOUT) -> Config:
    try:
        return read_record(path)
    except MissingFileError as error:
        raise MissingFileError(f"{path}: missing; {expected}") from error


def check_fit(configs: Architecture, folder: Folder) -> None:
    """Raise `ModelError` unless UNet, text encoders and VAE have the same channels and sizes."""
    unet, where = configs.unet, folder.path("unet") / "config.json"
    if (kind := unet.get("addition_embed_type")) not in (None, "text_time"):
        raise ModelError(f"{where}: addition_embed_type is {kind}; text_time (SDXL) or null would be accepted")
    texts = dict(zip(("text_encoder", "text_encoder_2"), configs.texts, strict=False))
    size = sum(int(text.get("hidden_size", 0)) for text in texts.values())
    if unet.get("cross_attention_dim") != size:
        files = " and ".join(f"{folder.path(part)}/config.json" for part in texts)
        raise ModelError(
            f"{where}: cross_attention_dim is {unet.get('cross_attention_dim')}, {size} expected, the hidden_size of "
            f"{files}"
        )
    if configs.text_2 is not None and (whole := whole_prompt_size(unet)) != configs.text_2.get("projection_dim"):
        raise ModelError(
            f"{where}: takes {whole} numbers of a whole prompt, {configs.text_2.get('projection_dim')} expected, the "
            f"projection_dim of {folder.path('text_encoder_2')}/config.json"
        )
    latents = configs.vae.get("latent_channels", 4)
    vae = folder.vae / "config.json"
    for key in ("in_channels", "out_channels"):
        if unet.get(key) != latents:
            raise ModelError(f"{where}: {key} is {unet.get(key)}, {latents} expected, the latent_channels of {vae}")


def weights_file(folder: Path, stem: str) -> Path:
    """The safetensors of one network; raises `ModelError`, with a hint where only pickled weights lie there."""
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (folder / name).is_file():
            return folder / name
    pickled = next((path for path in sorted(folder.glob(f"{stem}*")) if path.suffix in (".bin", ".pt", ".ckpt")), None)
    if pickled is not None:
        raise ModelError(
            f"{pickled}: pickled weights can run code and are not read; {stem}.safetensors was expected beside it "
            "(diffusers' save_pretrained writes one)"
        )
    raise MissingFileError(f"{folder}: no weights; {stem}.safetensors was expected")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file; raises `ModelError`."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({str(error).splitlines()[0][:120]})") from error


def fill(module: torch.nn.Module, folder: Folder, part: str) -> None:
    """Load one network's weights strictly, NaN refused; raises `ModelError`."""
    path = weights_file(folder.path(part), _STEMS[part])
    load_into(module, rename(read_tensors(path), module), str(path))


def rename(tensors: Mapping[str, torch.Tensor], module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Older spellings of the same names as this module spells them; what stays unknown stays as it is."""
    expected = module.state_dict().keys()
    renamed = {}
    for key, value in tensors.items():
        name = next((name for name in _spellings(key) if name in expected), key)
        if not name.endswith("position_ids"):
            renamed[name] = value
    return renamed


def _spellings(key: str) -> list[str]:
    modern = re.sub(
        r"(attentions\.\d+\.)(query|key|value|proj_attn)\.", lambda m: f"{m[1]}{_OLD_ATTENTION[m[2]]}.", key
    )
    return [key, modern, key.removeprefix("text_model."), f"text_model.{key}"]


def identity(folder: Folder, part: str) -> str:
    """What a network's weights are, wherever they lie."""
    return digest(weights_file(folder.path(part), _STEMS[part]))


def digest(path: Path) -> str:
    """SHA-256 of a file; 2 GB take about a second, once."""
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@cache
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
