"""What a sound does to the picture, through a whole `Model`: sound -> encoder -> conditions -> sampler -> frame.

The world's fourteen pictures of the same noise and place say which condition a frame shows. Runs on any runner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tpos_models.contracts import AudioEmbedding, Model
from tpos_models.diffusion.conditioning import AudioTerm, Conditions, magnitude
from tpos_models.diffusion.guidance import Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.noise_motion import NoiseWalk
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.pocket.scene import CONDITIONS, PLACES, from_tokens
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.pocket.world.world import World
from tpos_models.training.audio.evaluation import UNSEEN_SEEDS, listen, spearman
from tpos_models.training.pictures.evaluation import every_condition

NEUTRAL = ("beach", "meadow", "city", "mountains", "lake")
"""Places whose name alone is the prompt: nothing in it speaks of weather."""
MOMENTS_S = (2.0, 3.0, 4.0)
"""Seconds into a sound at which its picture is looked at."""
GAINS_DB = tuple(range(-30, 1, 5))


@dataclass(frozen=True)
class Scene:
    """One prompt on one noise: `plain` (3, h, w) without sound, `world` (14, 3, h, w) under each condition."""

    conditions: Conditions
    z: torch.Tensor
    plain: torch.Tensor
    world: torch.Tensor


class Show:
    """A model played at amount 1 and motion 0, on a prompt that names a place and nothing else."""

    def __init__(self, model: Model, tier: Tier = Tier.SEMANTIC) -> None:
        self._model, self._tier = model, tier
        self._sample = LcmSampler(model.denoiser, NoiseSchedule(model.spec))
        self._null = model.text.encode([""]).tokens[0]

    @torch.no_grad()
    def scene(self, place: str, seed: int, world: World | None = None) -> Scene:
        """Prompt, noise and the pictures to compare with; without a world there are none of the latter."""
        text = self._model.text.encode([f"a {place}"]).tokens[0]
        conditions = Conditions(text, self._null, self._null)
        z = NoiseWalk(self._model.spec, seed, self._model.noise_flow).advance(0.0, 0.0, 0.0, 0.0, conditions)
        drawn = torch.zeros(0)
        if world is not None:
            drawn = world(z.expand(len(CONDITIONS), -1, -1, -1), every_condition([PLACES.index(place)]))
        plain = self._draw(conditions, z)
        return Scene(conditions, z, plain, drawn)

    def frame(self, scene: Scene, heard: AudioEmbedding) -> torch.Tensor:
        """The picture (3, h, w) while this is heard, as the live show samples it."""
        plain = scene.conditions
        sound = AudioTerm(heard.tokens, magnitude(heard))
        return self._draw(Conditions(plain.text, plain.null, plain.uncond, (sound,)), scene.z)

    def hear(self, samples: np.ndarray) -> list[AudioEmbedding]:
        """A clip from its start, hop by hop: a new stream."""
        return listen(self._model.audio, samples)

    @torch.no_grad()
    def _draw(self, conditions: Conditions, z: torch.Tensor) -> torch.Tensor:
        model = self._model
        latents = self._sample(SampleRequest(z, conditions, self._tier, model.spec.guidance)).x0
        return model.decoder(latents)[0]


def painted_by(world: World, model: Model) -> Model:
    """The model with the world in the place of its picture networks: what it then misses is the encoder's doing."""

    def draw(x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return world(x_t, from_tokens(tokens))

    return replace(model, denoiser=draw, decoder=lambda picture: picture)


def shown(frame: torch.Tensor, scene: Scene) -> str:
    """The condition whose picture of the world is nearest to the frame."""
    return CONDITIONS[int((scene.world - frame).square().mean((1, 2, 3)).argmin())]


def sounds_shown(
    model: Model, world: World, seeds: Sequence[int] = UNSEEN_SEEDS, names: Sequence[str] = CONDITIONS
) -> dict[str, Any]:
    """Share of frames, prompt naming a place and sound a condition, that show the condition; what was missed."""
    show, right = Show(model), {name: list[bool]() for name in names}
    for k, seed in enumerate(seeds):
        scene = show.scene(NEUTRAL[k % len(NEUTRAL)], seed, world)
        for name in names:
            for heard in at_moments(show.hear(synthesise(name, max(MOMENTS_S), seed))):
                right[name].append(shown(show.frame(scene, heard), scene) == name)
    missed = {name: hits.count(False) for name, hits in right.items() if not all(hits)}
    return {"sound_shown": 1 - sum(missed.values()) / sum(map(len, right.values())), "sound_missed": missed}


def louder_moves_further(
    model: Model,
    seeds: Sequence[int] = UNSEEN_SEEDS[:2],
    gains_db: Sequence[float] = GAINS_DB,
    names: Sequence[str] = CONDITIONS,
) -> dict[str, float]:
    """Spearman correlation, for each condition, of gain with the frames' distance from the plain one.

    The lowest over the seeds; a distance is the root mean square over pixels and moments.
    """
    show, ranks = Show(model), dict.fromkeys(names, 1.0)
    for k, seed in enumerate(seeds):
        scene = show.scene(NEUTRAL[k % len(NEUTRAL)], seed)
        for name in names:
            sound, distances = synthesise(name, max(MOMENTS_S), seed), []
            for gain_db in gains_db:
                heard = at_moments(show.hear(sound * np.float32(10 ** (gain_db / 20))))
                frames = torch.stack([show.frame(scene, one) for one in heard])
                distances.append(float((frames - scene.plain).square().mean().sqrt()))
            ranks[name] = min(ranks[name], spearman(np.array(gains_db), np.array(distances)))
    return ranks


@dataclass(frozen=True)
class Takeover:
    """A sound after another one's: seconds from its onset to the first frame that shows it, and whether it stays.

    `lost` is the share of the frames after that which show something else. A frame counts from the moment its newest
    sound was captured; where none shows it, `delay_s` is all the time there was.
    """

    name: str
    delay_s: float
    lost: float


def takeovers(
    model: Model,
    world: World,
    seeds: Sequence[int] = UNSEEN_SEEDS[:3],
    names: Sequence[str] = CONDITIONS,
    before_s: float = 3.0,
    after_s: float = 2.0,
) -> list[Takeover]:
    """Every condition's sound after another one's, on each seed."""
    show, found = Show(model), []
    for k, seed in enumerate(seeds):
        scene = show.scene(NEUTRAL[k % len(NEUTRAL)], seed, world)
        for name in names:
            old = CONDITIONS[(CONDITIONS.index(name) + 1 + 3 * k) % len(CONDITIONS)]
            clip = np.concatenate([synthesise(old, before_s, seed), synthesise(name, after_s, seed)])
            late = [heard for heard in show.hear(clip) if heard.time_s > before_s]
            hits = [shown(show.frame(scene, heard), scene) == name for heard in late]
            first = hits.index(True) if any(hits) else len(hits)
            delay_s = late[first].time_s - before_s if any(hits) else after_s
            found.append(Takeover(name, delay_s, hits[first:].count(False) / max(1, len(hits) - first)))
    return found


def evaluate_show(model: Model, world: World) -> dict[str, Any]:
    """The rows of the model card that need sound and picture together."""
    ranks = louder_moves_further(model)
    found = takeovers(model, world)
    delays = [one.delay_s for one in found]
    return {
        **sounds_shown(model, world),
        "picture_magnitude_spearman_lowest": min(ranks.values()),
        "picture_magnitude_missed": {name: round(rank, 2) for name, rank in ranks.items() if rank < 0.9},
        "picture_takeover_median_s": float(np.median(delays)),
        "picture_takeover_worst_s": max(delays),
        "picture_takeover_within_1_s": float(np.mean(np.array(delays) <= 1.0)),
        "picture_takeover_lost_again": float(np.mean([one.lost for one in found])),
    }


def at_moments(answers: Sequence[AudioEmbedding]) -> list[AudioEmbedding]:
    """The newest answers at MOMENTS_S."""
    return [[heard for heard in answers if heard.time_s <= moment_s][-1] for moment_s in MOMENTS_S]
