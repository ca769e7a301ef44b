"""Words of a prompt that mean nothing to the picture, and the nearest thing that can be drawn."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

import msgspec
import torch
from torch.nn import functional as F

from tpos_models.contracts import UnknownWord
from tpos_models.pocket.captions import words
from tpos_models.pocket.captions.captions import TEMPLATES
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES
from tpos_models.toml_data import check_names, read_toml

FILE = Path(__file__).with_name("hints.toml")
NEIGHBOURS = 6
"""So many of the nearest words say together what is near."""
SHARPNESS = 4
"""Power of a likeness in that vote: what is twice as near counts 16 times."""
LEAST_LIKENESS = 0.25
"""Cosine to the nearest word below which nothing is near."""
COLOUR_LIKENESS = 0.6
"""Cosine from which on a word is as good as a colour's."""
SPELLING = 0.6
"""difflib's ratio below which two words do not look alike."""
SHOWN = 0.2
"""Weight or strength from which on a thing can be seen."""


class Reader(Protocol):
    """What is asked of a text space."""

    def split(self, prompt: str) -> list[str]:
        """The words it reads, commas among them."""
        ...

    def read(self, prompts: list[str]) -> torch.Tensor:
        """Scenes (B, SCENE_SIZE), in one go."""
        ...

    def vector(self, word: str) -> torch.Tensor | None:
        """The word vector of a word or its stem, None where the table has neither."""
        ...


class Hints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """hints.toml."""

    function_words: dict[str, list[str]]
    descriptions: list[str]
    translations: dict[str, list[str]]


@cache
def load_hints(path: Path = FILE) -> Hints:
    """Read and check hints.toml; raises `ModelError`."""
    hints = read_toml(path, Hints)
    check_names(path, hints.translations.keys(), (*PLACES, *CONDITIONS))
    return hints


def foreign_words() -> frozenset[str]:
    """Single words of hints.toml's translations: a guess from their letters would be a wrong one."""
    return frozenset(word for known in load_hints().translations.values() for word in known if " " not in word)


class UnknownWords:
    """Finds them for one text space. Nothing is read or computed before the first prompt."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def find(self, prompt: str) -> tuple[UnknownWord, ...]:
        """The content words that the scene does not depend on, and those of other languages, each once, in their
        order."""
        split = self._reader.split(prompt)
        foreign = self._foreign_in(split)
        silent = self._silent(split, foreign)
        return tuple(
            UnknownWord(word, foreign.get(word) or self.nearest(word))
            for word in dict.fromkeys(split)
            if word in foreign or word in silent
        )

    def _foreign_in(self, split: list[str]) -> dict[str, str]:
        """Translated words, and the last ones of translated phrases ("am see"), with their translations."""
        text = f" {' '.join(split)} "
        return {phrase.split()[-1]: name for phrase, name in self._translated.items() if f" {phrase} " in text}

    def _silent(self, split: list[str], foreign: Container[str]) -> list[str]:
        """Words that may name something, alone show nothing, and without which the scene is the same."""
        understood = self._ordinary | self._in_phrases(split)
        words_of_it = (word for word in dict.fromkeys(split) if word not in foreign)
        doubtful = [word for word in words_of_it if is_thing(word) and word not in understood]
        if not doubtful:
            return []
        without = [" ".join(word for word in split if word != one) for one in doubtful]
        whole, *scenes = (seen(scene) for scene in self._reader.read([" ".join(split), *without, *doubtful]))
        rests, alone = scenes[: len(doubtful)], scenes[len(doubtful) :]
        return [word for word, rest, own in zip(doubtful, rests, alone, strict=True) if rest == whole and not own]

    def nearest(self, word: str) -> str:
        """A place, a condition or a colour: by word vectors or by spelling; "" where none is near."""
        vector = self._reader.vector(word)
        if vector is not None:
            return self._by_vector(F.normalize(vector, dim=0))
        alike = difflib.get_close_matches(word, self._drawable_words, n=1, cutoff=SPELLING)
        return self._drawable_words[alike[0]] if alike else ""

    def _by_vector(self, vector: torch.Tensor) -> str:
        names, scenes, vectors = self._neighbours
        colours, colour_vectors = self._colours
        likeness = colour_vectors @ vector
        if float(likeness.max()) >= COLOUR_LIKENESS:
            return colours[int(likeness.argmax())]
        near = (vectors @ vector).topk(NEIGHBOURS)
        votes = (near.values.clamp_min(0.0)[:, None] ** SHARPNESS * scenes[near.indices]).sum(0)
        return names[int(votes.argmax())] if float(near.values[0]) >= LEAST_LIKENESS else ""

    def _in_phrases(self, split: list[str]) -> set[str]:
        """Words that stand in one of the vocabulary's own phrases here."""
        text = f" {' '.join(split)} "
        return {word for phrase in self._phrases if f" {phrase} " in text for word in phrase.split()}

    @cached_property
    def _phrases(self) -> list[str]:
        return [" ".join(self._reader.split(phrase)) for phrase in _vocabulary()]

    @cached_property
    def _ordinary(self) -> set[str]:
        """Function words, descriptions, what captions are put together with (strength, style, colours), and every word
        that scenes are said with, unless it is also a subject that no picture shows."""
        others, graded = words.PHRASES.others, words.PHRASES.strengths
        grammar = [getattr(TEMPLATES, name) for name in TEMPLATES.__struct_fields__ if name not in ("unseen", "bare")]
        graded_words = (graded.light_words, graded.heavy_words, graded.light_adverbs, graded.heavy_adverbs)
        texts = (text for part in (*grammar, *graded_words, others.styles, others.leads) for text in part)
        bare = (word for known in TEMPLATES.bare.values() for word in known)
        known = self._words_of((*texts, *words.TINT_WORDS, *bare))
        nothing = self._words_of((*others.subjects, *others.unrelated, *TEMPLATES.unseen))
        return known.union(
            self._words_of(self._phrases) - nothing, self._hints.descriptions, *self._hints.function_words.values()
        )

    def _words_of(self, texts: Iterable[str]) -> set[str]:
        return {word for text in texts for word in self._reader.split(text)}

    @cached_property
    def _hints(self) -> Hints:
        return load_hints()

    @cached_property
    def _translated(self) -> dict[str, str]:
        return {word: spoken(name) for name, known in self._hints.translations.items() for word in known}

    @cached_property
    def _neighbours(self) -> tuple[list[str], torch.Tensor, torch.Tensor]:
        """Names of places and conditions; scenes (n, 32) and unit vectors (n, size) of words that show some."""
        single = sorted({word for phrase in self._phrases for word in phrase.split() if word.isalpha()})
        known = [(word, vector) for word in single if (vector := self._reader.vector(word)) is not None]
        scenes = self._reader.read([word for word, _ in known])[:, PLACE.start : CONDITION.stop]
        shown = (scenes >= SHOWN).any(1)
        vectors = F.normalize(torch.stack([vector for _, vector in known]), dim=-1)
        return [spoken(name) for name in (*PLACES, *CONDITIONS)], scenes[shown], vectors[shown]

    @cached_property
    def _colours(self) -> tuple[list[str], torch.Tensor]:
        found = [(word, self._reader.vector(word)) for word in words.TINT_WORDS if " " not in word]
        known = [(word, vector) for word, vector in found if vector is not None]
        return [word for word, _ in known], F.normalize(torch.stack([vector for _, vector in known]), dim=-1)

    @cached_property
    def _drawable_words(self) -> dict[str, str]:
        """Words by what they are spelt like: names and their own plainest synonyms, colours."""
        said = {name: [word.text for word in known] for name, known in words.PLACE_WORDS.items()}
        said |= {name: list(forms.nouns) for name, forms in words.CONDITION_WORDS.items()}
        found = {word: spoken(name) for name, known in said.items() for word in known if " " not in word}
        return {**found, **{word: word for word in words.TINT_WORDS}}


def _vocabulary() -> Iterable[str]:
    """Every phrase that a scene can be said with."""
    yield from (word.text for known in words.PLACE_WORDS.values() for word in known)
    yield from (phrase for forms in words.CONDITION_WORDS.values() for part in forms for phrase in part)
    yield from (*words.PHRASES.events, *words.PHRASES.implied)


def is_thing(word: str) -> bool:
    """Whether a word may name something, and is no number, letter, adverb or participle (slowly, glowing, endless)."""
    adverb = len(word) > 4 and word.endswith(("ly", "less"))
    participle = len(word) > 5 and word.endswith(("ing", "ed"))
    return word.isalpha() and len(word) > 2 and not adverb and not participle


def seen(scene: torch.Tensor) -> frozenset[int]:
    """Which entries of a scene can be seen."""
    return frozenset(torch.nonzero(scene.abs() >= SHOWN).flatten().tolist())


def spoken(name: str) -> str:
    """A name of PLACES or CONDITIONS as one would say it."""
    return name.replace("_", " ")
