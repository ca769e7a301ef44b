"""What inference hears: when a new window of sound is encoded, what it resembles, and how it steers a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from engine.core.messages import AudioFeatures, Heard, Rule, ShowState, SoundWindow
from tpos_models.audio.loudness import ROOM_DB
from tpos_models.contracts import AudioEmbedding, Model
from tpos_models.diffusion.conditioning import AudioTerm, magnitude

HEAR_EVERY_S = 0.2
"""A new hop of sound is encoded this often; well under a second from a new sound to its picture."""

ONSET_PUSH = 0.4
"""How much a full onset raises the guidance of the frame it falls into."""


class SoundSource(Protocol):
    """What the encoder listens to: a running capture, or an analyser that is fed by hand."""

    def latest(self) -> AudioFeatures:
        """Features of the newest hop."""
        ...

    def window(self, seconds: float) -> SoundWindow:
        """The newest `seconds`, fewer at the start of the stream."""
        ...


class Listener:
    """A model's audio encoder in a show: the newest embedding, and what it resembles. Owned by one thread."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._heard_s = -HEAR_EVERY_S
        self.embedding: AudioEmbedding | None = None
        """None before anything was heard; its loudness is the input's own, before automatic gain."""
        self.room_db = ROOM_DB

    @property
    def window_s(self) -> float:
        """Seconds of sound the encoder listens to."""
        window = self._model.audio.window
        return window.segments * window.segment_samples / window.sample_rate

    def listen(self, source: SoundSource) -> bool:
        """Encode the source's newest window where it is `HEAR_EVERY_S` newer than the last; whether it was."""
        due = source.latest().time_s - self._heard_s >= HEAR_EVERY_S
        if due:
            self.hear(source.window(self.window_s))
        return due

    def hear(self, window: SoundWindow) -> AudioEmbedding:
        """Encode a window now."""
        self._heard_s = window.time_s
        heard = self._model.audio.hear(window.samples, window.end_index, window.time_s)
        self.embedding = replace(heard, loudness_db=heard.loudness_db - window.gain_db)
        self.room_db = window.room_db
        return self.embedding

    def weigh(self, phrases: list[str]) -> list[float]:
        """Weight 0..1 of each phrase in the newest sound; zeros before anything was heard."""
        if self.embedding is None or not phrases:
            return [0.0] * len(phrases)
        joint = self._model.text.encode(phrases).joint
        return [float(w) for w in self._model.audio.score(self.embedding, joint)]

    def strongest(self, most: int = 3, least: float = 0.08) -> tuple[Heard, ...]:
        """At most so many phrases of the encoder's own vocabulary, of that weight at least, the strongest first."""
        phrases = list(self._model.audio.phrases)
        ranked = sorted(zip(phrases, self.weigh(phrases), strict=True), key=lambda pair: -pair[1])
        return tuple(Heard(phrase, weight) for phrase, weight in ranked[:most] if weight >= least)


class SoundSteering:
    """What a listener's sound asks of the picture: MAP's tokens, and what the show's rules say. Owned by one thread."""

    def __init__(self, model: Model, listener: Listener) -> None:
        self._model, self._listener = model, listener
        self._rules: tuple[Rule, ...] = ()
        self._shows: tuple[AudioTerm, ...] = ()

    def weigh(self, rules: tuple[Rule, ...]) -> None:
        """Weigh the rules against the newest sound: as much of `show` as there is of `hear` in it, times `amount`."""
        weights = self._listener.weigh([rule.hear for rule in rules])
        tokens = self._model.text.encode([rule.show for rule in rules]).tokens if rules else ()
        self._rules = rules
        self._shows = tuple(AudioTerm(t, w * rule.amount) for t, w, rule in zip(tokens, weights, rules, strict=True))

    def terms(self, state: ShowState, onset: float) -> tuple[AudioTerm, ...]:
        """What steers the frame of this moment; weights grow with loudness, and with `onset` 0..1."""
        embedding = self._listener.embedding
        if embedding is None or state.amount == 0:
            return ()
        if state.rules != self._rules:
            self.weigh(state.rules)
        push = state.amount * magnitude(embedding, self._listener.room_db) * (1 + ONSET_PUSH * onset)
        terms = (AudioTerm(embedding.tokens, 1.0), *self._shows)
        return tuple(AudioTerm(term.tokens, push * term.weight) for term in terms)
