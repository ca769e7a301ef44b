"""The procedural world: what it promises to those who learn from it."""

from __future__ import annotations

import pytest
import torch

from tpos_models.pocket.noise_features import CELLS, COORDINATES, MAPS, NoiseFeatures, Plane
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACES, SCENE_SIZE, scene
from tpos_models.pocket.world.world import World

SIZE = 64
LEVELS = torch.tensor([0.0, 0.2, 0.45, 0.7, 1.0, 1.4])


@pytest.fixture(scope="module")
def world() -> World:
    return World(SIZE)


def wide_noise(seed: int = 3) -> torch.Tensor:
    return torch.randn(1, 4, CELLS, 64, generator=torch.Generator().manual_seed(seed))


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


def test_no_row_or_column_is_lost_at_any_size() -> None:
    """Rows and columns that lie exactly where a shape has its foot or its middle."""
    for size in ((160, 90), (161, 81), (40, 50)):
        world = World(Plane.of(*size), 64)
        pictures = world(wide_noise().expand(SCENE_SIZE, -1, -1, -1), torch.eye(SCENE_SIZE))
        assert torch.isfinite(pictures).all(), size


@pytest.mark.parametrize("place", ["city", "sunken_city", "rooftop", "street", "volcano", "campfire"])
def test_what_shines_is_lit_at_night(place: str) -> None:
    """Of the night below the sky a tenth of a percent at least is bright; of a meadow's nothing is."""
    world = World(Plane.of(320, 180), 64)
    day, night = world(
        wide_noise().expand(2, -1, -1, -1), torch.stack([scene({place: 1.0}), scene({place: 1.0}, {"night": 1.5})])
    )
    below = night[:, 60:].amax(0)
    assert (below > 0.66).float().mean() > 1e-3
    assert (day[:, 60:].mean() - night[:, 60:].mean()) > 0.02
    meadow = world(wide_noise(), scene({"meadow": 1.0}, {"night": 1.5})[None])[0, :, 120:]
    assert meadow.amax() < 0.66


def _where(place: str, condition: str) -> tuple[float, float]:
    """Where a condition changes a picture most, its middle, in picture heights from the square's corner."""
    plane = Plane.of(160, 90)
    plain, with_it = World(plane, 64)(
        wide_noise().expand(2, -1, -1, -1), torch.stack([scene({place: 1.0}), scene({place: 1.0}, {condition: 0.8})])
    )
    change = (with_it - plain).abs().mean(0)
    change = change * (change > change.flatten().quantile(0.97))
    y, x = plane.y.float()[:, None], plane.x.float()[None]
    return float((change * x).sum() / change.sum()), float((change * y).sum() / change.sum())


def test_conditions_have_their_own_spot_in_a_place() -> None:
    """Fire on the logs and not across the wood, a blast out of the crater."""
    x, y = _where("campfire", "fire")
    assert abs(x - 0.5) < 0.1
    assert 0.6 < y < 0.95
    assert _where("volcano", "explosion")[1] < _where("campfire", "explosion")[1] - 0.1


def test_club_looks_answer_in_their_own_colours() -> None:
    """A blast is orange over a meadow, and in a club look nothing that is not in the look's palette."""
    world = World(Plane.of(160, 90), 64)

    def orange(place: str) -> float:
        red, green, blue = world(wide_noise(), scene({place: 1.0}, {"explosion": 1.0})[None])[0]
        return float(((red > 0.7) & (green > 0.25) & (green < 0.6) & (blue < 0.25)).float().mean())

    assert orange("meadow") > 0.02
    for place in ("galaxy", "neon", "laser", "crystal"):
        assert orange(place) < 0.002, place


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
