"""How the picture follows what is heard: it glides to each new sound, as it does from prompt to prompt."""

from __future__ import annotations

import math

import torch

from engine.core.beat_grid import line
from engine.core.messages import AudioFeatures, Rule
from engine.inference.hearing import HeardSound
from tpos_models.diffusion.conditioning import AudioTerm

SETTLED = 1e-3
"""What is left of a way is taken at once: a sound that has ended must end, and a still show be still."""


class SoundSlew:
    """Tokens and weights of the sound, following what was heard as a first-order lag does. Owned by one thread.

    From one answer of the encoder to the next the tokens go straight, which is a matter of two weights and costs a GPU
    nothing; an arc would be drawn anew for each frame. The weight of the sound, and of each rule, follows by itself.
    What comes first is there at once.
    """

    def __init__(self) -> None:
        self._from = self._to = torch.empty(0)
        self._turned_s = 0.0
        """When the newest tokens came."""
        self._weights: list[float] = []
        """The sound's, then each rule's; none before the first sound."""
        self._shows: tuple[AudioTerm, ...] = ()
        self._rules: tuple[Rule, ...] = ()
        self._kept: dict[Rule, tuple[int, float]] = {}
        """Of what is quantised, on which line it was last, and how strong it was there."""
        self._last_s: float | None = None

    def __call__(
        self,
        heard: HeardSound | None,
        features: AudioFeatures,
        now_s: float,
        slew_s: float,
        literal: float = 1.0,
        later_s: float = 0.0,
    ) -> tuple[AudioTerm, ...]:
        """What steers at `now_s`, where sounds take over with the time constant `slew_s`; () before any was heard.

        Of the sound itself there is the part `literal`, 0..1; rules have what is theirs.
        What follows the music's movement is as strong as `features` say, at once; what is quantised takes its strength
        from one line of the music to the next, where that is so much later than `features`.
        """
        gone = 1.0 if self._last_s is None else _gone(now_s - self._last_s, slew_s)
        self._last_s = now_s
        if heard is not None:
            self._turn(heard, now_s, slew_s)
        if not self._weights:
            return ()
        targets = [0.0] * len(self._weights) if heard is None else [float(term.weight) for term in heard.terms()]
        self._weights = [
            target if abs(target - weight) < SETTLED else weight + gone * (target - weight)
            for weight, target in zip(self._weights, targets, strict=True)
        ]
        x = self._way(now_s, slew_s)
        sound, *rules = literal * self._weights[0], *self._weights[1:]
        shown = (
            AudioTerm(term.tokens, self._on_line(rule, _now(rule, weight, features), features, later_s))
            for rule, term, weight in zip(self._rules, self._shows, rules, strict=True)
        )
        return AudioTerm(self._from, sound * (1 - x)), AudioTerm(self._to, sound * x), *shown

    def _on_line(self, rule: Rule, strength: float, features: AudioFeatures, later_s: float) -> float:
        now = line(rule.quantise, features, later_s)
        if now is None:
            return strength
        if rule not in self._kept or self._kept[rule][0] != now:
            self._kept[rule] = now, strength
        return self._kept[rule][1]

    def _turn(self, heard: HeardSound, now_s: float, slew_s: float) -> None:
        """Take in another sound and other rules."""
        tokens = heard.embedding.tokens
        if tokens is not self._to:
            silent = not self._weights or self._weights[0] < SETTLED
            here = tokens if silent else torch.lerp(self._from, self._to, self._way(now_s, slew_s))
            self._from, self._to, self._turned_s = here, tokens, now_s
        if not self._weights or heard.rules != self._rules:
            sound, *rules = self._weights or [0.0]
            known = dict(zip(self._rules, rules, strict=True))
            self._weights = [sound, *(known.get(rule, 0.0) for rule in heard.rules)]
            self._rules = heard.rules
            self._kept = {rule: kept for rule, kept in self._kept.items() if rule in self._rules}
        self._shows = heard.shows

    def _way(self, now_s: float, slew_s: float) -> float:
        return _gone(now_s - self._turned_s, slew_s)


def _now(rule: Rule, weight: float, features: AudioFeatures) -> float:
    """A rule's weight in this moment: that of its phrase, or what it follows.

    A beat silences what is beatless as far as that is doubtful: thunder itself is none of the music's.
    """
    weight = weight if rule.follow is None else rule.amount * features.strength(rule.follow, rule.stem)
    return weight * (1 - features.in_time * (1 - min(weight, 1.0) ** 2)) if rule.beatless else weight


def _gone(seconds: float, slew_s: float) -> float:
    """What part of a way is gone after so long."""
    gone = -math.expm1(-seconds / slew_s) if slew_s > 0 else 1.0
    return 1.0 if gone > 1 - SETTLED else gone


def pushed(terms: tuple[AudioTerm, ...], push: float) -> tuple[AudioTerm, ...]:
    """All of them so much stronger; none where there is no push."""
    return tuple(AudioTerm(term.tokens, push * term.weight) for term in terms) if push else ()
