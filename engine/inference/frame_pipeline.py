"""Where a sound becomes a picture: features, embedding and show state in, one frame out.

listen() newest window of sound -> embedding, phrase weights         (every `HEAR_EVERY_S`)
frame()  state + features + embedding -> conditions -> noise -> x0 -> pixels
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch

from engine.core.clock import Clock
from engine.core.messages import SILENCE, AudioFeatures, Frame, Heard, Prompt, Rule, ShowState, SoundWindow
from engine.inference.fallback import UNLIMITED
from engine.inference.plan import Plan
from export.cuda_graphs import to_host
from export.onnx_session import frames_at_once
from tpos_models.contracts import AudioEmbedding, Model
from tpos_models.diffusion.conditioning import AudioTerm, Conditions, crossfade, magnitude, mix
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.noise_motion import Drift, Start, feed_back
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.image import fit_picture

HEAR_EVERY_S = 0.2
"""A new hop of sound is encoded this often; well under a second from a new sound to its picture."""

ONSET_PUSH = 0.4
"""How much a full onset raises the guidance of the frame it falls into."""

SLOW_RUNNERS = ("torch",)
"""Where "auto" means the blend tier; elsewhere it is semantic: two evaluations a frame are affordable live."""


class SoundSource(Protocol):
    """What the encoder listens to: a running capture, or an analyser that is fed by hand."""

    def latest(self) -> AudioFeatures:
        """Features of the newest hop."""
        ...

    def window(self, seconds: float) -> SoundWindow:
        """The newest `seconds`, fewer at the start of the stream."""
        ...


class PromptFader:
    """The prompt as tokens, crossfading over `fade_s` from whatever was shown when it changed."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._key: tuple[Prompt, ...] | None = None
        self._null = model.text.encode([""]).tokens[0]
        self._from = self._to = self._null
        self._start_s = self._fade_s = 0.0

    @property
    def null(self) -> torch.Tensor:
        """The encoding of ""."""
        return self._null

    def tokens(self, state: ShowState, now_s: float) -> torch.Tensor:
        """Tokens (TOKENS, TOKEN_SIZE) of the prompt at `now_s`."""
        if state.prompts != self._key:
            first = self._key is None
            self._from = self._at(now_s)
            self._to = self._encode(state.prompts)
            self._key, self._start_s = state.prompts, now_s
            self._fade_s = 0.0 if first else state.fade_s
        return self._at(now_s)

    def _at(self, now_s: float) -> torch.Tensor:
        x = 1.0 if self._fade_s <= 0 else (now_s - self._start_s) / self._fade_s
        return crossfade(self._from, self._to, x, self._model.spec.spherical)

    def _encode(self, prompts: tuple[Prompt, ...]) -> torch.Tensor:
        shown = [prompt for prompt in prompts if prompt.weight > 0 and prompt.text.strip()]
        if not shown:
            return self._null
        tokens = self._model.text.encode([prompt.text for prompt in shown]).tokens
        return mix(tokens, [prompt.weight for prompt in shown], self._null)


class Listener:
    """What is heard: the newest embedding, and how much it resembles the rules' and the HUD's phrases."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._heard_s = -HEAR_EVERY_S
        self.embedding: AudioEmbedding | None = None

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
        self.embedding = self._model.audio.hear(window.samples, window.end_index, window.time_s)
        return self.embedding

    def weigh(self, phrases: list[str]) -> list[float]:
        """Weight 0..1 of each phrase in the newest sound; zeros before anything was heard."""
        if self.embedding is None or not phrases:
            return [0.0] * len(phrases)
        joint = self._model.text.encode(phrases).joint
        return [float(w) for w in self._model.audio.score(self.embedding, joint)]

    def heard(self, most: int = 3, least: float = 0.08) -> tuple[Heard, ...]:
        """The strongest phrases of the encoder's own vocabulary."""
        phrases = list(self._model.audio.phrases)
        ranked = sorted(zip(phrases, self.weigh(phrases), strict=True), key=lambda pair: -pair[1])
        return tuple(Heard(phrase, weight) for phrase, weight in ranked[:most] if weight >= least)


@dataclass(frozen=True)
class Shaped:
    """What a frame is shaped by; fields as in `Frame`."""

    audio_time_s: float
    revision: int
    prompt: str
    heard: tuple[Heard, ...]
    seed: int


class SamplingStage:
    """One show's inference. Owned by the inference thread, or by the offline loop: nothing else may call it.

    A frame takes as many steps as the show asks for, the model knows and `most_steps` allows. `picture`, RGB uint8
    (H, W, 3), is what every frame starts from, or with feedback the first. `beside_display`: a core is left to whatever
    draws.
    """

    def __init__(
        self,
        model: Model,
        clock: Clock,
        plan: Plan,
        most_steps: int = UNLIMITED,
        picture: np.ndarray | None = None,
        beside_display: bool = False,
    ) -> None:
        self.model = model
        self.plan = plan
        """How frames are made; its owner may give another between two."""
        self._at_once = frames_at_once(beside_display) if model.runner == "onnx" else 1
        self._picture = None if picture is None else encode_picture(model, picture)
        self._last_x0: torch.Tensor | None = None
        self._last_index = 0
        self._finishing = threading.Lock()
        self._clock = clock
        self._most_steps = min(most_steps, len(model.spec.timesteps))
        self._listener = Listener(model)
        self._prompts = PromptFader(model)
        self._rules: tuple[Rule, ...] = ()
        self._shows: tuple[AudioTerm, ...] = ()
        self._heard: tuple[Heard, ...] = ()
        self._drift: Drift | None = None
        self._seed: int | None = None
        self._last_s: float | None = None
        self._index = 0

    def listen(self, source: SoundSource, state: ShowState) -> bool:
        """Hear the source's newest window if enough of it is new (every `HEAR_EVERY_S`); whether it was heard."""
        if not self._listener.listen(source):
            return False
        self._follow(state)
        return True

    def hear(self, window: SoundWindow, state: ShowState) -> None:
        """Encode a window of sound now, and weigh the show's rules against it."""
        self._listener.hear(window)
        self._follow(state)

    def _follow(self, state: ShowState) -> None:
        self._heard = self._listener.heard()
        self._weigh_rules(state.rules)

    def at_once(self, state: ShowState) -> int:
        """How many frames may be sampled side by side: one where each needs the one before."""
        return self._at_once if self.plan.sampler.concurrent and state.feedback == 0 else 1

    def frame(self, state: ShowState, features: AudioFeatures = SILENCE) -> Frame:
        """Sample one frame with everything known now."""
        return self.begin(state, features)()

    def begin(self, state: ShowState, features: AudioFeatures = SILENCE) -> Callable[[], Frame]:
        """Fix everything that this moment gives a frame; the call that is returned samples it.

        Up to `at_once` such calls may run side by side, on any thread.
        """
        now_s = self._clock.now()
        conditions = self._conditions(state, features, now_s)
        noise = self._noise(state, features, conditions, now_s)
        start = self._start(state, noise)
        embedding = self._listener.embedding
        self._index += 1
        shaped = Shaped(
            audio_time_s=max(features.time_s, embedding.time_s if embedding else 0.0),
            revision=state.revision,
            prompt=" + ".join(p.text for p in state.prompts if p.weight > 0),
            heard=self._heard,
            seed=state.seed,
        )
        tier, guidance, steps = self.tier(state), self._guidance(state), min(state.steps, self._most_steps)
        request = SampleRequest(
            start.noise, conditions, tier, guidance, steps, start.latents, start.strength, metadata=shaped
        )
        return partial(self._draw, self._index, request)

    def _draw(self, index: int, request: SampleRequest) -> Frame:
        sampled = self.plan.sampler(request)
        pixels = self.plan.decode(sampled.x0)
        with self._finishing:  # frames side by side may end in any order: what is fed back is the newest one's
            if index > self._last_index:
                self._last_x0, self._last_index = sampled.x0, index
        image = to_host(pixels)
        image.flags.writeable = False
        shaped: Shaped = sampled.request.metadata
        return Frame(
            index, image, shaped.audio_time_s, self._clock.now(), shaped.revision, shaped.prompt, shaped.heard,
            shaped.seed, sampled.evaluations,
        )  # fmt: skip

    def _start(self, state: ShowState, noise: torch.Tensor) -> Start:
        """Noise alone, the last frame as far as it is fed back, or the picture."""
        if state.feedback > 0 and self._last_x0 is not None:
            generator = torch.Generator().manual_seed(state.seed * 1_000_003 + self._index)
            fresh = torch.randn(noise.shape, generator=generator).to(noise)
            return feed_back(self._last_x0, noise, fresh, state.feedback, state.motion)
        return Start(self._picture, noise, state.strength)

    def tier(self, state: ShowState) -> Tier:
        """The guidance tier in force."""
        if state.guidance == "auto":
            return "blend" if self.model.runner in SLOW_RUNNERS else "semantic"
        return state.guidance  # type: ignore[return-value]

    def _guidance(self, state: ShowState) -> Guidance:
        """The model's own strengths, with the operator's guidance scale where it asks for more than none."""
        own = self.model.spec.guidance
        return own if state.guidance_scale == 1.0 else replace(own, guidance_scale=state.guidance_scale)

    def _conditions(self, state: ShowState, features: AudioFeatures, now_s: float) -> Conditions:
        text = self._prompts.tokens(state, now_s)
        null = self._prompts.null
        uncond = self.model.text.encode([state.negative]).tokens[0] if state.negative else null
        return Conditions(text, null, uncond, self._audio_terms(state, features))

    def _audio_terms(self, state: ShowState, features: AudioFeatures) -> tuple[AudioTerm, ...]:
        """What the sound asks for now: MAP's tokens, and each matching rule's `show`; weights grow with loudness."""
        embedding = self._listener.embedding
        if embedding is None or state.amount == 0:
            return ()
        if state.rules != self._rules:
            self._weigh_rules(state.rules)
        push = state.amount * magnitude(embedding) * (1 + ONSET_PUSH * features.onset)
        terms = (AudioTerm(embedding.tokens, 1.0), *self._shows)
        return tuple(AudioTerm(term.tokens, push * term.weight) for term in terms)

    def _weigh_rules(self, rules: tuple[Rule, ...]) -> None:
        weights = self._listener.weigh([rule.hear for rule in rules])
        tokens = self.model.text.encode([rule.show for rule in rules]).tokens if rules else ()
        self._rules = rules
        self._shows = tuple(AudioTerm(t, w * rule.amount) for t, w, rule in zip(tokens, weights, rules, strict=True))

    def _noise(self, state: ShowState, features: AudioFeatures, conditions: Conditions, now_s: float) -> torch.Tensor:
        """The latents this frame starts from: the seed's noise, moved by the music."""
        if self._drift is None or state.seed != self._seed:
            self._drift = Drift(self.model.spec, state.seed)
            self._seed = state.seed
            with self._finishing:  # nor is it one of the old seed that is still under way
                self._last_x0, self._last_index = None, self._index
        dt_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        return self._drift.advance(dt_s, state.motion, features.level, features.onset, conditions).to(self.model.device)


def encode_picture(model: Model, picture: np.ndarray) -> torch.Tensor:
    """RGB uint8 (H, W, 3) as the model's latents (1, C, h, w), its middle filling them."""
    height, width = (side * model.spec.scale for side in model.spec.sample_size)
    return model.encoder(fit_picture(picture, (width, height)))
