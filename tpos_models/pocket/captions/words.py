"""The words a scene can be said with, from the TOML files beside this one: what the caption templates draw from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tpos_models.errors import ModelError
from tpos_models.pocket.scene import CONDITIONS, PLACES
from tpos_models.toml_data import check_names, read_toml

LIGHT, PLAIN, HEAVY = 0.35, 0.8, 1.1
"""Strengths of "light rain", "rain" and "heavy rain"."""
FOLDER = Path(__file__).parent

Strengths = dict[str, float]
Push = tuple[float, float, float]
"""What a colour word does to red, green and blue, -1..1."""


class PlaceWord(NamedTuple):
    """What a place is called, and the conditions the word shows as well."""

    text: str
    conditions: Strengths


class Forms(NamedTuple):
    """How one condition is said: nouns ("with {}"), adjectives ("{} beach") and phrases ("in the rain")."""

    nouns: Strengths
    adjectives: Strengths
    phrases: Strengths


class Implied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The places and the conditions that one word means together."""

    places: Strengths
    conditions: Strengths


class Tint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Colour words that mean the same."""

    words: list[str]
    push: Push


class Graded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that make what follows weaker or stronger."""

    light_words: list[str]
    heavy_words: list[str]
    light_adverbs: list[str]
    heavy_adverbs: list[str]


class Others(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands beside a scene and leaves it as it is."""

    styles: list[str]
    leads: list[str]
    subjects: list[str]
    unrelated: list[str]


class Phrases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """phrases.toml."""

    events: dict[str, Strengths]
    implied: dict[str, Implied]
    tints: list[Tint]
    strengths: Graded
    others: Others


def load_places(path: Path = FOLDER / "places.toml") -> dict[str, list[PlaceWord]]:
    """What each place is called; raises `ModelError`."""
    found = read_toml(path, dict[str, list[str]])
    check_names(path, found.keys(), PLACES, all_of_them=True)
    places = {name: [_place_word(path, text) for text in texts] for name, texts in found.items()}
    check_names(path, {name for words in places.values() for word in words for name in word.conditions}, CONDITIONS)
    return places


def load_conditions(path: Path = FOLDER / "conditions.toml") -> dict[str, Forms]:
    """How each condition is said; raises `ModelError`."""
    found = read_toml(path, dict[str, dict[str, list[str]]])
    check_names(path, found.keys(), CONDITIONS, all_of_them=True)
    for forms in found.values():
        check_names(path, forms.keys(), Forms._fields, all_of_them=True)
    return {
        name: Forms(**{form: dict(_strength(path, text) for text in texts) for form, texts in forms.items()})
        for name, forms in found.items()
    }


def load_phrases(path: Path = FOLDER / "phrases.toml") -> Phrases:
    """Everything else that is said; raises `ModelError`."""
    found = read_toml(path, Phrases)
    implied = found.implied.values()
    said = [*found.events.values(), *(one.conditions for one in implied)]
    check_names(path, {name for strengths in said for name in strengths}, CONDITIONS)
    check_names(path, {name for one in implied for name in one.places}, PLACES)
    return found


def _place_word(path: Path, text: str) -> PlaceWord:
    word, _, shown = text.partition("+")
    condition, _, strength = shown.partition(":")
    return PlaceWord(word, {condition: _number(path, strength)} if shown else {})


def _strength(path: Path, text: str) -> tuple[str, float]:
    word, _, strength = text.partition("=")
    return word, _number(path, strength) if strength else PLAIN


def _own_colours(texts: Iterable[str]) -> frozenset[str]:
    """The colours with which some of these begin."""
    return frozenset(text.split()[0] for text in texts) & TINT_WORDS.keys()


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ModelError(f"{path}: {text!r} is no strength; a number such as 0.6 would be accepted") from error


PLACE_WORDS = load_places()
CONDITION_WORDS = load_conditions()
PHRASES = load_phrases()
TINT_WORDS: dict[str, Push] = {word: tint.push for tint in PHRASES.tints for word in tint.words}
OWN_COLOURS = {
    **{name: _own_colours(word.text for word in known) for name, known in PLACE_WORDS.items()},
    **{name: _own_colours(forms.nouns) for name, forms in CONDITION_WORDS.items()},
}
"""Colours that places and conditions have in words of their own, which tint nothing: blue ice, a green field."""
