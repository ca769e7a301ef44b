"""How `pocket` hears: its networks behind the contract, and sounds named by phrases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tpos_models.audio.streaming import Listener, SegmentNet, TemporalNet
from tpos_models.contracts import AudioEmbedding
from tpos_models.pocket.audio_networks import WINDOW, load_recognition
from tpos_models.toml_data import read_toml

SOUNDS = read_toml(Path(__file__).with_name("sounds.toml"), dict[str, tuple[str, ...]])
PHRASES = tuple(phrase for phrases in SOUNDS.values() for phrase in phrases)
"""What `pocket` names on its own."""


class PocketAudioEncoder(Listener):
    """`pocket`'s AudioEncoder on any runner; one instance per stream (see `Listener` for the streaming contract)."""

    phrases: tuple[str, ...] = PHRASES

    def __init__(self, segment: SegmentNet, temporal: TemporalNet, folder: Path) -> None:
        super().__init__(segment, temporal, WINDOW, "segment", attends=True)
        self._recognition = load_recognition(folder)

    @torch.no_grad()
    def score(self, embedding: AudioEmbedding, phrases_joint: torch.Tensor) -> np.ndarray:
        """Weights 0..1 of phrases (P, joint_size), each for itself; see `Recognition`."""
        return self._recognition.weights(embedding.joint, phrases_joint).numpy()
