"""CLIP as a measure: what pictures show, which way they move, and what words say they should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Heard:
    """A stretch of sound in words: phrases and how much each is heard."""

    start_s: float
    end_s: float
    phrases: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class ClipMeasures:
    """A film as CLIP sees it: NaN where there are no words for it, or fewer than two segments.

    `frames` (n, size) are its vectors, a few a second; `sounds` (m, size) those of the words for every segment.
    """

    score: float
    direction: float
    recall: float
    chance: float
    frames: torch.Tensor
    sounds: torch.Tensor


def look(
    clip: Clip,
    seen: torch.Tensor,
    seen_at_s: np.ndarray,
    loudness: np.ndarray,
    prompt: str,
    heard: str,
    segments: Sequence[Heard],
) -> ClipMeasures:
    """Measure frames seen (n, size) at `seen_at_s` (n,), above `loudness` (n,), by what was asked for and heard."""
    under = [torch.from_numpy((seen_at_s >= heard.start_s) & (seen_at_s < heard.end_s)) for heard in segments]
    pairs = [(heard, seen[mask].mean(0)) for heard, mask in zip(segments, under, strict=True) if mask.any()]
    sounds = spoken(clip, [heard for heard, _ in pairs]) if pairs else seen[:0]
    words = ", ".join(phrase for phrase in (prompt, heard) if phrase)
    return ClipMeasures(
        score=clip_score(seen, clip.texts([words])) if words else float("nan"),
        direction=clip_direction(clip, seen, loudness, prompt, heard) if heard else float("nan"),
        recall=recall_at_1(sounds, torch.stack([picture for _, picture in pairs])) if pairs[1:] else float("nan"),
        chance=1 / len(pairs) if pairs[1:] else float("nan"),
        frames=seen,
        sounds=sounds,
    )


def clip_direction(clip: Clip, seen: torch.Tensor, loudness: np.ndarray, prompt: str, heard: str) -> float:
    """Cosine between the way of the pictures, quietest to loudest quarter, and of the words, without to with sound.

    `seen` (n, size) are CLIP's vectors of frames, `loudness` (n,) the sound's under each.
    """
    order, quarter = np.argsort(loudness, kind="stable"), max(1, len(seen) // 4)
    shown = seen[order[-quarter:].copy()].mean(0) - seen[order[:quarter].copy()].mean(0)
    said = clip.texts([f"{prompt}, {heard}" if prompt else heard]) - clip.texts([prompt])
    return float(F.cosine_similarity(shown, said[0], dim=0))


def clip_score(seen: torch.Tensor, words: torch.Tensor) -> float:
    """CLIPScore (Hessel et al. 2021), w max(cos, 0), of words (1, size) and each frame (n, size), mean over frames.

    w = 100, as it is mostly reported, and no "A photo depicts" before the words; Hessel et al. have both, and w = 2.5.
    """
    return float(100 * F.cosine_similarity(seen, words).clamp(min=0).mean())


def spoken(clip: Clip, segments: Sequence[Heard]) -> torch.Tensor:
    """The mean of the phrases' vectors (m, size), as much of each as is heard: sound in CLIP's space, through words."""
    phrases = sorted({phrase for heard in segments for phrase in heard.phrases})
    weights = torch.tensor([[heard.phrases.get(phrase, 0.0) for phrase in phrases] for heard in segments])
    return weights @ clip.texts(phrases)


def recall_at_1(sounds: torch.Tensor, pictures: torch.Tensor) -> float:
    """The share of sounds (m, size) to which, by cosine, their own picture (m, size) is the nearest; ties share."""
    similarity = F.normalize(sounds, dim=-1) @ F.normalize(pictures, dim=-1).T
    nearest = similarity >= similarity.max(1, keepdim=True).values - 1e-6
    return float((nearest.diagonal() / nearest.sum(1)).mean())


def cmmd(a: torch.Tensor, b: torch.Tensor) -> float:
    """CMMD (Jayasumana et al. 2024): 1000 MMD^2 of two sets of CLIP's unit vectors, Gaussian kernel of width 10.

    Its estimate has no bias, so that a hundred frames do where Frechet distances want thousands, and is around 0,
    below too, where the sets are alike. NaN of fewer than two vectors.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(torch.cdist(x.double(), y.double()) ** 2) / (2 * 10**2))

    def within(x: torch.Tensor) -> torch.Tensor:
        return (kernel(x, x).sum() - len(x)) / (len(x) * (len(x) - 1))

    return float(1000 * (within(a) + within(b) - 2 * kernel(a, b).mean()))


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
