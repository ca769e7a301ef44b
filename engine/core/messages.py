"""What crosses threads. All of it is frozen, and carries the capture time of the audio that shaped it.

Times are seconds on the show's clock (`engine.core.clock`): `time.monotonic` live, the sample count offline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated

import numpy as np

from engine.core.beat_grid import CLOCK, ORDER, QUANTISE, TEMPO, BeatGrid, ClockSource, Quantise
from engine.core.course import Course, Follow
from engine.core.effects import NO_EFFECTS, EffectAmounts
from engine.core.field_scene import DevicePixels, FieldScene
from engine.core.isf import IsfLayer
from engine.core.parameters import Curve, Parameter
from engine.core.sound_shape import STILLNESS, SoundShape
from engine.core.stems import Stem
from tpos_models.audio.loudness import ROOM_DB

MAX_SEED = 2**31 - 1
MAX_LORA = 4.0
"""A LoRA's strength lies within this, either side of 0."""


class SoundState(StrEnum):
    """How the input stands; LOST: no samples arrive."""

    OK = "ok"
    SILENCE = "silence"
    CLIPPING = "clipping"
    LOST = "lost"


class GuidanceTier(StrEnum):
    """How sound steers the picture (`tpos_models.diffusion.guidance`); AUTO: by what the hardware affords."""

    AUTO = "auto"
    BLEND = "blend"
    SEMANTIC = "semantic"
    REFERENCE = "reference"


class Fit(StrEnum):
    """FILL crops the picture to the output, FIT letterboxes it."""

    FILL = "fill"
    FIT = "fit"


@dataclass(frozen=True, slots=True)
class AudioFeatures(Course):
    """One analysis hop (<= 512 samples). Levels and bands are 0..1 after automatic gain."""

    time_s: float
    """Capture time of the hop's newest sample."""
    loudness_db: float
    """RMS of the hop before automatic gain, 0 dB = full scale, floor -90."""
    level: float
    """Smoothed loudness after automatic gain and trim, 0..1."""
    bands: tuple[float, float, float, float]
    """Bass (20-150 Hz), mid (150-1500), high-mid (1.5-6 kHz), high (6-16 kHz), each 0..1 against its own history."""
    onset: float
    """Onset strength, 0..1, decays after a hit: what the shader layer follows."""
    hit: bool
    """An onset was detected in this hop."""
    bpm: float
    """Tempo, 0 while unknown."""
    tempo_confidence: float
    """0..1."""
    beat_phase: float
    """0 at the beat, rising to 1 just before the next."""
    beat: int
    """Beats counted since the start: changes exactly at a beat."""
    state: SoundState
    stems: tuple[tuple[str, AudioFeatures], ...] = ()
    """Those of each stem, by name, in the same hop."""
    clock: ClockSource = ClockSource.EAR
    """Whose beat it is."""
    shape: SoundShape = field(default=STILLNESS, compare=False, repr=False)
    """Its newest samples and their spectrum, to be drawn."""

    def carried(self, by_s: float) -> AudioFeatures:
        """With beat and bar carried on at the tempo by so many seconds, or back."""
        beats = self.beat_phase + by_s * self.bpm / 60
        whole = math.floor(beats)
        bars, bar_beat = divmod(self.bar_beat + whole, self.beats_per_bar)
        return replace(self, beat=self.beat + whole, beat_phase=beats - whole, bar=self.bar + bars, bar_beat=bar_beat)

    @property
    def pulse(self) -> float:
        """1 at the beat, gone half a beat later; only as far as the tempo is known."""
        return self.in_time * max(0.0, 1.0 - 2.0 * self.beat_phase) ** 2

    @property
    def in_time(self) -> float:
        """How surely there is a beat now, 0..1: a tempo that is remembered through silence is none."""
        heard = self.bpm > 0.0 and self.state in (SoundState.OK, SoundState.CLIPPING)
        return self.tempo_confidence if heard else 0.0

    def strength(self, of: Follow, stem: str = "") -> float:
        """How strong one of them is now, 0..1, in the stem that is named, if any; none in one that is not there."""
        if stem:
            return dict(self.stems).get(stem, SILENCE).strength(of)
        moving = (self.level, *self.bands, self.onset, self.pulse, self.breakdown, self.build, self.drop)
        return dict(zip(Follow, moving, strict=True))[of]


SILENCE = AudioFeatures(0.0, -90.0, 0.0, (0.0, 0.0, 0.0, 0.0), 0.0, False, 0.0, 0.0, 0.0, 0, SoundState.SILENCE)


@dataclass(frozen=True, slots=True, eq=False)
class SoundWindow:
    """The newest stretch of a stream: mono float32 (n,) at 44.1 kHz after gain, a copy, newest last.

    `end_index` counts the stream's samples up to and including the last one: samples[i] is number end_index - n + i.
    """

    samples: np.ndarray
    end_index: int
    time_s: float
    """Capture time of the last sample."""
    gain_db: float = 0.0
    """What automatic gain has added to the newest."""
    room_db: float = ROOM_DB
    """How loud this input usually is, over minutes, before automatic gain."""
    stems: tuple[tuple[str, SoundWindow], ...] = ()
    """The same stretch of each stem, by name."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One weighted line of text; `weight` 0..1."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """hear -> show: in proportion to how much the sound resembles `hear`, `show` joins the guidance.

    One that follows something of the music's movement hears no phrase, and is as strong as that is in this moment. Both
    listen to the stem of that name, "" being the main mix. What is `beatless` fades in a beat where it is doubtful.
    Quantised, its strength changes on lines of the music only.
    """

    hear: str
    show: str
    amount: float = 1.0
    follow: Follow | None = None
    stem: str = ""
    beatless: bool = False
    quantise: Quantise = Quantise.NOW


@dataclass(frozen=True, slots=True)
class LoraStrength:
    """How strongly a LoRA that was loaded with the model counts, -4..4; `name` is its file's stem."""

    name: str
    strength: float = 1.0


def _layer(doc: str, low: float = 0.0) -> Parameter:
    return Parameter(f"Reactive layer: {doc}.", low, group="reactive layer")


@dataclass(frozen=True, slots=True)
class ShaderAmounts:
    """How strongly the reactive layer answers the music, and where, each 0..1; `fly`, `turn` -1..1."""

    zoom: Annotated[float, _layer("zoom on every hit")] = 0.35
    warp: Annotated[float, _layer("the bass bends the picture")] = 0.25
    glow: Annotated[float, _layer("bright parts glow with level and highs")] = 0.35
    colour: Annotated[float, _layer("hue and saturation follow the sound")] = 0.25
    grain: Annotated[float, _layer("film grain, more with the highs")] = 0.1
    beat_pulse: Annotated[float, _layer("a pulse on every beat, in the picture's own colours")] = 0.3
    local: Annotated[float, _layer("1 keeps it to where the sound is drawn, blend tier apart")] = 0.0
    fly: Annotated[float, _layer("the camera flies on and on with the beat, below 0 backwards", -1.0)] = 0.0
    turn: Annotated[float, _layer("the camera turns the picture with the beat, below 0 to the left", -1.0)] = 0.0
    sway: Annotated[float, _layer("the camera sways with the bar")] = 0.0


def _sound(doc: str, path: str, high: float = 1.0, unit: str = "", look: bool = True) -> Parameter:
    where = f"/tpos/audio/{path}"
    return Parameter(doc, high=high, unit=unit, group="sound", preset=look, cue=look, path=where)


def _semantic(doc: str, path: str, high: float = 1.0) -> Parameter:
    words = f"Semantic guidance: {doc}; below 0 the model's own."
    return Parameter(words, -1.0, high, group="sound", cue=False, path=f"/tpos/audio/{path}")


def _stage(doc: str, path: str = "") -> Parameter:
    return Parameter(doc, group="stage", preset=False, cue=False, option=False, path=path)


@dataclass(frozen=True, slots=True)
class ShowState:
    """Everything the operator decides; replaced whole, never changed in place.

    A field annotated with a `Parameter` can be set from presets, OSC and the command line; nothing else declares it.
    """

    revision: int = 0
    preset: str = ""
    prompts: tuple[Prompt, ...] = (Prompt("a beach at sunset"),)
    negative: Annotated[str, Parameter("What not to show; heeded in the reference tier.", group="prompt")] = ""
    fade_s: float = 0.0
    fade_bars: float = 0.0
    """How long it takes until the newest prompts have replaced the ones before; in bars where there are any."""
    rules: tuple[Rule, ...] = ()
    stems: tuple[Stem, ...] = ()
    """As the preset says; `patched` by the next they are those in force."""
    patch: tuple[Stem, ...] = ()
    """Where stems of these names lie on this input, whatever a preset says."""
    loras: tuple[LoraStrength, ...] = ()
    """Every LoRA that is loaded, in the order of the command line."""
    guidance: Annotated[
        GuidanceTier,
        Parameter("Evaluations a step: blend 1, semantic 2, reference 3; auto by hardware.", group="sound", cue=False),
    ] = GuidanceTier.AUTO
    guidance_scale: Annotated[
        float,
        Parameter(
            "Guidance of the prompt, classifier-free or, up to 2, residual (blend, semantic); 1 is the model's own.",
            high=20.0,
            group="prompt",
        ),
    ] = 1.0
    amount: Annotated[float, _sound("How much the sound steers the picture; 0 is the plain prompt.", "amount")] = 1.0
    literal: Annotated[
        float, _sound("How much of the sound itself is drawn; at 0 only what rules show.", "literal")
    ] = 1.0
    audio_scale: Annotated[float, _semantic("k, how strongly sound steers at amount 1", "scale", 20.0)] = -1.0
    quantile: Annotated[float, _semantic("q, the share of the picture that sound leaves alone", "quantile")] = -1.0
    warmup: Annotated[float, _semantic("the share of the steps, noisiest first, without sound", "warmup")] = -1.0
    slew_s: Annotated[
        float, _sound("Time constant with which the picture follows a new sound; 0 cuts.", "slew", 10.0, "s")
    ] = 0.4
    mask: Annotated[
        bool,
        Parameter(
            "Report with each frame where the sound is drawn, as `/tpos/status/mask`.",
            group="sound",
            cue=False,
            option=False,
        ),
    ] = False
    audio_gain_db: Annotated[
        float,
        Parameter(
            "Input trim; over OSC 0 is -24 dB, 0.5 is 0 dB, 1 is +24 dB.",
            -24.0,
            24.0,
            "dB",
            "sound",
            Curve.NORMALISED,
            preset=False,
            cue=False,
            path="/tpos/audio/gain",
        ),
    ] = 0.0
    agc: Annotated[bool, _sound("Automatic gain, or the input's level as it is.", "agc", look=False)] = True
    motion: Annotated[float, Parameter("How much the picture moves by itself; 0 is a still.")] = 0.5
    strength: Annotated[
        float, Parameter("How far frames leave the picture they start from, `--init-image` or `--video-in`.")
    ] = 0.6
    feedback: Annotated[float, Parameter("How much of the last frame stays in the next.")] = 0.0
    steps: Annotated[int, Parameter("Sampling steps a frame, as many as the model knows.", 1, 8, cue=False)] = 1
    seed: Annotated[int, Parameter("Another composition.", high=MAX_SEED)] = 0
    tempo_bpm: Annotated[float, TEMPO] = 0.0
    clock: Annotated[str, CLOCK] = ORDER
    grids: tuple[BeatGrid, ...] = ()
    """Of every other clock that runs."""
    quantise: Annotated[Quantise, QUANTISE] = Quantise.NOW
    taps_s: tuple[float, ...] = ()
    """When the operator tapped the beat, oldest first: two or more set the tempo, until a tempo is set."""
    shader: ShaderAmounts = ShaderAmounts()
    effects: EffectAmounts = NO_EFFECTS
    isf: tuple[IsfLayer, ...] = ()
    flash_limiter: Annotated[
        bool, Parameter("At most three flashes a second over large areas (WCAG 2.3.1).", group="stage", cue=False)
    ] = True
    fit: Annotated[
        Fit, Parameter("fill crops the picture to the window, fit letterboxes it.", group="stage", cue=False)
    ] = Fit.FILL
    follow: Annotated[bool, _stage("Cues that say so go on to the next by themselves.")] = True
    freeze: Annotated[bool, _stage("Hold the picture.")] = False
    blackout: Annotated[bool, _stage("Black, faded in and out.")] = False
    blackout_fade_s: float = 0.0
    blackout_fade_bars: float = 0.0
    safe: Annotated[bool, _stage("The look of the preset `safe`, at once; off: back to where the show was.")] = False
    recording: Annotated[bool, _stage("Record.", "/tpos/record")] = False
    cue: int = -1
    """Index of the current cue, -1 before the first."""
    place: int = -1
    """Index in the set list, -1 before its first preset."""

    @property
    def masked(self) -> bool:
        """Whether anybody wants to know where the sound is drawn."""
        return self.mask or self.shader.local > 0


@dataclass(frozen=True, slots=True)
class Heard:
    """One phrase the encoder recognises in the sound, `weight` 0..1."""

    phrase: str
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One sampled picture: opaque RGBA uint8 (height, width, 4), read-only; of no size where `field` says it."""

    index: int
    image: np.ndarray
    audio_time_s: float
    """Capture time of the newest audio that shaped it."""
    time_s: float
    """When it was finished."""
    revision: int
    """`ShowState.revision` it was sampled with."""
    prompt: str
    heard: tuple[Heard, ...]
    seed: int
    evaluations: int
    """Network evaluations it took."""
    still_until_s: float = 0.0
    """When it was begun, where the picture had stood still until then: nothing had changed, or the show was frozen."""
    on_gpu: DevicePixels | None = None
    """The same bytes in the memory of the GPU that drew it, finished and never changed; None where a CPU did."""
    mask: np.ndarray | None = None
    """Where the sound is drawn (`tpos_models.diffusion.local_mask`): float32 (h, w) of the latents, 0..1, read-only.

    None where nobody wants to know, or the tier cannot tell.
    """
    field: FieldScene | None = None
    picture_time_s: float = 0.0
    """When the live picture that it starts from was captured; 0 where it starts from none."""
