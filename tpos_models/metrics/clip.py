"""CLIP as a measure: which way pictures move, and which way words say they should."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from tpos_models.errors import ModelError


class Clip(Protocol):
    """Pictures and phrases in one joint space, unit vectors (n, size)."""

    def images(self, frames: Sequence[np.ndarray]) -> torch.Tensor:
        """RGB uint8 (H, W, 3)."""
        ...

    def texts(self, phrases: Sequence[str]) -> torch.Tensor:
        """Phrases of any length."""
        ...


def clip_direction(clip: Clip, seen: torch.Tensor, loudness: np.ndarray, prompt: str, heard: str) -> float:
    """Cosine between the way of the pictures, quietest to loudest quarter, and of the words, without to with sound.

    `seen` (n, size) are CLIP's vectors of frames, `loudness` (n,) the sound's under each.
    """
    order, quarter = np.argsort(loudness, kind="stable"), max(1, len(seen) // 4)
    shown = seen[order[-quarter:].copy()].mean(0) - seen[order[:quarter].copy()].mean(0)
    said = clip.texts([f"{prompt}, {heard}" if prompt else heard]) - clip.texts([prompt])
    return float(F.cosine_similarity(shown, said[0], dim=0))


class HubClip:
    """CLIP (Radford et al. 2021) from a folder in transformers' layout, such as openai/clip-vit-large-patch14."""

    def __init__(self, folder: Path) -> None:
        import transformers

        try:
            model: Any = transformers.CLIPModel.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True
            )
            self._tokenizer = transformers.CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{folder}: no CLIP model; config.json, model.safetensors and a tokenizer were expected"
            ) from error
        self._model = model.eval()
        self._side = int(model.config.vision_config.image_size)
        self._mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
        self._std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]

    @torch.inference_mode()
    def images(self, frames: Sequence[np.ndarray]) -> torch.Tensor:
        """Unit vectors (n, size), one picture at a time."""
        features = [self._model.vision_model(pixel_values=self._pixels(frame)).pooler_output for frame in frames]
        return F.normalize(self._model.visual_projection(torch.cat(features)), dim=-1)

    @torch.inference_mode()
    def texts(self, phrases: Sequence[str]) -> torch.Tensor:
        """Unit vectors (n, size)."""
        ids = self._tokenizer(list(phrases), padding=True, truncation=True, max_length=77, return_tensors="pt")
        return F.normalize(self._model.text_projection(self._model.text_model(**ids).pooler_output), dim=-1)

    def _pixels(self, frame: np.ndarray) -> torch.Tensor:
        image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float() / 255
        side = min(image.shape[-2:])
        top, left = (image.shape[-2] - side) // 2, (image.shape[-1] - side) // 2
        square = image[:, :, top : top + side, left : left + side]
        resized = F.interpolate(square, (self._side, self._side), mode="bicubic", antialias=True).clamp(0, 1)
        return (resized - self._mean) / self._std
