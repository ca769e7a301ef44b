"""`pocket`'s ear, from nothing to hearing.safetensors: its stages in order, and what they learn from."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from tpos_models.contracts import TextSpace
from tpos_models.pocket.audio_networks import AudioEncoderNet, save_net
from tpos_models.training import loop
from tpos_models.training.audio.corpus import collected
from tpos_models.training.audio.data import Clip, Kind, attribution, recorded_clips, synthetic_clips
from tpos_models.training.audio.encoder import AudioEncoderStage, TemporalStage, joint_of
from tpos_models.training.audio.mixtures import load_mixtures
from tpos_models.training.audio.taught import TaughtStage
from tpos_models.training.loop import Paced, Recipe


class Recipes(NamedTuple):
    """Of an encoder's stages: where there are mixtures `taught`, `after`, `settled`, else `segments`; then `time`."""

    segments: Recipe = Recipe(24_000, lr=3e-3, lr_end=3e-4, warmup=100, weight_decay=5e-2, ema=0.998, clip=2.0)
    taught: Recipe = Recipe(17_000, lr=3e-3, weight_decay=3e-2, ema=0.998, clip=3.0)
    after: Recipe = Recipe(8000, lr=2e-3, lr_end=1e-4, weight_decay=5e-2, ema=0.998, clip=2.0)
    settled: Recipe = Recipe(5000, lr=6e-4, lr_end=5e-5, warmup=50, weight_decay=5e-2, ema=0.998, clip=2.0)
    time: Recipe = Recipe(3000, lr=3e-3, warmup=50, weight_decay=0.0, ema=0.99, clip=2.0)

    def of(self, steps: int) -> Recipes:
        """All so long."""
        return Recipes(*(replace(recipe, steps=steps) for recipe in self))


RECIPES = Recipes()
RUNS = 2
"""So often the whole encoder learns after its backbone, from one start; see `mean_of_runs`."""
SETTLED_TAKEN_OVER = 0.4
"""Share of takeovers among the scenes of `settled`."""
GENTLE = 0.2
"""How fast the backbone goes on learning that teachers taught, of the rate of all else."""
_BACKBONE = re.compile(r"encoder\.conv\b|feature_extractor\.(?!fc\b)")


def gently(module: nn.Module, recipe: Recipe) -> list[Paced]:
    """AdamW for what reads the backbone's features, and a slower one for the backbone, which mixtures taught more."""
    parts: dict[bool, nn.ParameterList] = {False: nn.ParameterList(), True: nn.ParameterList()}
    for name, parameter in module.named_parameters():
        parts[bool(_BACKBONE.search(name))].append(parameter)
    slower = replace(recipe, lr=GENTLE * recipe.lr, lr_end=GENTLE * recipe.lr_end)
    return loop.adamw(parts[False], recipe) + loop.adamw(parts[True], slower)


def mean_of_runs(stage: loop.Stage, folder: Path, recipe: Recipe) -> None:
    """Train a stage RUNS times from where it is, each time on other scenes, and leave it with the mean of the weights.

    The mean hears less that is not there than any of them (model soups, Wortsman et al., 2022).
    """
    module = stage.module
    start = {name: value.clone() for name, value in module.state_dict().items()}
    found = []
    for seed in range(recipe.seed, recipe.seed + RUNS):
        stage.module = module
        module.load_state_dict(start)
        found.append(loop.run(stage, folder.with_name(f"{folder.name}-{seed}"), replace(recipe, seed=seed), gently))
    stage.module = module
    counted = {name: value for name, value in found[0].items() if not value.is_floating_point()}
    means = {name: torch.stack([one[name] for one in found]).mean(0) for name in start if name not in counted}
    module.load_state_dict(means | counted)


@dataclass(frozen=True)
class Heard:
    """What is learned from beside synthesised sounds: labelled recordings, and a corpus that teachers listened to.

    Of both, what begins with one of `held_out` is left for evaluation: files of the one, paths of the other.
    """

    recordings: Path | None = None
    corpus: Path | None = None
    held_out: tuple[str, ...] = ()

    def clips(self) -> list[Clip]:
        """All of them, as decibels."""
        labelled = recorded_clips(self.recordings, self.held_out) if self.recordings else []
        return labelled + (collected(self.corpus, self.held_out) if self.corpus else [])


def train_audio_encoder(
    runs: Path,
    weights_folder: Path,
    text: TextSpace,
    heard: Heard = Heard(),
    recipes: Recipes = RECIPES,
    seeds: int = 32,
) -> AudioEncoderNet:
    """Train all stages on synthesised sounds and what else is `heard`; save hearing.safetensors.

    The last stage meets synthesised sounds that the one before has not heard. Resumes what `runs` holds.
    """
    runs.mkdir(parents=True, exist_ok=True)
    joint, started = joint_of(text), time.monotonic()
    clips = heard.clips()
    torch.manual_seed(recipes.segments.seed)
    mixtures = load_mixtures(heard.corpus) if heard.corpus else None
    first = AudioEncoderStage(synthetic_clips(range(seeds), 5.0) + clips, joint, mixtures, batch=24 if mixtures else 40)
    net, whole = first.net, first.module
    if mixtures and first.taught:
        listener = TaughtStage(net.encoder, first.taught, mixtures)
        reader = listener.module
        reader.load_state_dict(loop.run(listener, runs / "taught", recipes.taught))
        mean_of_runs(first, runs / "segments", recipes.after)
        first.taken_over = SETTLED_TAKEN_OVER
        mean_of_runs(first, runs / "settled", recipes.settled)
        used = [recipes.taught, recipes.after, recipes.settled]
    else:
        whole.load_state_dict(loop.run(first, runs / "segments", recipes.segments))
        used = [recipes.segments]
    second = TemporalStage(net, synthetic_clips(range(seeds, 2 * seeds), 5.0) + clips, joint)
    temporal = second.module
    temporal.load_state_dict(loop.run(second, runs / "time", recipes.time))
    second.keep_phrases()
    recorded = sorted({clip.group for clip in clips if clip.kind is Kind.LABELLED})
    record: dict[str, object] = {
        "steps": [recipe.steps for recipe in (*used, recipes.time)],
        "seconds": round(time.monotonic() - started),
        "seed": recipes.segments.seed,
        "recordings": recorded,
        "corpus": sorted(
            {clip.group.split("/")[0] for clip in clips if clip.kind not in (Kind.LABELLED, Kind.SYNTHETIC)}
        ),
        "mixtures": len(mixtures.db) if mixtures else 0,
        "attribution": attribution(heard.recordings, recorded) if heard.recordings else [],
    }
    save_net(net, weights_folder, record)
    return net
