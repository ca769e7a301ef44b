"""How `pocket` hears: its networks behind the contract, and sounds named by phrases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from tpos_models import weights
from tpos_models.audio.streaming import Listener, SegmentNet, TemporalNet
from tpos_models.contracts import AudioEmbedding
from tpos_models.pocket.audio_networks import NAME, WINDOW
from tpos_models.toml_data import read_toml

SOUNDS = read_toml(Path(__file__).with_name("sounds.toml"), dict[str, tuple[str, ...]])
PHRASES = tuple(phrase for phrases in SOUNDS.values() for phrase in phrases)
"""What `pocket` names on its own."""


class Recognition:
    """Turns likeness to phrases into weights; `scale`, `border` and `width` were learned with the encoder."""

    def __init__(self, scale: float, border: float, width: float) -> None:
        self.scale, self.border, self.width = scale, border, width

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> Recognition:
        """From an AudioEncoderNet's state dict."""
        return cls(tensors["log_scale"].exp().item(), *tensors["gate"].tolist())

    def __call__(self, joint: torch.Tensor, phrases_joint: torch.Tensor) -> torch.Tensor:
        """Weights 0..1 of phrases (P, joint_size) for sounds (..., joint_size): (..., P), summing to at most 1.

        A softmax over the phrases, times a gate on each phrase's own likeness: what resembles none of them, and
        silence, weighs little.
        """
        likeness = joint @ phrases_joint.T
        gate = ((likeness - self.border) / self.width).sigmoid()
        return (self.scale * likeness).softmax(-1) * gate


class PocketAudioEncoder(Listener):
    """`pocket`'s AudioEncoder on any runner; one instance per stream (see `Listener` for the streaming contract)."""

    phrases: tuple[str, ...] = PHRASES

    def __init__(self, segment: SegmentNet, temporal: TemporalNet, folder: Path) -> None:
        super().__init__(segment, temporal, WINDOW, "segment", attends=True)
        self._recognise = Recognition.of(weights.load(folder, NAME)[0])

    def score(self, embedding: AudioEmbedding, phrases_joint: torch.Tensor) -> np.ndarray:
        """Weights 0..1 of phrases (P, joint_size), summing to at most 1; see `Recognition`."""
        return self._recognise(embedding.joint, phrases_joint).numpy()
