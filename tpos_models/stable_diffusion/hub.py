"""Models by name: which repositories they are, where they lie on this machine, and how to get them."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpos_models.errors import ModelError, StorageError
from tpos_models.stable_diffusion.architectures import Config
from tpos_models.stable_diffusion.folder import has_second_text

TINY_VAE, TINY_VAE_XL = "madebyollin/taesd", "madebyollin/taesdxl"
CLAP = "laion/clap-htsat-unfused"
CLIP = "openai/clip-vit-large-patch14"
RESNET = "timm/resnet18.a1_in1k"

Progress = Callable[[str, int, int], None]
"""Called as (file or repository, bytes so far, bytes in all)."""

_MODEL_FILES = (
    "model_index.json", "scheduler/*.json", "tokenizer/*", "tokenizer_2/*", "*/config.json",
    "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors", "text_encoder_2/model.safetensors",
)  # fmt: skip
_NETWORK_FILES = ("*.json", "*.txt", "*.safetensors")
_NETWORKS = {"clap": CLAP, "clip": CLIP, "resnet18": RESNET}
_HUB_ID = re.compile(r"\w(?:[.-]?\w)*/\w(?:[.-]?\w)*")
"""Single dots and dashes inside a name: what the hub itself allows."""


@dataclass(frozen=True)
class Known:
    """A model with a short name: its repository, and a LoRA fused into it, with the scheduler it was distilled for.

    `terms` of use are said where they forbid a paid show.
    """

    repository: str
    lora: str | None = None
    lora_file: str = "pytorch_lora_weights.safetensors"
    scheduler: Config = field(default_factory=dict)
    terms: str = ""


LCM: Config = {"_class_name": "LCMScheduler", "original_inference_steps": 50}
_EULER: Config = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"}
_NO_SALE = "not for commercial use"


def _lightning(steps: int) -> Known:
    """SDXL-Lightning (Lin et al. 2024), distilled for so many steps and no others."""
    file = f"sdxl_lightning_{steps}step_lora.safetensors"
    return Known("stabilityai/stable-diffusion-xl-base-1.0", "ByteDance/SDXL-Lightning", file, _EULER)


KNOWN: dict[str, Known] = {
    "sd-turbo": Known("stabilityai/sd-turbo", terms=_NO_SALE),
    "lcm-sd15": Known(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "latent-consistency/lcm-lora-sdv1-5", scheduler=LCM
    ),
    "lcm-dreamshaper-v7": Known("SimianLuo/LCM_Dreamshaper_v7"),
    "sdxl-turbo": Known("stabilityai/sdxl-turbo", terms=_NO_SALE),
    "sdxl-lightning-2": _lightning(2),
    "sdxl-lightning-4": _lightning(4),
}


def repository(name: str) -> str:
    """The hub id of a model name; raises `ModelError` for what is neither a known name nor an id."""
    known = KNOWN.get(name)
    if known is None and not _HUB_ID.fullmatch(name):
        raise ModelError(
            f"{name}: no such model; pocket, {', '.join(KNOWN)}, a diffusers folder or a hub id OWNER/NAME would be "
            "accepted"
        )
    return known.repository if known else name


def locate(name: str) -> Path:
    """The folder of a model on this machine; raises `ModelError` when it was never fetched."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    found = cached(repository(name), "model_index.json")
    if found is None:
        raise ModelError(f"{name}: not on this machine; `tpos models fetch {name}` downloads it")
    return found


def cached(repo: str, file: str = "config.json") -> Path | None:
    """The folder of a repository's newest snapshot in the hub's cache, if it holds `file`, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file)
    return Path(found).parent if isinstance(found, str) else None


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Download a model, its LoRA and the tiny VAE into the hub's cache, and check what came; returns its folder.

    Files that are there stay, a broken connection resumes where it broke. `clap` fetches CLAP, `clip` the CLIP
    that `tpos evaluate` looks with, `resnet18` the ImageNet weights that `tpos train tpos` starts from.
    Raises `ModelError` (unknown, refused, damaged, no answer) or `StorageError`.
    """
    if name in _NETWORKS:
        return _fetch(_NETWORKS[name], _NETWORK_FILES, progress)
    known = KNOWN.get(name)
    folder = _fetch(repository(name), _MODEL_FILES, progress)
    if known and known.lora:
        _fetch(known.lora, (known.lora_file,), progress)
    _fetch(tiny_vae(folder), _NETWORK_FILES, progress)
    return folder


def tiny_vae(folder: Path) -> str:
    """The repository of the tiny VAE for a model's latents: SDXL has others than SD 1.x and 2.x."""
    return TINY_VAE_XL if has_second_text(folder) else TINY_VAE


def _fetch(repo: str, files: tuple[str, ...], progress: Progress | None) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        info = HfApi().model_info(repo, files_metadata=True, timeout=20)
        bar = _bar(repo, progress)
        with _Quiet():
            folder = Path(snapshot_download(repo, allow_patterns=list(files), tqdm_class=bar))
    except RepositoryNotFoundError as error:
        raise ModelError(f"{repo}: no such repository on the hub, or it needs a login; check the name") from error
    except HfHubHTTPError as error:
        raise ModelError(f"{repo}: the hub refused ({_first_line(error)}); try again later") from error
    except (LocalEntryNotFoundError, ConnectionError, TimeoutError) as error:
        raise ModelError(f"{repo}: the hub gives no answer; a connection is needed to fetch a model") from error
    except OSError as error:
        if error.errno is None:
            raise ModelError(f"{repo}: the download broke ({_first_line(error)}); fetch it again") from error
        raise StorageError(f"{repo}: cannot be stored ({error.strerror}); free some space or set HF_HOME") from error
    except _transport_errors() as error:
        raise ModelError(f"{repo}: the hub gives no answer ({_first_line(error)}); try again, it resumes") from error
    _verify(folder, info)
    return folder


def _transport_errors() -> type[Exception]:
    """The base of the hub client's network errors, whichever HTTP library its version stands on."""
    from huggingface_hub import utils

    libraries = vars(utils._http).values()
    return next(
        (library.TransportError for library in libraries if hasattr(library, "TransportError")), ConnectionError
    )


def _verify(folder: Path, info: Any) -> None:
    """Compare every fetched file with the hub's SHA-256 (weights) or size; wrong files are removed."""
    wrong = [path for sibling in info.siblings or [] if _is_wrong(path := folder / sibling.rfilename, sibling)]
    for path in wrong:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
    if wrong:
        raise ModelError(f"{wrong[0]}: damaged on its way and removed ({len(wrong)} in all); fetch it again")


def _is_wrong(path: Path, sibling: Any) -> bool:
    if not path.is_file():
        return False
    if sibling.lfs:
        return bool(_sha256(path) != sibling.lfs.sha256)
    return sibling.size not in (None, path.stat().st_size)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _bar(repo: str, progress: Progress | None) -> Any:
    """A tqdm class that reports bytes to `progress` and draws nothing."""
    from tqdm import tqdm

    class Reporter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._bytes = kwargs.get("unit") == "B"
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})
            self._done = kwargs.get("initial") or 0
            self._total = kwargs.get("total") or 0

        def update(self, n: float | None = 1) -> None:
            self._done += n or 0
            if progress and self._bytes:
                progress(repo, int(self._done), int(max(self.total or 0, self._total, self._done)))

    return Reporter


class _Quiet:
    """The hub client logs every retry as a warning; its last word reaches the user as our error."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("huggingface_hub")
        self._level = self._logger.level
        self._logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__
