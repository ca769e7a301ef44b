"""What inference hears: when a new window of sound is encoded, what it resembles, and how it steers a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from engine.core.messages import AudioFeatures, Heard, Rule, SoundWindow
from export.cuda_streams import nothing
from tpos_models.audio.loudness import ROOM_DB
from tpos_models.contracts import AudioEmbedding, AudioEncoder, Model
from tpos_models.diffusion.conditioning import AudioTerm, magnitude
from tpos_models.errors import RunError

HEAR_EVERY_S = 0.2
"""A new hop of sound is encoded this often; well under a second from a new sound to its picture."""

MOST_NAMED, LEAST_NAMED = 3, 0.08
"""So many phrases are named at most, each of that weight at least."""


class SoundSource(Protocol):
    """What the encoder listens to: a running capture, or an analyser that is fed by hand."""

    def latest(self) -> AudioFeatures:
        """Features of the newest hop."""
        ...

    def window(self, seconds: float) -> SoundWindow:
        """The newest `seconds`, fewer at the start of the stream."""
        ...


@dataclass(frozen=True, eq=False)
class HeardSound:
    """One window of sound as it steers frames.

    The embedding's loudness is the input's own, before automatic gain, and `room_db` that of the room without it.
    `phrases` are the strongest of the encoder's own vocabulary, `shows` what `rules` ask for, as much of it as there is
    of their sound. `stems`, by name, are those in which rules hear phrases; the strongest of each is named, too.
    `presence` 0..1 is how much of it still counts, where the encoder has not answered for long. `take` is called by the
    thread that uses it, before each use (see `export.cuda_streams.handed_over`).
    """

    embedding: AudioEmbedding
    room_db: float = ROOM_DB
    phrases: tuple[Heard, ...] = ()
    rules: tuple[Rule, ...] = ()
    shows: tuple[AudioTerm, ...] = ()
    stems: tuple[tuple[str, HeardSound], ...] = ()
    presence: float = 1.0
    take: Callable[[], None] = nothing

    def terms(self) -> tuple[AudioTerm, ...]:
        """What it asks for, itself and by rules; the louder each one's sound, the more."""
        loud = {name: self.presence * sound.magnitude for name, sound in (("", self), *self.stems)}
        ruled = zip(self.rules, self.shows, strict=True)
        shows = (AudioTerm(term.tokens, loud.get(rule.stem, 0.0) * term.weight) for rule, term in ruled)
        return AudioTerm(self.embedding.tokens, loud[""] * 1.0), *shows

    @property
    def magnitude(self) -> float:
        """How strongly it may steer."""
        return magnitude(self.embedding, self.room_db)


class Listener:
    """A model's audio encoder in a show, and what it says of phrases. Owned by one thread.

    Each stem that a rule hears a phrase in has a stream of its own through the encoder's networks.
    """

    def __init__(self, model: Model) -> None:
        self.encoder, self.device = model.audio, model.device
        self._text = model.text
        self._of_stems: dict[str, AudioEncoder] = {}
        self._heard_s = -HEAR_EVERY_S
        self.heard: HeardSound | None = None
        """None before anything was heard."""

    @property
    def window_s(self) -> float:
        """Seconds of sound the encoder listens to."""
        window = self.encoder.window
        return window.segments * window.segment_samples / window.sample_rate

    def listen(self, source: SoundSource, rules: tuple[Rule, ...] = ()) -> bool:
        """Encode the source's newest window where it is `HEAR_EVERY_S` newer than the last, weigh rules that are new.

        Whether there was anything to do; after an error there still is.
        """
        if source.latest().time_s - self._heard_s >= HEAR_EVERY_S:
            self.hear(source.window(self.window_s), rules)
        elif self.heard is not None and self.heard.rules != rules:
            self.weigh(rules)
        else:
            return False
        return True

    def weigh(self, rules: tuple[Rule, ...]) -> HeardSound | None:
        """Weigh rules against the newest sound, if any: they are new, or the text encoder's weights."""
        if self.heard is not None:
            self.heard = replace(self.heard, rules=rules, shows=self._shows(self.heard, rules))
        return self.heard

    def hear(self, window: SoundWindow, rules: tuple[Rule, ...] = ()) -> HeardSound:
        """Encode a window now, name what it resembles and weigh the show's rules against it.

        Raises `RunError` where the encoder answers with no numbers.
        """
        listening = {rule.stem for rule in rules if rule.follow is None}
        stems = tuple((name, self._heard_in(name, own)) for name, own in window.stems if name in listening)
        self._of_stems = {name: self._of_stems[name] for name, _ in stems}
        sound = replace(self._sound(self.encoder, window), stems=stems)
        named = (Heard(f"{name}: {one.phrase}", one.weight) for name, stem in stems for one in stem.phrases[:1])
        self.heard = replace(sound, phrases=(*sound.phrases, *named), rules=rules, shows=self._shows(sound, rules))
        self._heard_s = window.time_s
        return self.heard

    def _heard_in(self, stem: str, window: SoundWindow) -> HeardSound:
        if stem not in self._of_stems:
            self._of_stems[stem] = self.encoder.another()
        return self._sound(self._of_stems[stem], window)

    def _sound(self, encoder: AudioEncoder, window: SoundWindow) -> HeardSound:
        """A stream's newest sound by itself, and what it resembles."""
        embedding = encoder.hear(window.samples, window.end_index, window.time_s)
        if not bool(torch.isfinite(embedding.tokens).all()):  # it would stay in what glides
            raise RunError("the audio encoder answers with NaN or infinity")
        embedding = replace(embedding, loudness_db=embedding.loudness_db - window.gain_db)
        return HeardSound(embedding, window.room_db, self._strongest(embedding))

    def _weigh(self, embedding: AudioEmbedding, phrases: Sequence[str]) -> list[float]:
        """Weight 0..1 of each phrase in a sound."""
        if not phrases:
            return []
        return [float(w) for w in self.encoder.score(embedding, self._text.joint(list(phrases)))]

    def _strongest(self, embedding: AudioEmbedding) -> tuple[Heard, ...]:
        phrases = self.encoder.phrases
        ranked = sorted(zip(phrases, self._weigh(embedding, phrases), strict=True), key=lambda pair: -pair[1])
        return tuple(Heard(phrase, weight) for phrase, weight in ranked[:MOST_NAMED] if weight >= LEAST_NAMED)

    def _shows(self, sound: HeardSound, rules: tuple[Rule, ...]) -> tuple[AudioTerm, ...]:
        """As much of each rule's `show` as there is of its `hear` in the sound, or its stem's, times its `amount`.

        One that follows the music's movement has no weight of its own, nor has one whose stem was not heard yet.
        """
        weights = [0.0] * len(rules)
        for name, one in (("", sound), *sound.stems):
            asked = [n for n, rule in enumerate(rules) if rule.follow is None and rule.stem == name]
            for n, weight in zip(asked, self._weigh(one.embedding, [rules[n].hear for n in asked]), strict=True):
                weights[n] = weight
        tokens = self._text.encode([rule.show for rule in rules]).tokens if rules else ()
        return tuple(AudioTerm(t, w * rule.amount) for t, w, rule in zip(tokens, weights, rules, strict=True))
