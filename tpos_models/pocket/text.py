"""The text space of `pocket`: prompts to scenes, and to a joint space in which phrases meet sounds.

Words become ids of a static vector table (distilled from a sentence encoder by `training.text`); a small
network of convolutions, which bind "no" and "heavy" to their neighbours, and attention reads the scene out of them.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple
from weakref import proxy

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.contracts import TextEmbedding, UnknownWord
from tpos_models.errors import ModelError
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, SCENE_SIZE, TINT, TINTS, to_tokens
from tpos_models.pocket.unknown_words import UnknownWords, foreign_words

JOINT_SIZE = 128
MAX_WORDS = 64
"""Word ids of a prompt that are read; the rest is ignored, as in every CLIP-like text encoder."""
MAX_CHARACTERS = 2000
PADDING = 0

_WORDS = re.compile(r"[a-z]+|[0-9]+[a-z]*|,")
_CONTRACTED = re.compile(r"n't\b|\b(do|does|did|is|are|was)nt\b")
_SYMBOLS = {"So", "Sk", "Sm"}  # unicodedata's categories of emoji and pictographs
_ENDINGS = (
    ("ies", "y"), ("es", ""), ("s", ""), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"), ("y", ""), ("ly", ""),
)  # fmt: skip


def split_words(prompt: str) -> list[str]:
    """Lower-case ASCII words and commas; emoji become their Unicode names, other scripts fall away."""
    named = "".join(_spell(character) for character in prompt[:MAX_CHARACTERS]).replace("ß", "ss")
    plain = unicodedata.normalize("NFKD", named.replace("’", "'")).encode("ascii", "ignore").decode().lower()
    plain = _CONTRACTED.sub(r"\1 not", plain).replace("'s", "").replace("'", "")
    return _WORDS.findall(re.sub(r"[.;:!?|()\[\]\n]+", ",", plain))


def _spell(character: str) -> str:
    if character.isascii() or unicodedata.category(character) not in _SYMBOLS:
        return character
    return f" {unicodedata.name(character, '')} "


def pad(rows: list[list[int]]) -> torch.Tensor:
    """Rows of ids as one tensor (B, longest, at least 1), padded with PADDING."""
    ids = torch.full((len(rows), max([1, *map(len, rows)])), PADDING)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return ids


class Vocabulary:
    """Words to rows of the vector table; row 0 is padding. `##` entries are the tails of unknown words.

    An unknown word falls back, in this order, to its stem, to the nearest spelling among `domain` (the words scenes are
    said with), to two known words it is made of, to its longest known pieces. `foreign` words mean nothing, whatever
    they look like here.
    """

    def __init__(
        self, entries: Iterable[str], domain: Iterable[str] = (), foreign: frozenset[str] = frozenset()
    ) -> None:
        self.entries = tuple(entries)
        self.domain = tuple(domain)
        self.foreign = foreign
        self._rows = {word: row for row, word in enumerate(self.entries)}
        self._fallback = lru_cache(4096)(partial(Vocabulary._unknown, proxy(self)))

    def __len__(self) -> int:
        return len(self.entries)

    def ids(self, prompt: str) -> list[int]:
        """Row numbers of a prompt's words, MAX_WORDS at most; empty where nothing is known."""
        ids: list[int] = []
        for word in split_words(prompt):
            if word in self.foreign:
                continue
            row = self._rows.get(word)
            ids.extend([row] if row is not None else self._fallback(word))
            if len(ids) >= MAX_WORDS:
                break
        return ids[:MAX_WORDS]

    def row(self, word: str) -> int | None:
        """The row of a word or its stem, None where the table has neither."""
        row = self._rows.get(word)
        return next(iter(self._stem(word)), None) if row is None else row

    def batch(self, prompts: list[str]) -> torch.Tensor:
        """Ids (B, longest), padded with PADDING."""
        return pad([self.ids(prompt) for prompt in prompts])

    def _unknown(self, word: str) -> tuple[int, ...]:
        return self._stem(word) or self._misspelt(word) or self._compound(word) or self._pieces(word[:40])

    def _stem(self, word: str) -> tuple[int, ...]:
        for ending, replacement in _ENDINGS:
            row = self._rows.get(word[: -len(ending)] + replacement) if word.endswith(ending) else None
            if row is not None and len(word) - len(ending) >= 3:
                return (row,)
        return ()

    def _misspelt(self, word: str) -> tuple[int, ...]:
        near = difflib.get_close_matches(word, self.domain, n=1, cutoff=0.86) if 5 <= len(word) <= 20 else []
        return (self._rows[near[0]],) if near else ()

    def _compound(self, word: str) -> tuple[int, ...]:
        for cut in range(len(word) - 3, 2, -1):
            first, second = self._rows.get(word[:cut]), self._rows.get(word[cut:])
            if first is not None and second is not None:
                return first, second
        return ()

    def _pieces(self, word: str) -> tuple[int, ...]:
        rows: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = (end for end in range(len(word), start + 1, -1) if prefix + word[start:end] in self._rows)
            end = next(ends, None)
            if end is not None:
                rows.append(self._rows[prefix + word[start:end]])
            start = end or start + 1
        return tuple(rows)


class Reading(NamedTuple):
    """What the network read: logits of no place and PLACES (B, 29), of presence (B, 14 + 1: conditions, then tint), raw
    strengths (B, 14), tint (B, 3), and the joint embedding (B, JOINT_SIZE) of unit length."""

    places: torch.Tensor
    presence: torch.Tensor
    strengths: torch.Tensor
    tint: torch.Tensor
    joint: torch.Tensor


class _Block(nn.Module):
    """Pre-norm convolution over five neighbouring words, attention over all, and a feed-forward layer."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.near_norm, self.far_norm, self.mix_norm = (nn.LayerNorm(width) for _ in range(3))
        self.near = nn.Linear(5 * width, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """x (B, L, width), known (B, L) bool."""
        words = F.pad(self.near_norm(x) * known[..., None], (0, 0, 2, 2))
        near = torch.cat([words[:, i : i + x.shape[1]] for i in range(5)], dim=-1)
        x = x + F.gelu(self.near(near))
        q, k, v = self.qkv(self.far_norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        far = F.scaled_dot_product_attention(q, k, v, attn_mask=known[:, None, None])
        x = x + self.out(far.transpose(1, 2).flatten(2))
        return x + self.mix(self.mix_norm(x))


class TextNet(nn.Module):
    """Word ids to a `Reading`. `table` (rows, JOINT_SIZE) int8 times `scale` (rows,) are the word vectors.

    The joint embedding is an attention-weighted mean of word vectors, which generalises to any word of the table,
    plus a correction that has read the whole phrase.
    """

    table: torch.Tensor
    scale: torch.Tensor

    def __init__(self, rows: int, width: int = 96, depth: int = 2) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(rows, JOINT_SIZE, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(rows))
        self.enter = nn.Linear(JOINT_SIZE, width)
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.slots = nn.Parameter(torch.randn(3 + len(CONDITIONS), width) * 0.1)
        self.place = nn.Linear(width, 1 + len(PLACES))
        self.condition = nn.Linear(width, 2)
        self.tint = nn.Linear(width, 1 + len(TINT))
        self.importance = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, 1))
        self.correction = nn.Linear(width, JOINT_SIZE)

    def vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """Word vectors (..., JOINT_SIZE) of ids."""
        return self.table[ids].to(self.scale.dtype) * self.scale[ids][..., None]

    def forward(self, ids: torch.Tensor, noise: float = 0.0) -> Reading:
        """ids (B, L) padded with PADDING; `noise` jitters the vectors in training, so that near words read alike."""
        known = ids != PADDING
        vectors = self.vectors(ids)
        if noise:
            vectors = (
                vectors + noise * torch.randn_like(vectors) * vectors.norm(dim=-1, keepdim=True) * JOINT_SIZE**-0.5
            )
        x = torch.cat([self.start.expand(len(ids), 1, -1), self.enter(vectors)], dim=1)
        attended = F.pad(known, (1, 0), value=True)
        for block in self.blocks:
            x = block(x, attended)
        x = self.norm(x)
        slots = self._read(x, attended)
        joint = self._joint(vectors, x[:, 1:], known, slots[:, 1])
        presence, strengths = self.condition(slots[:, 3:]).unbind(-1)
        tint = self.tint(slots[:, 2])
        return Reading(
            self.place(slots[:, 0]), torch.cat([presence, tint[:, :1]], dim=1), strengths, tint[:, 1:], joint
        )

    def _read(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """One learned query per slot: place, joint, tint, then each condition."""
        scores = torch.einsum("sd,bld->bsl", self.slots, x).masked_fill(~known[:, None], -torch.inf)
        return scores.softmax(-1) @ x + self.slots

    def _joint(self, vectors: torch.Tensor, x: torch.Tensor, known: torch.Tensor, slot: torch.Tensor) -> torch.Tensor:
        weight = self.importance(x).exp() * known[..., None]
        mean = (weight * vectors).sum(1) / (weight.sum(1) + 1e-6)
        return F.normalize(mean + self.correction(slot), dim=-1)


def scenes_of(reading: Reading) -> torch.Tensor:
    """Scenes (B, SCENE_SIZE), snapped: what is not meant is exactly 0, a place that is meant has weight 1 in all."""
    scenes = reading.places.new_zeros(len(reading.places), SCENE_SIZE)
    chance = reading.places.softmax(-1)
    kept = torch.where(chance[:, 1:] >= 0.15, chance[:, 1:], 0.0)
    total = kept.sum(-1, keepdim=True)
    full = torch.where(total >= 0.75, total, 1.0)
    scenes[:, PLACE] = torch.where(total >= 0.4, kept / full, 0.0)
    present = reading.presence.sigmoid() >= 0.5
    scenes[:, CONDITION] = torch.where(present[:, :-1], reading.strengths.clamp(0.2, 1.2), 0.0)
    coloured = present[:, -1:] & (reading.tint.abs().amax(-1, keepdim=True) >= 0.3)
    scenes[:, TINTS] = torch.where(coloured, reading.tint.clamp(-1.0, 1.0), 0.0)
    return scenes


class PocketText:
    """The `TextSpace` of `pocket`, on the CPU; answers are remembered per prompt. It goes with its last reference."""

    def __init__(self, net: TextNet, vocabulary: Vocabulary) -> None:
        self.net, self.vocabulary = net.eval().requires_grad_(False), vocabulary
        self._one = lru_cache(1024)(partial(_read_one, self.net, vocabulary))
        self._unknown = UnknownWords(proxy(self))

    @classmethod
    def load(cls, folder: Path) -> PocketText:
        """Read text.safetensors and text.json; raises `ModelError` when they are damaged or do not fit."""
        tensors, record = weights.load(folder, "text")
        try:
            entries, domain = ["", *record["vocabulary"].split()], record["domain"].split()
        except (KeyError, AttributeError) as error:
            raise ModelError(f"{folder / 'text.json'}: no {error}; expected the record of a text space") from error
        vocabulary = Vocabulary(entries, domain, foreign_words())
        net = TextNet(len(vocabulary))
        floats = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
        weights.load_into(net, floats, str(folder / "text.safetensors"))
        return cls(net, vocabulary)

    def save(self, folder: Path, record: weights.Record) -> None:
        """Write text.safetensors (floats as fp16) and text.json, which carries the vocabulary."""
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in self.net.state_dict().items()}
        vocabulary = {"vocabulary": " ".join(self.vocabulary.entries[1:]), "domain": " ".join(self.vocabulary.domain)}
        weights.save(folder, "text", tensors, {**record, **vocabulary})

    def encode(self, prompts: list[str]) -> TextEmbedding:
        """Prompts to conditioning (B, TOKENS, TOKEN_SIZE) and joint (B, JOINT_SIZE); never fails on text."""
        return TextEmbedding(to_tokens(self.scenes(prompts)), self.joint(prompts))

    def scenes(self, prompts: list[str]) -> torch.Tensor:
        """The scenes meant (B, SCENE_SIZE): weights and strengths >= 0; nothing known reads as the empty scene."""
        return torch.stack([self._one(prompt)[0] for prompt in prompts]) if prompts else torch.zeros(0, SCENE_SIZE)

    def joint(self, prompts: list[str]) -> torch.Tensor:
        """Unit vectors (B, JOINT_SIZE) to compare with each other and with sounds."""
        return torch.stack([self._one(prompt)[1] for prompt in prompts]) if prompts else torch.zeros(0, JOINT_SIZE)

    def unknown(self, prompt: str) -> tuple[UnknownWord, ...]:
        """The content words of a prompt that mean nothing to the picture; see `UnknownWords`."""
        return self._unknown.find(prompt)

    def split(self, prompt: str) -> list[str]:
        """The words of a prompt that are read, commas among them."""
        return split_words(prompt)[:MAX_WORDS]

    @torch.no_grad()
    def read(self, prompts: list[str]) -> torch.Tensor:
        """Scenes (B, SCENE_SIZE) of many prompts in one go, remembering none; B > 0."""
        ids = self.vocabulary.batch(prompts)
        return scenes_of(self.net(ids)) * (ids != PADDING).any(1, keepdim=True)

    def vector(self, word: str) -> torch.Tensor | None:
        """The vector (JOINT_SIZE,) of a word or its stem, None where the table has neither."""
        row = self.vocabulary.row(word)
        return None if row is None else self.net.vectors(torch.tensor(row))


@torch.no_grad()
def _read_one(net: TextNet, vocabulary: Vocabulary, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
    ids = vocabulary.batch([prompt])
    reading = net(ids)
    empty = not bool((ids != PADDING).any())
    return torch.zeros(SCENE_SIZE) if empty else scenes_of(reading)[0], reading.joint[0]
