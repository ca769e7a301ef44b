"""Phrases for sounds: what the joint space learns its geometry from, and the pairs it is judged on: phrases.toml."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec

from tpos_models.toml_data import read_toml


class Phrases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """phrases.toml: who makes a sound and how, sounds by name, ways to speak of one; (name, paraphrase), held out."""

    acts: list[str]
    things: list[str]
    frames: list[str]
    paraphrases: list[tuple[str, str]]


PHRASES = read_toml(Path(__file__).with_name("phrases.toml"), Phrases)


def gerund(verb: str) -> str:
    """The -ing form, close enough for a learner: bark -> barking, hum -> humming, whine -> whining."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing"
    short = len(verb) <= 4 and verb[-1] in "mnptgb" and verb[-2] in "aiou" and verb[-3] not in "aeiou"
    return f"{verb}{verb[-1]}ing" if short else f"{verb}ing"


def act_forms(act: str) -> list[str]:
    """The ways to say that a subject makes its sound."""
    subject, _, verb = act.rpartition(" ")
    doing = gerund(verb)
    return [
        act, f"{doing} {subject}", f"{subject} {doing}", f"a {subject} {doing}", f"{subject}s {doing}",
        f"a {subject} is {doing}", f"the {verb} of a {subject}", f"the {doing} of a {subject}", f"a {doing} {subject}",
    ]  # fmt: skip


def sound_phrases(n: int, seed: int = 0) -> list[str]:
    """All plain phrases, then `n` framed or combined ones; the held-out paraphrases are left out."""
    rng = Random(seed)
    plain = [form for act in PHRASES.acts for form in act_forms(act)] + PHRASES.things
    phrases = list(dict.fromkeys(plain))
    for _ in range(n):
        phrase = rng.choice(PHRASES.frames).format(rng.choice(plain))
        if rng.random() < 0.3:
            phrase += rng.choice((" and ", ", ", " with ", " then ", " over ")) + rng.choice(plain)
        phrases.append(phrase)
    held_out = {other for _, other in PHRASES.paraphrases}
    return [phrase for phrase in phrases if phrase not in held_out]
