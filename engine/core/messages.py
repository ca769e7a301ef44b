"""What crosses threads. All of it is frozen, and carries the capture time of the audio that shaped it.

Times are seconds on the show's clock (`engine.core.clock`): `time.monotonic` live, the sample count offline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class AudioFeatures:
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
    state: str
    """"ok", "silence", "clipping" or "lost" (no samples arrive)."""


SILENCE = AudioFeatures(0.0, -90.0, 0.0, (0.0, 0.0, 0.0, 0.0), 0.0, False, 0.0, 0.0, 0.0, 0, "silence")


@dataclass(frozen=True, slots=True, eq=False)
class SoundWindow:
    """The newest stretch of a stream: mono float32 (n,) at 44.1 kHz after gain, a copy, newest last.

    `end_index` counts the stream's samples up to and including the last one: samples[i] is number end_index - n + i.
    """

    samples: np.ndarray
    end_index: int
    time_s: float
    """Capture time of the last sample."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One weighted line of text; `weight` 0..1."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """hear -> show: in proportion to how much the sound resembles `hear`, `show` joins the guidance."""

    hear: str
    show: str
    amount: float = 1.0


@dataclass(frozen=True, slots=True)
class ShaderAmounts:
    """How strongly the reactive layer answers the music, each 0..1."""

    zoom: float = 0.35
    warp: float = 0.25
    glow: float = 0.35
    colour: float = 0.25
    grain: float = 0.1
    beat_pulse: float = 0.3


@dataclass(frozen=True, slots=True)
class ShowState:
    """Everything the operator decides; replaced whole, never changed in place."""

    revision: int = 0
    preset: str = ""
    prompts: tuple[Prompt, ...] = (Prompt("a beach at sunset"),)
    negative: str = ""
    fade_s: float = 0.0
    """Seconds over which the newest prompts replace the ones before."""
    rules: tuple[Rule, ...] = ()
    guidance: str = "auto"
    """"blend", "semantic", "reference", or "auto": by hardware."""
    guidance_scale: float = 1.0
    amount: float = 1.0
    """How much the sound steers the picture, 0 = the plain prompt, 1 = full; scaled by loudness and beta."""
    audio_gain_db: float = 0.0
    agc: bool = True
    motion: float = 0.5
    strength: float = 0.6
    """How far a frame leaves the picture the show starts from, 0..1; of no meaning without one."""
    feedback: float = 0.0
    """How much of the last frame stays in the next, 0..1."""
    steps: int = 1
    seed: int = 0
    tempo_bpm: float = 0.0
    """Operator's tempo; 0 follows the music."""
    shader: ShaderAmounts = ShaderAmounts()
    flash_limiter: bool = True
    fit: str = "fill"
    """"fill" crops the picture to the window, "fit" letterboxes it."""
    freeze: bool = False
    blackout: bool = False
    blackout_fade_s: float = 0.0
    recording: bool = False
    cue: int = -1
    """Index of the current cue, -1 before the first."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One phrase the encoder recognises in the sound, `weight` 0..1."""

    phrase: str
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One sampled picture: RGB uint8 (height, width, 3), read-only."""

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
