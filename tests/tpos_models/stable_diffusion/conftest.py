"""Fixtures of the small models, and an audio encoder for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_diffusers import empty_hub, pipelines

from tpos_models.contracts import AudioEmbedding, AudioWindow
from tpos_models.stable_diffusion import load
from tpos_models.stable_diffusion.phrases import Phrase

__all__ = ["empty_hub", "pipelines"]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small are slower on two threads, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def models(pipelines):
    """`models(kind)` is the model loaded from that folder, once."""
    loaded = {}

    def get(kind: str):
        if kind not in loaded:
            loaded[kind] = load(str(pipelines(kind)[0]), audio_encoder=LoudnessEncoder())
        return loaded[kind]

    return get


class LoudnessEncoder:
    """An encoder that knows two phrases: loud is thunder, quiet is rain."""

    window = AudioWindow()
    phrases: tuple[Phrase, ...] = (Phrase("rain", "heavy rain"), Phrase("thunder", "lightning"))
    joint_size = 2

    def another(self) -> LoudnessEncoder:
        return self

    def embed(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        level = float(np.sqrt(np.mean(np.square(samples)))) if samples.size else 0.0
        joint = torch.nn.functional.normalize(torch.tensor([0.3, level]), dim=0)
        return AudioEmbedding(torch.empty(0), joint, np.full(5, 0.2, np.float32), 20 * np.log10(level + 1e-9), time_s)

    def joint(self, phrases: list[str]) -> torch.Tensor:
        return torch.stack([torch.tensor([0.0, 1.0] if "thunder" in p else [1.0, 0.0]) for p in phrases])

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        return (joint @ embedding.joint).clamp(0, 1).numpy()


@pytest.fixture
def joint_encoder() -> LoudnessEncoder:
    return LoudnessEncoder()
