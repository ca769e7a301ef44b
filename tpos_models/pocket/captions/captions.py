"""Captions by templates: endless pairs of an English prompt and the scene it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import torch

from tpos_models.pocket.captions import words
from tpos_models.pocket.captions.words import Strengths
from tpos_models.pocket.scene import CONDITIONS, PLACES, SCENE_SIZE, scene


def _split(text: str) -> tuple[str, ...]:
    return tuple(" ".join(item.split()) for item in text.split("|"))


NEGATIONS = _split("""no {} | without {} | without any {} | not a trace of {} | no {} at all | free of {} | with no {} |
    but no {} | but without {} | not {} | there is no {} | never {} | no more {} | {} is over |
    {} has stopped | minus {}""")
DOUBLE_NEGATIONS = _split("neither {} nor {} | no {} and no {} | no {} or {} | without {} or {} | no {}, no {}")
CONTRASTS = _split("""not {0} but {1} | {1} instead of {0} | {1}, not {0} | {1} without {0} | no {0}, just {1} |
    no {0}, only {1} | {1} but no {0} | after the {0}, {1} | the {0} is over, {1}""")
PLACE_CONTRASTS = _split("not {} but {} | no {}, {} | {1} instead of {0} | {1}, not {0}")
BARE = {
    "rain": "rain",
    "snow": "snow",
    "fog": "cloud",
    "wind": "wind",
    "waves": "wave",
    "night": "moon",
    "fire": "flame",
}
UNSEEN = _split("people | cars | text | humans | animals | watermark | buildings | logo | words | faces")
TINTS = _split("""in {} light | in {} | {} tones | bathed in {} | {} lighting | {} colors | all in {} | with {} light |
    {} tint | {} everywhere | under {} light | tinted {} | {} palette | made of {} light""")
JOINTS = _split("""{} and {} | {} with {} | {} by the {} | {} near a {} | {} in front of {} | {} at the edge of the {} |
    {} turning into {} | {}, {} | {} beside {} | {} behind the {} | {} meets {} | {} in the {} | {} above the {}""")
LINKS = _split(
    "over the | over | on the | in the | at the | in a | above the | across the | near the | in front of | hits the"
)
AFTER = _split("with | and | , | in | under | during | full of | during a | plus")
ARTICLES = _split("|| a | the | an empty | some | my | a beautiful | a big | the old | a lonely | wide")
DOINGS = _split("|| standing | walking | alone | dancing | lost | waiting | running | sleeping | playing")
WHERE = _split("in | on | at | near | by | inside | over | in front of")
COPULAS = _split("{} where it is {} | {} that is {} | the {} is {} | {} looking {} | {}, {} | {} getting {}")


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
    if rng.random() < 0.06:
        return _unrelated(rng), torch.zeros(SCENE_SIZE)
    meaning = Meaning()
    names = rng.sample(CONDITIONS, rng.choices((0, 1, 2, 3), (22, 43, 25, 10))[0])
    place = _place(rng, meaning)
    parts = [_decorate(rng, meaning, place, names)]
    if rng.random() < 0.25:
        parts.insert(rng.choice((0, len(parts))), _negation(rng, meaning))
    if rng.random() < 0.14:
        parts.append(_tint(rng, meaning))
    if rng.random() < 0.35:
        parts += rng.sample(words.STYLES, rng.choice((1, 1, 2, 3)))
    if rng.random() < 0.08:
        parts.append(_unrelated(rng))
    return _join(rng, parts), meaning.scene()


def _unrelated(rng: Random) -> str:
    text = rng.choice((*words.UNRELATED, *words.SUBJECTS))
    return f"{text}, {rng.choice(words.STYLES)}" if rng.random() < 0.3 else text


def _join(rng: Random, parts: list[str]) -> str:
    text = rng.choice((", ", ", ", " ", ". ", " - ")).join(part for part in parts if part)
    if rng.random() < 0.2:
        text = f"{rng.choice(words.LEADS)} {text}"
    return " ".join(text.split())


def _place(rng: Random, meaning: Meaning) -> str:
    """A place as a noun phrase, two places, a place with its weather, or nothing."""
    kind = rng.random()
    if kind < 0.2:
        return ""
    if kind < 0.32:
        phrase = rng.choice(list(words.IMPLIED))
        meaning.add(*words.IMPLIED[phrase])
        return phrase
    first, second = rng.sample(PLACES, 2)
    phrase = _place_word(rng, meaning, first, 1.0)
    if kind < 0.9:
        return phrase
    if rng.random() < 0.2:
        return rng.choice(PLACE_CONTRASTS).format(rng.choice(words.PLACE_WORDS[second]).partition("+")[0], phrase)
    return rng.choice(JOINTS).format(phrase, _place_word(rng, meaning, second, 0.6))


def _place_word(rng: Random, meaning: Meaning, name: str, weight: float) -> str:
    """One synonym; the place's own name and its first synonyms come more often."""
    choices = words.PLACE_WORDS[name]
    index = min(int(rng.expovariate(3.0 / len(choices))), len(choices) - 1) if rng.random() < 0.5 else None
    word, _, implied = (rng.choice(choices) if index is None else choices[index]).partition("+")
    condition, _, strength = implied.partition(":")
    meaning.add({name: weight}, {condition: float(strength)} if implied else {})
    return word


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
    listing = rng.choice((" and ", ", ", " & ", " plus ", " with ")).join(nouns)
    if not phrase:
        return listing
    if rng.random() < 0.35:
        return f"{listing} {rng.choice((*LINKS, ',', ',', 'and'))} {phrase}"
    return f"{phrase} {rng.choice(AFTER)} {listing}"


def _around(rng: Random, meaning: Meaning, place: str, name: str) -> str:
    """A place (may be empty) under one condition, said as noun, adjective or phrase."""
    forms = words.CONDITION_WORDS[name]
    subject = _with_subject(rng, place)
    kind = rng.random()
    if kind < 0.4 or not place:
        noun = _noun(rng, meaning, name) if kind < 0.8 else _pick(rng, meaning, name, forms.phrases)
        return _attach(rng, subject, [noun])
    if kind < 0.7:
        adjective = _adjective(rng, meaning, name)
        return rng.choice(COPULAS).format(place, adjective) if rng.random() < 0.3 else f"{adjective} {place}"
    phrase = _pick(rng, meaning, name, forms.phrases)
    return f"{phrase}, {subject}" if rng.random() < 0.25 else f"{subject} {phrase}"


def _with_subject(rng: Random, place: str) -> str:
    if not place:
        return rng.choice(words.SUBJECTS) if rng.random() < 0.15 else ""
    place = f"{rng.choice(ARTICLES)} {place}"
    if rng.random() < 0.8:
        return place
    subject = rng.choice(words.SUBJECTS)
    if rng.random() < 0.3:
        return f"{place} with {subject}"
    return f"{subject} {rng.choice(DOINGS)} {rng.choice(WHERE)} {place}"


def _pick(rng: Random, meaning: Meaning, name: str, choices: Strengths) -> str:
    word = rng.choice(list(choices))
    meaning.add({}, {name: choices[word]})
    return word


def _noun(rng: Random, meaning: Meaning, name: str) -> str:
    """A condition as a noun, often with a word of strength."""
    nouns = words.CONDITION_WORDS[name].nouns
    plain = [word for word, strength in nouns.items() if strength == words.PLAIN]
    word = rng.choice(plain[:3]) if rng.random() < 0.3 else rng.choice(list(nouns))
    return _strengthen(rng, meaning, name, word, nouns[word], words.LIGHT_WORDS, words.HEAVY_WORDS)


def _adjective(rng: Random, meaning: Meaning, name: str) -> str:
    adjectives = words.CONDITION_WORDS[name].adjectives
    word = rng.choice(list(adjectives))
    return _strengthen(rng, meaning, name, word, adjectives[word], words.LIGHT_ADVERBS, words.HEAVY_ADVERBS)


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
        phrase = rng.choice(list(words.IMPLIED))
        meaning.add(*words.IMPLIED[phrase])
        return phrase
    event = rng.choice(list(words.EVENTS))
    meaning.add({}, words.EVENTS[event])
    return event


def _negation(rng: Random, meaning: Meaning) -> str:
    """Something that is said to be absent; what is already there is never denied."""
    denied, other = rng.sample([name for name in CONDITIONS if name not in meaning.conditions], 2)
    kind = rng.random()
    if kind < 0.55:
        return rng.choice(NEGATIONS).format(_deniable(rng, meaning, denied))
    if kind < 0.7:
        return rng.choice(DOUBLE_NEGATIONS).format(_deniable(rng, meaning, denied), _deniable(rng, meaning, other))
    if kind < 0.76:
        return rng.choice(NEGATIONS).format(rng.choice(UNSEEN))
    if kind < 0.86 and denied in BARE:
        return f"{BARE[denied]}less"
    return rng.choice(CONTRASTS).format(_deniable(rng, meaning, denied), _noun(rng, meaning, other))


def _deniable(rng: Random, meaning: Meaning, name: str) -> str:
    events = [event for event, strengths in words.EVENTS.items() if not strengths.keys() & meaning.conditions.keys()]
    if events and rng.random() < 0.12:
        return rng.choice(events)
    return rng.choice(list(words.CONDITION_WORDS[name].nouns))


def _tint(rng: Random, meaning: Meaning) -> str:
    word = rng.choice(list(words.TINT_WORDS))
    meaning.tint = words.TINT_WORDS[word]
    return rng.choice(TINTS).format(word)
