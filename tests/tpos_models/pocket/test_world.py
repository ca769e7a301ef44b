"""The procedural world: what it promises to those who learn from it."""

from __future__ import annotations

import pytest
import torch

from tpos_models.pocket.noise_features import CELLS, COORDINATES, MAPS, NoiseFeatures
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACES, SCENE_SIZE, scene
from tpos_models.pocket.world.world import World

SIZE = 64
LEVELS = torch.tensor([0.0, 0.2, 0.45, 0.7, 1.0, 1.4])


@pytest.fixture(scope="module")
def world() -> World:
    return World(SIZE)


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 4, CELLS, CELLS, generator=torch.Generator().manual_seed(seed))


def test_every_place_and_condition_is_a_picture(world: World) -> None:
    scenes = torch.eye(SCENE_SIZE)
    pictures = world(noise(1).expand(SCENE_SIZE, -1, -1, -1), scenes)
    assert pictures.shape == (SCENE_SIZE, 3, SIZE, SIZE)
    assert torch.isfinite(pictures).all()
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    apart = torch.cdist(pictures.flatten(1), pictures.flatten(1)) + torch.eye(SCENE_SIZE) * 1e3
    assert apart.min() > 0.02 * SIZE, "two entries of the scene draw the same picture"


def test_same_z_and_scene_same_picture_whatever_the_batch(world: World) -> None:
    z, scenes = noise(3), torch.stack([scene({p: 1.0}, {"rain": 0.5}) for p in PLACES[:3]])
    together = world(z, scenes)
    alone = torch.cat([world(z[i : i + 1], scenes[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert torch.equal(together, world(z, scenes))


@pytest.mark.parametrize("place", ["mountains", "ink"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_more_strength_is_further_from_the_plain_picture(world: World, place: str, condition: str) -> None:
    scenes = torch.stack([scene({place: 1.0}, {condition: float(level)}) for level in LEVELS])
    pictures = world(noise(1, 4).expand(len(LEVELS), -1, -1, -1), scenes)
    away = (pictures - pictures[:1]).square().mean((1, 2, 3)).sqrt()
    assert (away[1:] > away[:-1]).all(), away.tolist()
    assert away[4] > 0.03, "full strength is hardly visible"


def test_the_empty_scene_is_a_definite_landscape(world: World) -> None:
    z = noise(1)
    empty = world(z, torch.zeros(1, SCENE_SIZE))
    assert empty.std() > 0.05
    weak = world(z, scene({"beach": 1e-5})[None])
    assert (weak - empty).abs().max() < 0.01


def test_strength_saturates(world: World) -> None:
    z, most = noise(1), torch.zeros(2, SCENE_SIZE)
    most[:, CONDITION] = torch.tensor([1.5, 9.0])[:, None]
    pictures = world(z.expand(2, -1, -1, -1), most)
    assert torch.equal(pictures[0], pictures[1])


def test_places_differ_with_z(world: World) -> None:
    for place in PLACES:
        pictures = world(noise(2, 7), scene({place: 1.0}).expand(2, -1))
        assert (pictures[0] - pictures[1]).abs().mean() > 0.003, place


def test_maps_of_noise_have_unit_variance() -> None:
    maps = NoiseFeatures().maps(noise(300))
    assert maps.shape == (300, MAPS, CELLS, CELLS)
    drawn = maps[:, : MAPS - COORDINATES]
    torch.testing.assert_close(drawn.mean((0, 2, 3)), torch.zeros(drawn.shape[1]), rtol=0, atol=0.25)
    torch.testing.assert_close(drawn.square().mean((0, 2, 3)), torch.ones(drawn.shape[1]), rtol=0.3, atol=0)
