"""How Stable Diffusion hears: a sound is named with phrases, and the phrases' CLIP tokens steer the picture.

| names sounds   | what it is                                       | joint space          |
|----------------|--------------------------------------------------|----------------------|
| `ModelEncoder` | another model's audio encoder: `pocket`'s        | that model's phrases |
| `ClapEncoder`  | CLAP (Wu et al. 2023), zero-shot                 | CLAP's text encoder  |

Both speak through `PhraseEncoder`, an AudioEncoder. An imported TPoS checkpoint's MAP writes tokens itself
(`tpos_models.stable_diffusion.tpos`); where no phrase can be compared with what it hears, one of these names it
(`NamedEncoder`).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
import torch
from torch.nn import functional as F

from tpos_models.audio.loudness import loudness_db
from tpos_models.contracts import AudioEmbedding, AudioEncoder, AudioWindow, TextSpace
from tpos_models.diffusion.conditioning import mix
from tpos_models.errors import ModelError
from tpos_models.network import run_in_torch
from tpos_models.pocket.audio_encoder import PocketAudioEncoder
from tpos_models.pocket.networks import WEIGHTS, audio_encoder_networks
from tpos_models.pocket.text import PocketText
from tpos_models.stable_diffusion import hub, tpos
from tpos_models.stable_diffusion.devices import CPU
from tpos_models.stable_diffusion.phrases import Phrase, bank, stand_out

CLAP_WINDOW = AudioWindow(sample_rate=44_100, n_fft=1024, hop_length=441, rows=64, frames=500, segments=5)
"""Five seconds: CLAP repeats them to the ten it was trained on, and half the past answers twice as fast."""
CLAP_HZ = 48_000

MOST_PHRASES = 4
"""Phrases whose tokens are mixed; weaker ones only blur the picture."""


class JointEncoder(Protocol):
    """Sounds and phrases in one joint space. One instance belongs to one stream."""

    window: AudioWindow
    phrases: tuple[Phrase, ...]
    joint_size: int

    def embed(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """The newest window (see `contracts.AudioEncoder.hear`); its `tokens` mean nothing to Stable Diffusion."""
        ...

    def another(self) -> JointEncoder:
        """The same networks for another stream, on the same thread."""
        ...

    def joint(self, phrases: list[str]) -> torch.Tensor:
        """Unit vectors (B, joint_size)."""
        ...

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        """Weights (B,) 0..1 of phrases in a sound."""
        ...


class PhraseEncoder:
    """The AudioEncoder over a joint space: tokens are those of the loudest phrases' pictures, mixed by weight.

    Weights that sum to less than 1 leave the rest to "", so a sound that fits no phrase hardly steers.
    """

    def __init__(self, encoder: JointEncoder, text: TextSpace) -> None:
        self.window = encoder.window
        self.phrases = tuple(phrase.hear for phrase in encoder.phrases)
        self._encoder, self._text = encoder, text
        self._hears = encoder.joint(list(self.phrases))
        self._last: tuple[AudioEmbedding, AudioEmbedding] | None = None

    def another(self) -> PhraseEncoder:
        """The same over another stream."""
        other = copy(self)
        other._encoder, other._last = self._encoder.another(), None
        return other

    def hear(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """Encode the newest window (see `contracts.AudioEncoder`); tokens are the text encoder's of this moment.

        An answer that is not another is the same object.
        """
        heard = self._encoder.embed(samples, end_index, time_s)
        tokens = self._tokens(self._encoder.score(heard, self._hears))
        if self._last is None or self._last[0] is not heard or not torch.equal(self._last[1].tokens, tokens):
            self._last = heard, replace(heard, tokens=tokens)
        return self._last[1]

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        """Weights (n,) 0..1 of phrases joint (n, joint_size)."""
        return self._encoder.score(embedding, joint)

    def _tokens(self, weights: np.ndarray) -> torch.Tensor:
        loudest = [int(i) for i in np.argsort(-weights)[:MOST_PHRASES] if weights[i] > 0.01]
        null = self._text.encode([""]).tokens[0]
        if not loudest:
            return null
        tokens = self._text.encode([self._encoder.phrases[i].show for i in loudest]).tokens
        return mix(tokens, [float(weights[i]) for i in loudest], null)


class NamedEncoder:
    """The AudioEncoder of two: `draws` writes the tokens, `names` says what is heard."""

    def __init__(self, draws: AudioEncoder, names: JointEncoder) -> None:
        self.window = draws.window
        self.phrases = tuple(phrase.hear for phrase in names.phrases)
        self._draws, self._names = draws, names

    def another(self) -> NamedEncoder:
        """The same over another stream."""
        return NamedEncoder(self._draws.another(), self._names.another())

    def hear(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """Encode the newest window (see `contracts.AudioEncoder`); `joint` is the naming encoder's."""
        named = self._names.embed(samples, end_index, time_s)
        return replace(self._draws.hear(samples, end_index, time_s), joint=named.joint)

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        """Weights (n,) 0..1 of phrases joint (n, joint_size)."""
        return self._names.score(embedding, joint)


class ModelEncoder:
    """Another model's joint space: its audio encoder hears, its text space places the phrases."""

    def __init__(self, text: TextSpace, audio: AudioEncoder, phrases: Sequence[Phrase] | None = None) -> None:
        self.window = audio.window
        shown = {phrase.hear: phrase.show for phrase in bank()}
        self.phrases = tuple(phrases or (Phrase(hear, shown.get(hear, hear)) for hear in audio.phrases))
        self.joint_size = text.encode([""]).joint.shape[-1]
        self._text, self._audio = text, audio

    def another(self) -> ModelEncoder:
        """The same over another stream."""
        return ModelEncoder(self._text, self._audio.another(), self.phrases)

    def embed(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """What the other model's encoder heard."""
        return self._audio.hear(samples, end_index, time_s)

    def joint(self, phrases: list[str]) -> torch.Tensor:
        """The phrases in the other model's joint space."""
        return self._text.joint(phrases)

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        """The other encoder's own recognition."""
        return self._audio.score(embedding, joint)


class ClapEncoder:
    """Sounds and phrases by CLAP, a contrastive language-audio model in transformers' layout.

    Raises `ModelError` for a folder that holds none.
    """

    window = CLAP_WINDOW

    def __init__(self, folder: Path, device: torch.device = CPU) -> None:
        self._model, self._extract, self._tokenize = _read_clap(folder)
        self._model.to(device)
        self._device = device
        self.phrases = bank()
        self.joint_size = int(self._model.config.projection_dim)
        self._one = lru_cache(4096)(partial(_joint_of, self._model, self._tokenize, device))
        self._background = self.joint([phrase.hear for phrase in self.phrases])

    def another(self) -> ClapEncoder:
        """Itself: it keeps nothing of a stream."""
        return self

    @torch.inference_mode()
    def embed(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        """The newest five seconds; attention is even, CLAP has none."""
        length = self.window.segments * self.window.segment_samples
        newest = np.nan_to_num(samples[-length:], posinf=0, neginf=0).astype(np.float32)
        sound = soxr.resample(np.pad(newest, (length - newest.size, 0)), self.window.sample_rate, CLAP_HZ)
        features = self._extract(sound, sampling_rate=CLAP_HZ, return_tensors="pt")
        inputs = {key: value.to(self._device) for key, value in features.items()}
        pooled = self._model.audio_projection(self._model.audio_model(**inputs).pooler_output)
        beta = np.full(self.window.segments, 1 / self.window.segments, np.float32)
        level = loudness_db(newest[-self.window.segment_samples :])
        return AudioEmbedding(torch.empty(0), F.normalize(pooled, dim=-1)[0].float().cpu(), beta, level, time_s)

    def joint(self, phrases: list[str]) -> torch.Tensor:
        """Phrases as CLAP was taught them: "This is a sound of ..."."""
        return torch.stack([self._one(phrase) for phrase in phrases])

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        """Weights (n,) by how far each phrase stands out from the whole bank."""
        return stand_out(joint @ embedding.joint, self._background @ embedding.joint)


@torch.inference_mode()
def _joint_of(model: Any, tokenize: Any, device: torch.device, phrase: str) -> torch.Tensor:
    inputs = tokenize(f"This is a sound of {phrase}.", return_tensors="pt", truncation=True, max_length=77)
    ids, mask = inputs.input_ids.to(device), inputs.attention_mask.to(device)
    pooled = model.text_projection(model.text_model(input_ids=ids, attention_mask=mask).pooler_output)
    return F.normalize(pooled, dim=-1)[0].float().cpu().clone()


def _read_clap(folder: Path) -> tuple[Any, Any, Any]:
    import transformers

    try:
        loaded: Any = transformers.ClapModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        extract = transformers.ClapFeatureExtractor.from_pretrained(str(folder), local_files_only=True)
        tokenize = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder}: no CLAP model (config.json, model.safetensors, preprocessor_config.json and a tokenizer were "
            f"expected): {str(error).splitlines()[0][:120]}"
        ) from error
    model, found = loaded
    if found["missing_keys"]:
        raise ModelError(f"{folder}: weights miss {sorted(found['missing_keys'])[0]}; a whole CLAP model was expected")
    bad = next((name for name, value in model.named_parameters() if not torch.isfinite(value).all()), None)
    if bad is not None:
        raise ModelError(f"{folder}: {bad} holds NaN or infinity")
    return model.eval().requires_grad_(False), extract, tokenize


def choose_audio_encoder(name: str = "auto", device: torch.device = CPU) -> JointEncoder | Path:
    """What hears, by name: `pocket`, `clap` (once fetched), or a folder with CLAP or an imported TPoS checkpoint.

    "auto" is CLAP where it was fetched, else pocket's. The path of a TPoS checkpoint is returned as it is, as its
    networks need the text encoder. Raises `ModelError` or `MissingFileError`.
    """
    if name == "auto":
        name = "clap" if hub.cached(hub.CLAP) else "pocket"
    if name == "pocket":
        return pocket_encoder()
    folder = hub.cached(hub.CLAP) if name == "clap" else Path(name).expanduser()
    if folder is None:
        raise ModelError("clap: not on this machine; `tpos models fetch clap` downloads it")
    if not folder.is_dir():
        raise ModelError(
            f"{name}: no such audio encoder; auto, pocket, clap, a folder of CLAP or an imported TPoS would be accepted"
        )
    return folder if tpos.is_tpos(folder) else ClapEncoder(folder, device)


def pocket_encoder() -> JointEncoder:
    """The pocket encoder, which comes with this package; raises `MissingFileError` where its weights are absent."""
    segment, temporal = (run_in_torch(network) for network in audio_encoder_networks())

    def weigh(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens, joint, beta = temporal(features)
        return tokens, joint, beta

    return ModelEncoder(
        PocketText.load(WEIGHTS), PocketAudioEncoder(lambda pictures: segment(pictures)[0], weigh, WEIGHTS)
    )
