"""Where a sound becomes a picture: features, embedding and show state in, one frame out.

listen() newest window of sound -> embedding, phrase weights          (`engine.inference.hearing`)
follow() the same, from whoever listens in a live show                (`engine.inference.hearing_thread`)
begin()  state + features + embedding -> conditions -> noise -> request
         request -> x0 -> pixels                                      (`engine.inference.plan`)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from engine.core.clock import Clock
from engine.core.field_scene import FieldScene
from engine.core.messages import SILENCE, AudioFeatures, Frame, GuidanceTier, Heard, ShowState, SoundWindow
from engine.inference.fallback import UNLIMITED, NotFiniteError
from engine.inference.farm.chunks import Chunks
from engine.inference.farm.drawing import DrawnFrame
from engine.inference.hearing import HeardSound, Listener, SoundSource
from engine.inference.live_start import LiveStart, encode_picture
from engine.inference.plan import Plan, eager_plan, few_steps, prepare
from engine.inference.prompts import PromptCrossfade
from engine.inference.similarity import same_frame
from engine.inference.slew import SoundSlew, pushed
from engine.inputs.picture import LivePictures
from export.cuda_graphs import to_device, to_host
from export.onnx_session import frames_at_once
from tpos_models.contracts import Model, ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.flow import NoiseFlow
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.noise_motion import NoiseWalk, Start, feed_back
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.stream_batch import StreamBatch

ONSET_PUSH = 0.4
"""How much a full onset raises the guidance of the frame it falls into."""
MOST_RESIDUAL = 2.0
"""Models of few steps leave their range beyond it (Luo et al. 2023b), and the same fader serves 50 steps."""
HUNG_S = 20.0
"""A GPU that has not answered for so long will not; a CPU may take its time."""
QUEUED_FRAMES = 2
"""Under way on a GPU: one that it draws, and one begun shortly before that is done."""
SLOW_RUNNERS = ("torch", "cpu")
"""Where "auto" means the blend tier; elsewhere it is semantic: two evaluations a frame are affordable live."""


@dataclass(frozen=True)
class FrameMetadata:
    """What a frame was made of; fields as in `Frame`."""

    audio_time_s: float
    revision: int
    prompt: str
    heard: tuple[Heard, ...]
    seed: int
    picture_time_s: float = 0.0


class FramePipeline:
    """One show's inference. Owned by the inference thread, or by the offline loop: nothing else may call it.

    What hears is its `listener`, by `listen` and `hear`; a live show gives that to a `Hearing` and follows it.
    A frame takes as many steps as the show asks for, the model knows and `most_steps` allows. `picture`, RGB uint8
    (H, W, 3), is what every frame starts from, or with feedback the first; `pictures` are live ones, which go before it
    as soon as they come. `beside_display`: a core is left to whatever draws. Without `pixels` a model that has numbers
    for whoever draws sends those. `lookahead_s` is how long it takes until a frame is seen. Of a film's frames with
    `elsewhere` only the requests are made here.
    """

    def __init__(
        self,
        model: Model,
        clock: Clock,
        plan: Plan,
        most_steps: int = UNLIMITED,
        picture: np.ndarray | None = None,
        beside_display: bool = False,
        pixels: bool = True,
        lookahead_s: Callable[[], float] = float,
        pictures: LivePictures | None = None,
        elsewhere: Chunks | None = None,
    ) -> None:
        self.model = model
        self.plan = plan
        """How frames are made; its owner may give another between two."""
        self._clock, self._pixels, self._lookahead_s = clock, pixels, lookahead_s
        self._elsewhere = elsewhere
        self._most_steps = min(most_steps, model.spec.most_steps or UNLIMITED, len(model.spec.timesteps))
        self.patience_s = HUNG_S if model.device.type == "cuda" else float("inf")
        """A frame that takes longer hangs."""
        self.queued = model.device.type == "cuda"
        """Whether a frame's work is enqueued when `begin` returns, so that its call only waits."""
        words_move = model.loras is not None and model.loras.words
        self.hears_apart = (model.device.type == "cuda" or model.runner == "onnx") and not words_move
        """Whether a live show hears on a thread of its own: not beside torch on a CPU, where each thread that computes
        brings a pool of threads, and where slow frames would be begun with what was heard long ago; nor where the text
        encoder's weights may move, which both threads ask."""
        self._at_once = frames_at_once(beside_display) if model.runner == "onnx" and model.loras is None else 1
        self._picture = None if picture is None else encode_picture(model, picture)
        self._live = LiveStart(model, pictures) if pictures else None
        self._prompts = PromptCrossfade(model)
        self.listener = Listener(model)
        self._heard: HeardSound | None = None
        self._slew = SoundSlew()
        self.new_walk: Callable[[ModelSpec, int, NoiseFlow], NoiseWalk] = NoiseWalk
        """How noise walks where the seed is another."""
        self._walk: NoiseWalk | None = None
        self._z = self._noise_here = torch.empty(0)
        """The newest latents of the walk, and the same where the model lies."""
        self._seed: int | None = None
        self._last_s: float | None = None
        self._index = 0
        self._request_before: SampleRequest | None = None
        self._finishing = threading.Lock()
        """Guards the newest frame that is finished, which the next one may be fed."""
        self._last_x0: torch.Tensor | None = None  # lent, where frames are captured: read only in `begin`
        self._last_index = 0

    def listen(self, source: SoundSource, state: ShowState) -> bool:
        """Hear the source's newest window if enough of it is new (every `HEAR_EVERY_S`); whether anything was new."""
        new = self.listener.listen(source, state.rules)
        self._heard = self.listener.heard
        return new

    def hear(self, window: SoundWindow, state: ShowState) -> None:
        """Encode a window of sound now, and weigh the show's rules against it."""
        self._heard = self.listener.hear(window, state.rules)

    def follow(self, heard: HeardSound | None) -> None:
        """Let this steer the frames that are begun from now on; None is silence."""
        self._heard = heard

    def at_once(self, state: ShowState) -> int:
        """How many frames may be under way; sampled side by side, one where each needs the one before."""
        if self._elsewhere is not None:
            return self._elsewhere.at_once if state.feedback == 0 else 1
        if self.queued:
            return QUEUED_FRAMES
        return self._at_once if self.plan.sampler.concurrent and state.feedback == 0 else 1

    def prepare(self, state: ShowState, progress: Callable[[float], None] = lambda _: None) -> None:
        """Before the show: capture what it asks for in silence and in sound, where frames are captured.

        Where they are not and only whole steps were compiled, the denoiser is. `progress` hears the share that is done.
        Raises `RunError` where a captured frame is not what it was captured from.
        """
        self._adapt(state)
        if not self.plan.captured and self.model.step is None:
            return
        sounds = (0, 2 + len(state.rules))
        text, uncond = self._prompts.tokens(state, self._clock.now()), self._prompts.uncond(state)
        noise = NoiseWalk(self.model.spec, state.seed, self.model.noise_flow).z0.to(self.model.device)
        starts = [self._picture, *([self._live.blank()] if self._live else [])]
        requests = [
            self._request(
                state,
                Conditions(text, self._prompts.null, uncond, (AudioTerm(text, 0.5),) * count),
                Start(start, noise, state.strength),
            )
            for start in starts
            for count in sounds
        ]
        if self.plan.captured:
            prepare(self.plan, eager_plan(self.model), requests, progress)
        else:
            few_steps(self.model)(requests[0])

    def frame(self, state: ShowState, features: AudioFeatures = SILENCE) -> Frame:
        """Sample one frame with everything known now."""
        return self.begin(state, features)()

    def begin(self, state: ShowState, features: AudioFeatures = SILENCE) -> Callable[[], Frame]:
        """Fix everything that this moment gives a frame; the call that is returned samples it, or waits for it.

        Up to `at_once` such calls may run side by side, on any thread. Where work is `queued` a GPU takes this frame up
        when the one before is done, and what that one lends is copied first.
        """
        return self._begun(self._next(state, features), state)

    def begin_changed(self, state: ShowState, features: AudioFeatures = SILENCE) -> Callable[[], Frame] | None:
        """The same, or None where it would be the last frame again: no other state, and not a bit of its request."""
        request, before = self._next(state, features), self._request_before
        moves = state.feedback > 0 or isinstance(self.plan.sampler, StreamBatch)  # whatever the request
        if moves or before is None or before.metadata.revision != state.revision or not same_frame(request, before):
            return self._begun(request, state)
        return None

    def hold(self) -> None:
        """While the show is frozen, instead of a frame: the noise goes on from where it stands."""
        self._last_s = self._clock.now()

    def _begun(self, request: SampleRequest, state: ShowState) -> Callable[[], Frame]:
        self._request_before = request
        self._index += 1
        if self._elsewhere is not None:
            return partial(self._drawn, self._index, request.metadata, self._elsewhere.ask(request, state.loras))
        draw = partial(self._draw, self._index, request)
        return draw() if self.queued else lambda: draw()()

    def _next(self, state: ShowState, features: AudioFeatures) -> SampleRequest:
        """What this moment's frame is made from."""
        self._adapt(state)
        now_s, heard = self._clock.now(), self._heard
        conditions = self._conditions(state, features, now_s)
        start, picture_time_s = self._start(state, self._noise(state, features, conditions, now_s))
        metadata = FrameMetadata(
            audio_time_s=max(features.time_s, heard.embedding.time_s if heard else 0.0),
            revision=state.revision,
            prompt=" + ".join(p.text for p in state.prompts if p.weight > 0),
            heard=heard.phrases if heard else (),
            seed=state.seed,
            picture_time_s=picture_time_s,
        )
        return self._request(state, conditions, start, metadata)

    def _adapt(self, state: ShowState) -> None:
        """Between two frames: the weights for the strengths of this moment. What was heard follows when next heard."""
        strengths = {lora.name: lora.strength for lora in state.loras}
        if self.model.loras is not None and self.model.loras.set(strengths):
            self._prompts.renew()
            self._heard = self.listener.weigh(state.rules)

    def _request(
        self, state: ShowState, conditions: Conditions, start: Start, metadata: FrameMetadata | None = None
    ) -> SampleRequest:
        steps = min(state.steps, self._most_steps)
        return SampleRequest(
            start.noise, conditions, self.tier(state), self._guidance(state), steps, start.latents, start.strength,
            metadata, state.masked, self._pixels,
        )  # fmt: skip

    def _draw(self, index: int, request: SampleRequest) -> Callable[[], Frame]:
        """Sample a frame and send its pixels home, on a GPU without waiting for either; the call waits."""
        sampled, pixels = self.plan.draw(request)
        self._feed(index, sampled.x0)
        numbers = sampled.numbers
        on_gpu = pixels.clone(memory_format=torch.contiguous_format) if self.queued and not numbers else None
        sent = {"image": pixels} if sampled.mask is None else {"image": pixels, "mask": sampled.mask}
        told = (sampled.x0, numbers.z, numbers.prompt) if numbers else (sampled.x0,)
        sent["finite"] = torch.stack([torch.isfinite(one).all() for one in told])
        if numbers:
            sent |= {"z": numbers.z[0], "prompt": numbers.prompt[0]}
        home = partial(_arrived, {name: to_host(tensor) for name, tensor in sent.items()})
        size = numbers.size if numbers else None
        return partial(self._frame, index, home, on_gpu, sampled.request.metadata, sampled.evaluations, size)

    def _frame(
        self,
        index: int,
        arrive: Callable[[], Mapping[str, np.ndarray]],
        on_gpu: torch.Tensor | None,
        made_of: FrameMetadata,
        evaluations: int,
        size: tuple[int, int] | None = None,
    ) -> Frame:
        arrived = arrive()
        for array in arrived.values():
            array.flags.writeable = False
        return Frame(
            index, arrived["image"], made_of.audio_time_s, self._clock.now(), made_of.revision, made_of.prompt,
            made_of.heard, made_of.seed, evaluations, on_gpu=on_gpu, mask=arrived.get("mask"),
            field=FieldScene(arrived["z"], arrived["prompt"], size) if size else None,
            picture_time_s=made_of.picture_time_s,
        )  # fmt: skip

    def _drawn(self, index: int, made_of: FrameMetadata, wait: Callable[[], DrawnFrame]) -> Frame:
        """A frame that was drawn elsewhere."""
        drawn = wait()
        if drawn.x0 is not None:
            self._feed(index, to_device(drawn.x0, self.model.device))
        return self._frame(index, lambda: drawn.arrays, None, made_of, drawn.evaluations)

    def _feed(self, index: int, x0: torch.Tensor) -> None:
        """Keep what the next frame may be fed, that of the newest: side by side they may end in any order."""
        with self._finishing:
            if index > self._last_index:
                self._last_x0, self._last_index = x0, index

    def tier(self, state: ShowState) -> Tier:
        """The guidance tier in force."""
        if state.guidance is GuidanceTier.AUTO:
            return Tier.BLEND if self.model.runner in SLOW_RUNNERS else Tier.SEMANTIC
        return Tier(state.guidance)

    def _guidance(self, state: ShowState) -> Guidance:
        """The plan's own strengths, and the operator's where there are any.

        A model that predicts x0 itself has no noise to lead away from: its latents would only be stretched.
        """
        asked = {name: getattr(state, name) for name in ("audio_scale", "quantile", "warmup")}
        asked = {name: value for name, value in asked.items() if value >= 0}
        if state.guidance_scale != 1.0:
            asked["guidance_scale"] = state.guidance_scale
            residual = min(max(state.guidance_scale, 1.0), MOST_RESIDUAL)
            asked["residual_scale"] = 1.0 if self.model.spec.prediction_type == "sample" else residual
        return replace(self.plan.guidance, **asked)

    def _conditions(self, state: ShowState, features: AudioFeatures, now_s: float) -> Conditions:
        text, uncond = self._prompts.tokens(state, now_s, features), self._prompts.uncond(state)
        sounds = self._slew(self._heard, features, now_s, state.slew_s, state.literal, self._lookahead_s())
        sounds = pushed(sounds, state.amount * (1 + ONSET_PUSH * features.onset))
        return Conditions(text, self._prompts.null, uncond, sounds)

    def _noise(self, state: ShowState, features: AudioFeatures, conditions: Conditions, now_s: float) -> torch.Tensor:
        """The latents this frame starts from: the seed's noise, moved by the music."""
        if self._walk is None or state.seed != self._seed:
            self._walk = self.new_walk(self.model.spec, state.seed, self.model.noise_flow)
            self._seed = state.seed
            with self._finishing:  # nor is it one of the old seed that is still under way
                self._last_x0, self._last_index = None, self._index
        dt_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        z = self._walk.advance(dt_s, state.motion, features.level, features.onset, conditions)
        if not torch.equal(z, self._z):
            self._z, self._noise_here = z, to_device(z, self.model.device)
        return self._noise_here

    def _start(self, state: ShowState, noise: torch.Tensor) -> tuple[Start, float]:
        """The live picture and its time, else at 0 the last frame as far as it is fed back, the picture, or noise."""
        if self._live and (live := self._live(state, noise, self._last_x0)):
            return live
        if state.feedback > 0 and self._last_x0 is not None:
            generator = torch.Generator().manual_seed(state.seed * 1_000_003 + self._index)
            fresh = to_device(torch.randn(noise.shape, generator=generator), self.model.device)
            return feed_back(self._last_x0, noise, fresh, state.feedback, state.motion), 0.0
        return Start(self._picture, noise, state.strength), 0.0


def _arrived(home: Mapping[str, Callable[[], np.ndarray]]) -> dict[str, np.ndarray]:
    """What was sent home; raises `NotFiniteError`."""
    arrived = {name: wait() for name, wait in home.items()}
    if not arrived["finite"].all():  # it would stay in what is fed back, and in what glides
        raise NotFiniteError("a frame of NaN or infinity was refused; the model begins anew")
    return arrived
