"""Captions by templates: endless pairs of an English prompt and the scene it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import msgspec
import torch

from tpos_models.pocket.captions import words
from tpos_models.pocket.captions.words import Strengths
from tpos_models.pocket.scene import CONDITIONS, PLACES, SCENE_SIZE, scene
from tpos_models.toml_data import read_toml


class Templates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """templates.toml: how captions put words together, {} or {0}, {1}, {2} standing for them."""

    negations: list[str]
    lists: list[str]
    contrasts: list[str]
    place_contrasts: list[str]
    unseen: list[str]
    tints: list[str]
    shades: list[str]
    joints: list[str]
    links: list[str]
    after: list[str]
    articles: list[str]
    doings: list[str]
    where: list[str]
    copulas: list[str]
    bare: dict[str, list[str]]


TEMPLATES = read_toml(words.FOLDER / "templates.toml", Templates)
EVENTS, IMPLIED = words.PHRASES.events, words.PHRASES.implied
OTHERS, GRADED = words.PHRASES.others, words.PHRASES.strengths
COLOURED_PLACES, COLOURED_CONDITIONS = 0.15, 0.06
"""Chances of a colour in front."""


@dataclass
class Meaning:
    """The scene a caption has collected so far; owned by one call of `caption`."""

    places: Strengths = field(default_factory=dict)
    conditions: Strengths = field(default_factory=dict)
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def add(self, places: Strengths, conditions: Strengths) -> None:
        """Take in what one phrase says; the stronger of two mentions stays."""
        for name, weight in places.items():
            self.places[name] = max(weight, self.places.get(name, 0.0))
        for name, strength in conditions.items():
            self.conditions[name] = max(strength, self.conditions.get(name, 0.0))

    def scene(self) -> torch.Tensor:
        """The scene vector; place weights sum to one at most."""
        total = max(1.0, sum(self.places.values()))
        return scene({name: weight / total for name, weight in self.places.items()}, self.conditions, self.tint)


def sample_captions(n: int, generator: torch.Generator) -> tuple[list[str], torch.Tensor]:
    """Draw `n` captions and their scenes (n, SCENE_SIZE): place weights sum to 0..1, strengths 0..1.1, tint -1..1."""
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    rng = Random(seed)
    pairs = [caption(rng) for _ in range(n)]
    scenes = torch.stack([s for _, s in pairs]) if pairs else torch.zeros(0, SCENE_SIZE)
    return [text for text, _ in pairs], scenes


def caption(rng: Random) -> tuple[str, torch.Tensor]:
    """One caption and its scene (SCENE_SIZE,)."""
    kind, meaning = rng.random(), Meaning()
    if kind < 0.06:
        return _unrelated(rng), torch.zeros(SCENE_SIZE)
    if kind < 0.09:
        return _join(rng, [_tint(rng, meaning)]), meaning.scene()
    names = rng.sample(CONDITIONS, rng.choices((0, 1, 2, 3), (22, 43, 25, 10))[0])
    place = _place(rng, meaning)
    parts = [_decorate(rng, meaning, place, names)]
    if rng.random() < 0.25:
        parts.insert(rng.choice((0, len(parts))), _negation(rng, meaning))
    if rng.random() < 0.14 and not any(meaning.tint):
        parts.append(_tint(rng, meaning))
    if rng.random() < 0.35:
        parts += rng.sample(OTHERS.styles, rng.choice((1, 1, 2, 3)))
    if rng.random() < 0.08:
        parts.append(_unrelated(rng))
    return _join(rng, parts), meaning.scene()


def _unrelated(rng: Random) -> str:
    text = rng.choice((*OTHERS.unrelated, *OTHERS.subjects))
    return f"{text}, {rng.choice(OTHERS.styles)}" if rng.random() < 0.3 else text


def _join(rng: Random, parts: list[str]) -> str:
    text = rng.choice((", ", ", ", " ", ". ", " - ")).join(part for part in parts if part)
    if rng.random() < 0.2:
        text = f"{rng.choice(OTHERS.leads)} {text}"
    return " ".join(text.split())


def _place(rng: Random, meaning: Meaning) -> str:
    """A place as a noun phrase, two places, a place with its weather, or nothing."""
    kind = rng.random()
    if kind < 0.2:
        return ""
    if kind < 0.32:
        phrase = rng.choice(list(IMPLIED))
        _imply(meaning, phrase)
        return _coloured(rng, meaning, phrase, COLOURED_PLACES)
    first, second = rng.sample(PLACES, 2)
    phrase = _place_word(rng, meaning, first, 1.0)
    if kind < 0.9:
        return phrase
    if rng.random() < 0.2:
        return rng.choice(TEMPLATES.place_contrasts).format(rng.choice(words.PLACE_WORDS[second]).text, phrase)
    return rng.choice(TEMPLATES.joints).format(phrase, _place_word(rng, meaning, second, 0.6))


def _imply(meaning: Meaning, phrase: str) -> None:
    implied = IMPLIED[phrase]
    meaning.add(implied.places, implied.conditions)


def _place_word(rng: Random, meaning: Meaning, name: str, weight: float) -> str:
    """One synonym; the place's own name and its first synonyms come more often."""
    choices = words.PLACE_WORDS[name]
    index = min(int(rng.expovariate(3.0 / len(choices))), len(choices) - 1) if rng.random() < 0.5 else None
    word = rng.choice(choices) if index is None else choices[index]
    meaning.add({name: weight}, word.conditions)
    return _coloured(rng, meaning, word.text, COLOURED_PLACES, words.OWN_COLOURS[name])


def _coloured(
    rng: Random, meaning: Meaning, text: str, chance: float, own: frozenset[str] = frozenset(), link: str = " "
) -> str:
    """A word, at times with a colour in front that is not among its own; a scene has one tint."""
    word = _colour(rng)
    if rng.random() >= chance or any(meaning.tint) or word in own or text.split()[0] in own:
        return text
    meaning.tint = words.TINT_WORDS[word]
    return f"{_shade(rng)}{word}{link}{text}"


def _colour(rng: Random) -> str:
    """A colour word; plain ones ("red") come more often."""
    known = rng.choice(words.PHRASES.tints).words
    return known[0] if rng.random() < 0.4 else rng.choice(known)


def _shade(rng: Random) -> str:
    return f"{rng.choice(TEMPLATES.shades)} " if rng.random() < 0.2 else ""


def _decorate(rng: Random, meaning: Meaning, place: str, names: list[str]) -> str:
    """The place with its weather around it, in one of many word orders."""
    nouns = [_noun(rng, meaning, name) for name in names[1:]]
    if rng.random() < 0.14:
        nouns.append(_event(rng, meaning))
    if not names and not nouns:
        return _with_subject(rng, place)
    if rng.random() < 0.12:
        keywords = [place, *nouns, *(_noun(rng, meaning, name) for name in names[:1])]
        rng.shuffle(keywords)
        return rng.choice((", ", " ", " + ", ", ")).join(k for k in keywords if k)
    phrase = _around(rng, meaning, place, names[0]) if names else place
    return _attach(rng, phrase, nouns)


def _attach(rng: Random, phrase: str, nouns: list[str]) -> str:
    """Nouns after or before a phrase: "... with rain and fog", "rain and fog over ..."."""
    if not nouns:
        return phrase
    listing = rng.choice((" and ", ", ", " & ", " plus ", " with ", " or ")).join(nouns)
    if len(nouns) > 2 and rng.random() < 0.4:
        listing = f"{', '.join(nouns[:-1])} {rng.choice(('and', 'or'))} {nouns[-1]}"
    if not phrase:
        return listing
    if rng.random() < 0.35:
        return f"{listing} {rng.choice((*TEMPLATES.links, ',', ',', 'and'))} {phrase}"
    return f"{phrase} {rng.choice(TEMPLATES.after)} {listing}"


def _around(rng: Random, meaning: Meaning, place: str, name: str) -> str:
    """A place (may be empty) under one condition, said as noun, adjective or phrase."""
    forms = words.CONDITION_WORDS[name]
    subject = _with_subject(rng, place)
    kind = rng.random()
    if not place and kind < 0.2:
        return _adjective(rng, meaning, name)
    if kind < 0.4 or not place:
        noun = _noun(rng, meaning, name) if kind < 0.8 else _pick(rng, meaning, name, forms.phrases)
        return _attach(rng, subject, [noun])
    if kind < 0.7:
        adjective = _adjective(rng, meaning, name)
        return rng.choice(TEMPLATES.copulas).format(place, adjective) if rng.random() < 0.3 else f"{adjective} {place}"
    phrase = _pick(rng, meaning, name, forms.phrases)
    return f"{phrase}, {subject}" if rng.random() < 0.25 else f"{subject} {phrase}"


def _with_subject(rng: Random, place: str) -> str:
    if not place:
        return rng.choice(OTHERS.subjects) if rng.random() < 0.15 else ""
    place = f"{rng.choice(TEMPLATES.articles)} {place}"
    if rng.random() < 0.8:
        return place
    subject = rng.choice(OTHERS.subjects)
    if rng.random() < 0.3:
        return f"{place} with {subject}"
    return f"{subject} {rng.choice(TEMPLATES.doings)} {rng.choice(TEMPLATES.where)} {place}"


def _pick(rng: Random, meaning: Meaning, name: str, choices: Strengths) -> str:
    word = rng.choice(list(choices))
    meaning.add({}, {name: choices[word]})
    return word


def _noun(rng: Random, meaning: Meaning, name: str) -> str:
    """A condition as a noun, often with a word of strength."""
    nouns = words.CONDITION_WORDS[name].nouns
    plain = [word for word, strength in nouns.items() if strength == words.PLAIN]
    word = rng.choice(plain[:3]) if rng.random() < 0.3 else rng.choice(list(nouns))
    coloured = _coloured(rng, meaning, word, COLOURED_CONDITIONS, words.OWN_COLOURS[name])
    return _strengthen(rng, meaning, name, coloured, nouns[word], GRADED.light_words, GRADED.heavy_words)


def _adjective(rng: Random, meaning: Meaning, name: str, colour: float = COLOURED_CONDITIONS) -> str:
    adjectives = words.CONDITION_WORDS[name].adjectives
    word = rng.choice(list(adjectives))
    said = _strengthen(rng, meaning, name, word, adjectives[word], GRADED.light_adverbs, GRADED.heavy_adverbs)
    link = rng.choice((" ", " and "))
    return _coloured(rng, meaning, said, colour, link=link)


def _strengthen(
    rng: Random, meaning: Meaning, name: str, word: str, strength: float, light: list[str], heavy: list[str]
) -> str:
    kind = rng.random()
    if kind < 0.15:
        meaning.add({}, {name: min(strength, words.LIGHT)})
        return f"{rng.choice(light)} {word}"
    if kind < 0.32:
        meaning.add({}, {name: max(words.HEAVY if strength >= 0.6 else 1.4 * strength, strength)})
        return f"{rng.choice(heavy)} {word}"
    meaning.add({}, {name: strength})
    return word


def _event(rng: Random, meaning: Meaning) -> str:
    """A thunderstorm, a blizzard, a wildfire..."""
    if rng.random() < 0.3:
        phrase = rng.choice(list(IMPLIED))
        _imply(meaning, phrase)
        return phrase
    event = rng.choice(list(EVENTS))
    meaning.add({}, EVENTS[event])
    return event


def _negation(rng: Random, meaning: Meaning) -> str:
    """Something that is said to be absent; what is already there is never denied."""
    denied, other, third = rng.sample([name for name in CONDITIONS if name not in meaning.conditions], 3)
    kind = rng.random()
    if kind < 0.55:
        return rng.choice(TEMPLATES.negations).format(_deniable(rng, meaning, denied))
    if kind < 0.7:
        return rng.choice(TEMPLATES.lists).format(*(_deniable(rng, meaning, one) for one in (denied, other, third)))
    if kind < 0.76:
        return rng.choice(TEMPLATES.negations).format(rng.choice(TEMPLATES.unseen))
    if kind < 0.86 and denied in TEMPLATES.bare:
        return f"{rng.choice(TEMPLATES.bare[denied])}less"
    shown = _noun(rng, meaning, other) if rng.random() < 0.7 else _adjective(rng, meaning, other, colour=0.3)
    return rng.choice(TEMPLATES.contrasts).format(_deniable(rng, meaning, denied), shown)


def _deniable(rng: Random, meaning: Meaning, name: str) -> str:
    events = [event for event, strengths in EVENTS.items() if not strengths.keys() & meaning.conditions.keys()]
    if events and rng.random() < 0.12:
        return rng.choice(events)
    return rng.choice(list(words.CONDITION_WORDS[name].nouns))


def _tint(rng: Random, meaning: Meaning) -> str:
    word = _colour(rng)
    meaning.tint = words.TINT_WORDS[word]
    return rng.choice(TEMPLATES.tints).format(f"{_shade(rng)}{word}")
