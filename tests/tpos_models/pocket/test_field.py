"""The field: pictures of any shape and size, drawn on a CPU as the hypernetwork says, and steered as tokens are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tpos_models.contracts import Model
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Tier
from tpos_models.diffusion.sampler import Sampled, SampleRequest
from tpos_models.pocket import field_kernel
from tpos_models.pocket.field import View, load_field
from tpos_models.pocket.field_painter import FieldPainter
from tpos_models.pocket.hypernetwork import Hypernetwork, prompt_features
from tpos_models.pocket.model import as_field, load
from tpos_models.pocket.networks import SPEC, WEIGHTS
from tpos_models.pocket.noise_features import CELLS, NoiseFeatures, Plane, cells_across, interpolated
from tpos_models.pocket.scene import CONDITIONS, PLACES, scene, to_tokens
from tpos_models.pocket.world.world import World
from tpos_models.training.pictures import evaluation as evaluate

SIZE, WIDE = (192, 108), 64


@pytest.fixture(scope="module")
def field() -> Hypernetwork:
    return load_field(WEIGHTS)


@pytest.fixture(scope="module")
def model() -> Model:
    return as_field(load(), SIZE)


def noise(cells: int = WIDE, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 4, CELLS, cells, generator=torch.Generator().manual_seed(seed))


def prompt(place: str, **conditions: float) -> torch.Tensor:
    return prompt_features(to_tokens(scene({place: 1.0}, conditions)[None]), torch.tensor([999]))


@pytest.mark.parametrize(
    ("size", "cells"), [((256, 256), 32), ((1080, 1920), 32), ((1920, 1080), 64), ((300, 256), 40)]
)
def test_z_has_cells_for_all_that_a_picture_shows(size: tuple[int, int], cells: int) -> None:
    assert cells_across(*size) == cells
    assert (cells - CELLS) % 8 == 0  # so that blocks of four cells lie where the square has them
    assert cells * size[1] >= CELLS * size[0]


def test_one_place_whatever_the_size() -> None:
    """Pixels of a small picture are means of the large one's: the world's composition knows no size."""
    scenes = scene({"mountains": 1.0})[None]
    small, large = (World(Plane.of(*size), WIDE)(noise(), scenes) for size in ((160, 90), (640, 360)))
    shrunk = torch.nn.functional.interpolate(large, (90, 160), mode="area")
    assert (shrunk - small).abs().mean() < 0.01


def test_a_portrait_is_the_middle_of_the_square() -> None:
    """A printed picture knows its border, so not within two pixels of it."""
    z, scenes = noise(CELLS), scene({"city": 1.0}, {"rain": 0.8})[None]
    square, portrait = (World(Plane.of(*size))(z, scenes) for size in ((320, 320), (180, 320)))
    torch.testing.assert_close(portrait[..., 2:-2], square[..., 72:-72], atol=2e-5, rtol=0)


def test_smooth_maps_are_linear_between_four_samples_a_cell() -> None:
    z = noise()[0, 1]
    at = torch.linspace(9, 23, 301, dtype=torch.float64)
    samples = (np.arange(4 * WIDE) + 0.5) / 4 - 0.5
    distance = (samples[:, None] - np.arange(WIDE)[None] + WIDE / 2) % WIDE - WIDE / 2
    weights = np.exp(-0.5 * (distance / 1.5) ** 2)
    known = (weights / np.linalg.norm(weights, axis=1, keepdims=True)) @ z.numpy().astype(float).T
    wanted = np.stack([np.interp(at.numpy(), samples, line) for line in known.T])
    np.testing.assert_allclose((interpolated(1.5, at, WIDE) @ z.T).T, wanted, atol=2e-5)


def test_features_of_a_square_are_those_of_every_pixel_alone() -> None:
    z, plane = noise(CELLS), Plane.of(48, 48)
    alone = NoiseFeatures(Plane(plane.y[7:8], plane.x[31:32], 48)).maps(z)
    torch.testing.assert_close(NoiseFeatures(plane).maps(z)[..., 7:8, 31:32], alone, atol=1e-5, rtol=0)


def plainly(field: Hypernetwork, size: tuple[int, int], z: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Every pixel through the whole network in torch, all of its conditions."""
    view = View(Plane.of(*size), z.shape[3])
    with torch.no_grad():
        return (field.colours(view.maps(z), asked, view.sampled) / 3 + 0.5).clamp(0, 1).view(1, 3, size[1], size[0])


@pytest.mark.parametrize("size", [SIZE, (101, 67), (60, 110)])
@pytest.mark.parametrize(
    "conditions", [{}, {"rain": 0.9}, {"rain": 0.9, "night": 0.5}, dict.fromkeys(("snow", "fog", "fire"), 0.7)]
)
def test_the_painter_draws_what_the_hypernetwork_says(
    field: Hypernetwork, size: tuple[int, int], conditions: dict[str, float]
) -> None:
    cells = cells_across(*size)
    z, asked = noise(cells), prompt("city", **conditions)
    drawn = FieldPainter(field, size, cells)(z, asked, everywhere=True)
    torch.testing.assert_close(drawn, plainly(field, size, z, asked), atol=1e-4, rtol=0)


def test_it_draws_every_place_and_condition(field: Hypernetwork) -> None:
    size = (64, 36)
    paint = FieldPainter(field, size, WIDE)
    for k, place in enumerate(PLACES):
        shown = {CONDITIONS[(3 * k + i) % len(CONDITIONS)]: strength for i, strength in enumerate((1.5, 0.6, 0.1))}
        z, asked = noise(seed=k), prompt(place, **shown)
        torch.testing.assert_close(paint(z, asked, True), plainly(field, size, z, asked), atol=2e-4, rtol=0)


def test_a_picture_comes_out_the_same_bit_for_bit(field: Hypernetwork) -> None:
    """Again, by another painter, and beside others; and whatever is shown, nothing is compiled in mid-show."""
    paint, asked = (
        FieldPainter(field, SIZE, WIDE),
        [prompt("forest", **dict.fromkeys(CONDITIONS[:k], 0.5)) for k in range(4)],
    )
    first = [paint(noise(), one) for one in asked]
    with ThreadPoolExecutor(4) as beside:
        again = list(beside.map(lambda one: paint(noise(), one), asked))
    for one, other, wanted in zip(again, asked, first, strict=True):
        assert torch.equal(one, wanted)
        assert torch.equal(FieldPainter(field, SIZE, WIDE)(noise(), other), wanted)
    assert len(field_kernel.paint.signatures) == 1


def test_what_is_taken_for_flat_is_flat(field: Hypernetwork) -> None:
    paint = FieldPainter(field, (640, 360), WIDE)
    for place, condition in (("beach", "waves"), ("galaxy", "night"), ("campfire", "fire")):
        quick, whole = (paint(noise(), prompt(place, **{condition: 0.9}), everywhere=all_) for all_ in (False, True))
        off = (quick - whole).abs().amax(1)
        assert (off > 8 / 255).float().mean() < 2e-3
        assert off[:, ::2, ::2].max() < 1e-4


def _request(tier: Tier, weight: float, **changes: Any) -> SampleRequest:
    null = to_tokens(scene())
    sounds = (
        AudioTerm(to_tokens(scene({}, {"rain": 1.0})), weight),
        AudioTerm(to_tokens(scene({}, {"fog": 0.5})), weight),
    )
    conditions = Conditions(to_tokens(scene({"city": 1.0}, {"night": 0.4})), null, null, sounds)
    return replace(SampleRequest(noise(), conditions, tier, SPEC.guidance), **changes)


@pytest.mark.parametrize("tier", list(Tier))
def test_guidance_acts_on_the_scene(model: Model, field: Hypernetwork, tier: Tier) -> None:
    """By hand: each sound adds its conditions times its weight; without a say the picture is the prompt's, bit for bit.

    At the reference tier's scale of 1 the prompt itself is not stretched. Scenes that were put together otherwise
    differ in their last bits.
    """
    paint = FieldPainter(field, SIZE, WIDE)

    def off(frame: Sampled, **conditions: float) -> int:
        assert frame.pixels is not None
        drawn = (paint(noise(), prompt("city", **conditions))[0] * 255).round().permute(1, 2, 0)
        return int((frame.pixels[..., :3] - drawn).abs().max())

    steered, plain = model.sampler(_request(tier, 0.6)), model.sampler(_request(tier, 0.0))
    alone = Conditions(to_tokens(scene({"city": 1.0}, {"night": 0.4})), to_tokens(scene()), to_tokens(scene()))
    assert torch.equal(plain.pixels, model.sampler(_request(tier, 0.0, conditions=alone)).pixels)
    assert off(plain, night=0.4) <= 1
    assert off(steered, night=0.4, rain=0.6, fog=0.3) <= 2
    assert steered.pixels.shape == (108, 192, 4)
    assert (steered.pixels[..., 3] == 255).all()


@pytest.mark.parametrize("tier", list(Tier))
def test_numbers_instead_of_pixels_say_the_same_picture(model: Model, field: Hypernetwork, tier: Tier) -> None:
    """And nothing is painted for them; without a say of the sound's they are the plain prompt's."""
    for weight in (0.0, 0.6):
        whole, sent = (model.sampler(_request(tier, weight, pixels=pixels)) for pixels in (True, False))
        assert sent.pixels.shape == (0, 0, 4)
        assert whole.numbers is None
        assert sent.numbers.size == SIZE
        painted = FieldPainter(field, SIZE, WIDE)(sent.numbers.z, sent.numbers.prompt)[0]
        assert torch.equal((painted * 255).round().to(torch.uint8).permute(1, 2, 0), whole.pixels[..., :3])
        if weight == 0.0:
            torch.testing.assert_close(sent.numbers.prompt, prompt("city", night=0.4), atol=1e-6, rtol=0)


def test_a_mask_says_where_the_sound_is_drawn(model: Model) -> None:
    null = to_tokens(scene())
    waves = (AudioTerm(to_tokens(scene({}, {"waves": 1.0})), 1.0),)
    conditions = Conditions(to_tokens(scene({"beach": 1.0})), null, null, waves)
    mask = model.sampler(_request(Tier.SEMANTIC, 1.0, conditions=conditions, mask=True)).mask
    assert mask.shape == (6, 12)
    assert mask[3:].mean() > 4 * mask[:2].mean()


def test_what_starts_from_a_picture_shows_it(model: Model) -> None:
    """A field cannot: a square is drawn and stretched, at little strength close to the picture."""
    picture = torch.zeros(1, 3, 256, 512)
    picture[:, 0, :128] = 0.9
    picture[:, 2, 128:] = 0.9
    frame = model.sampler(_request(Tier.BLEND, 0.0, start=model.encoder(picture), strength=0.2))
    colours = frame.pixels[..., :3].float() / 255
    assert colours.shape == (108, 192, 3)
    assert (colours[:40, :, 0].mean() - colours[68:, :, 0].mean()) > 0.3
    assert (colours[68:, :, 2].mean() - colours[:40, :, 2].mean()) > 0.3


def test_the_shipped_field_draws_the_world_sharply(field: Hypernetwork) -> None:
    found = evaluate.field_fidelity(field, 6)
    assert found["field_psnr_db"] >= 27
    assert found["field_gradient_energy_ratio"] >= 0.85
    assert found["field_sharpness"] >= 0.9 * found["world_sharpness"]


def test_the_shipped_field_shows_every_condition(field: Hypernetwork) -> None:
    draw, world = evaluate.by_field(field), World()
    assert evaluate.conditions_shown(draw, world, [0, 12])["condition_shown"] > 0.95
    assert all(evaluate.strengths_monotone(draw, place=4).values())


def test_the_shipped_field_tells_places_apart(field: Hypernetwork) -> None:
    draw, world = evaluate.by_field(field, (160, 90)), World(Plane.of(160, 90), WIDE)
    told = evaluate.places_told_apart(draw, world, known=6, count=2)
    assert told["places_told_apart"] >= 0.98, told["taken_for"]
