"""How good the pictures are, from seeds never trained on: the numbers of the model card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from tpos_models.contracts import Decoder, Denoiser
from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.guidance import Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.noise_motion import NoiseWalk
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.metrics.motion import follow
from tpos_models.pocket.codec import Codec
from tpos_models.pocket.field_painter import FieldPainter
from tpos_models.pocket.hypernetwork import Hypernetwork, prompt_features
from tpos_models.pocket.networks import SPEC
from tpos_models.pocket.noise_features import CELLS, Plane, cells_across
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, SCENE_SIZE, scene, to_tokens
from tpos_models.pocket.scene_flow import scene_flow
from tpos_models.pocket.world.world import World
from tpos_models.training.pictures.pictures import slopes
from tpos_models.training.pictures.samples import HELD_OUT, LAST, random_noise, random_scenes

Draw = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""z (B, 4, 32, 32) and scenes (B, SCENE_SIZE) to pictures."""

MOVING = (("beach", "waves"), ("forest", "fire"), ("meadow", "wind"), ("lake", "rain"))
"""What motion is measured on."""


def psnr(got: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
    """Peak signal to noise ratio of each picture in dB, values 0..1."""
    return -10 * torch.log10((got - want).square().mean((1, 2, 3)).clamp_min(1e-10))


def gradient_energy(picture: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between neighbouring pixels, per picture."""
    across, down = slopes(picture)
    return across.square().mean((1, 2, 3)) + down.square().mean((1, 2, 3))


def in_one_step(denoiser: Denoiser, decoder: Decoder) -> Draw:
    """The model's own drawing: one evaluation from z, decoded."""

    @torch.no_grad()
    def draw(z: torch.Tensor, scenes: torch.Tensor) -> torch.Tensor:
        t = torch.full((len(z),), LAST, device=z.device)
        return decoder(denoiser(z, t, to_tokens(scenes)))

    return draw


def in_steps(denoiser: Denoiser, decoder: Decoder, steps: int) -> Draw:
    """The same through the show's sampler, with as many steps."""
    sample, nothing = LcmSampler(denoiser, NoiseSchedule(SPEC)), to_tokens(scene())

    @torch.no_grad()
    def draw(z: torch.Tensor, scenes: torch.Tensor) -> torch.Tensor:
        said = [Conditions(text, nothing, nothing) for text in to_tokens(scenes)]
        drawn = [
            sample(SampleRequest(one[None], conditions, Tier.BLEND, SPEC.guidance, steps)).x0
            for one, conditions in zip(z, said, strict=True)
        ]
        return decoder(torch.cat(drawn))

    return draw


def by_field(field: Hypernetwork, size: tuple[int, int] = (256, 256)) -> Draw:
    """The field's drawing at a size (width, height), as a show on a CPU has it."""
    paint = FieldPainter(field, size, cells_across(*size))

    def draw(z: torch.Tensor, scenes: torch.Tensor) -> torch.Tensor:
        prompts = prompt_features(to_tokens(scenes), torch.full((len(z),), LAST))
        return torch.cat([paint(*one) for one in zip(z.split(1), prompts.split(1), strict=True)])

    return draw


def _samples(count: int, seed: int, cells: int = CELLS) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(HELD_OUT + seed)
    return random_noise(count, generator, cells), random_scenes(count, generator)


def sharpness(picture: torch.Tensor) -> torch.Tensor:
    """Gradient energy over that of the same picture shrunk to half and enlarged again, per picture: 1 is a blur."""
    half = F.interpolate(picture, scale_factor=0.5, mode="area")
    return gradient_energy(picture) / gradient_energy(F.interpolate(half, picture.shape[2:], mode="bilinear"))


@torch.no_grad()
def field_fidelity(field: Hypernetwork, count: int = 24, size: tuple[int, int] = (1280, 720)) -> dict[str, float]:
    """The field against the world drawn at the same size: PSNR, gradient energy, and how sharp both are."""
    cells = cells_across(*size)
    draw, world = by_field(field, size), World(Plane.of(*size), cells)
    found = []
    for z, scenes in zip(*(part.split(1) for part in _samples(count, 2, cells)), strict=True):
        got, want = draw(z, scenes), world(z, scenes)
        found.append((psnr(got, want), gradient_energy(got), gradient_energy(want), sharpness(got), sharpness(want)))
    quality, energy, energy_world, sharp, sharp_world = (torch.cat(values) for values in zip(*found, strict=True))
    return {
        "field_psnr_db": float(quality.mean()),
        "field_gradient_energy_ratio": float(energy.sum() / energy_world.sum()),
        "field_sharpness": float(sharp.median()),
        "world_sharpness": float(sharp_world.median()),
    }


@torch.no_grad()
def codec_fidelity(codec: Codec, world: World, count: int = 64) -> dict[str, float]:
    """PSNR of unseen world pictures through encoder and decoder."""
    z, scenes = _samples(count, 1)
    values = []
    for a, b in zip(z.split(16), scenes.split(16), strict=True):
        picture = world(a, b)
        values.append(psnr(codec.decoder(codec.encoder(picture)), picture))
    return {"codec_psnr_db": float(torch.cat(values).mean())}


@torch.no_grad()
def few_steps_fidelity(denoiser: Denoiser, decoder: Decoder, world: World, count: int = 24) -> dict[str, float]:
    """PSNR of two and of four steps against the world's picture."""
    z, scenes = _samples(count, 2)
    want = torch.cat([world(*part) for part in zip(z.split(8), scenes.split(8), strict=True)])
    return {
        f"{steps}_steps_psnr_db": float(psnr(in_steps(denoiser, decoder, steps)(z, scenes), want).mean())
        for steps in (2, 4)
    }


@torch.no_grad()
def one_step_fidelity(draw: Draw, world: Draw, count: int = 64) -> dict[str, float]:
    """PSNR and gradient energy of one step against the world's own picture for the same z and scene."""
    z, scenes = _samples(count, 2)
    quality, energy, energy_world = [], [], []
    for a, b in zip(z.split(16), scenes.split(16), strict=True):
        got, want = draw(a, b), world(a, b)
        quality.append(psnr(got, want))
        energy.append(gradient_energy(got))
        energy_world.append(gradient_energy(want))
    ratio = torch.cat(energy).sum() / torch.cat(energy_world).sum()
    return {"one_step_psnr_db": float(torch.cat(quality).mean()), "gradient_energy_ratio": float(ratio)}


def every_condition(places: list[int], strength: float = 1.0) -> torch.Tensor:
    """Scenes (len(places) * 14, SCENE_SIZE): each place under each condition."""
    scenes = torch.zeros(len(places), len(CONDITIONS), SCENE_SIZE)
    scenes[:, :, CONDITION] = torch.eye(len(CONDITIONS)) * strength
    for row, place in enumerate(places):
        scenes[row, :, PLACE.start + place] = 1
    return scenes.flatten(0, 1)


@torch.no_grad()
def conditions_shown(draw: Draw, world: World, places: list[int] | None = None) -> dict[str, Any]:
    """Share of pictures whose nearest among the world's fourteen for the same z and place is the one asked for."""
    places = list(range(len(PLACES))) if places is None else places
    right: dict[str, list[bool]] = {name: [] for name in CONDITIONS}
    for place in places:
        z, _ = _samples(1, 100 + place)
        z, scenes = z.expand(len(CONDITIONS), -1, -1, -1), every_condition([place])
        got, want = draw(z, scenes), world(z, scenes)
        nearest = torch.cdist(got.flatten(1), want.flatten(1)).argmin(1)
        for row, name in enumerate(CONDITIONS):
            right[name].append(int(nearest[row]) == row)
    missed = {name: hits.count(False) for name, hits in right.items() if not all(hits)}
    total = sum(len(hits) for hits in right.values())
    return {"condition_shown": 1 - sum(missed.values()) / total, "missed": missed}


@torch.no_grad()
def strengths_monotone(
    draw: Draw, place: int, levels: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
) -> dict[str, bool]:
    """Whether each condition moves the picture further from the plain one, the stronger it is."""
    z, _ = _samples(1, 200)
    answer = {}
    for row, name in enumerate(CONDITIONS):
        scenes = torch.stack([every_condition([place], level)[row] for level in levels])
        pictures = draw(z.expand(len(levels), -1, -1, -1), scenes)
        away = (pictures - pictures[:1]).square().mean((1, 2, 3)).sqrt()
        answer[name] = bool((away[1:] > away[:-1]).all())
    return answer


def _looks(pictures: torch.Tensor) -> torch.Tensor:
    """Colours and edges of pictures (B, 3, h, w), coarsely: (B, n)."""
    across, down = (slope.abs().mean(1, keepdim=True) for slope in slopes(pictures))
    parts = (pictures, 4 * across, 4 * down)
    return torch.cat([F.adaptive_avg_pool2d(part, (9, 16)).flatten(1) for part in parts], 1)


@torch.no_grad()
def places_told_apart(draw: Draw, world: World, known: int = 16, count: int = 4) -> dict[str, Any]:
    """Share of drawn pictures of a place, of `count` seeds each, whose nearest mean of the world's pictures, of `known`
    other seeds, is that place's; and which were taken for others."""
    scenes, cells = torch.zeros(len(PLACES), SCENE_SIZE), world.features.cells
    scenes[:, PLACE] = torch.eye(len(PLACES))

    def pictures(by: Draw, first: int, seeds: int) -> list[torch.Tensor]:
        noise = (_samples(1, 1000 + first + k, cells)[0].expand(len(PLACES), -1, -1, -1) for k in range(seeds))
        return [_looks(by(z, scenes)) for z in noise]

    means = torch.stack(pictures(world, 0, known)).mean(0)
    taken = torch.stack([torch.cdist(drawn, means).argmin(1) for drawn in pictures(draw, known, count)])
    wrong = taken != torch.arange(len(PLACES))
    missed = {PLACES[place]: PLACES[int(taken[row, place])] for row, place in wrong.nonzero().tolist()}
    return {"places_told_apart": 1 - float(wrong.float().mean()), "taken_for": missed}


@torch.no_grad()
def motion_error_ratio(draw: Draw, world: World, frames: int = 6, seconds: float = 0.1) -> dict[str, float]:
    """What dense optical flow cannot explain between frames of a moving z: the model's over the world's own.

    Scenes with much motion, `seconds` of music at motion 1 from frame to frame.
    """
    errors: dict[str, list[float]] = {"model": [], "world": []}
    for number, (place, condition) in enumerate(MOVING):
        text = to_tokens(scene({place: 1.0}, {condition: 0.9}))
        conditions, walk = Conditions(text, to_tokens(scene()), to_tokens(scene())), NoiseWalk(SPEC, number, scene_flow)
        z = torch.cat([walk.advance(seconds, 1.0, 0.6, 0.0, conditions) for _ in range(frames)])
        scenes = scene({place: 1.0}, {condition: 0.9}).expand(frames, -1)
        for name, painter in (("model", draw), ("world", world)):
            small = F.interpolate(painter(z, scenes), size=128, mode="area")
            _, squared, visible = follow(small[:-1], small[1:])
            errors[name].append(squared / max(1.0, visible))
    return {"motion_warp_error_ratio": sum(errors["model"]) / sum(errors["world"])}
