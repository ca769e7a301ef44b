"""A noise walk that closes: unit Gaussian all along, where it was after each period, and on its way in between."""

from __future__ import annotations

import itertools

import pytest
import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.closed_walk import ClosedWalk
from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.flow import Flow

SPEC = ModelSpec("plain", sample_size=(16, 16))
FRAMES, FPS = 24, 12
WORDS = torch.zeros(SPEC.tokens, SPEC.token_size)
CONDITIONS = Conditions(WORDS, WORDS, WORDS, ())


def walked(flow: Flow, laps: int = 3, motion: float = 0.8) -> list[torch.Tensor]:
    """z at each frame; the level goes up and down with the bar, so that the walk is not even."""
    walk = ClosedWalk(FRAMES / FPS, SPEC, 5, lambda tokens: flow)
    zs = []
    for i in range(laps * FRAMES + 1):
        level = (i % FRAMES) / FRAMES
        zs.append(walk.advance(1 / FPS if i else 0.0, motion, level, float(i % 6 == 0), CONDITIONS))
    return zs


FLOWS = [
    Flow(((0.25, 0.0),), (0.12,)),  # far less than once around: a circle
    Flow(((0.25, 0.0),), (1.7,)),  # nearly half a turn
    Flow(((0.0, 9.0),), (4.0,)),  # rain: around the torus more than once, and more than a turn
]


@pytest.mark.parametrize("flow", FLOWS)
def test_the_third_lap_ends_where_it_began(flow: Flow):
    zs = walked(flow)
    seam = (zs[3 * FRAMES] - zs[2 * FRAMES]).abs().max()
    assert seam < 1e-3
    assert torch.allclose(zs[2 * FRAMES], zs[FRAMES], atol=1e-3)
    steps = [float((b - a).norm()) for a, b in zip(zs[2 * FRAMES :], zs[2 * FRAMES + 1 :], strict=False)]
    assert min(steps) > 0
    assert max(steps[0], steps[-1]) < 2.5 * sum(steps) / len(steps)


@pytest.mark.parametrize("flow", FLOWS)
def test_it_is_unit_gaussian_all_along(flow: Flow):
    for z in walked(flow)[2 * FRAMES :: 5]:
        assert abs(float(z.mean())) < 0.1
        assert abs(float(z.std()) - 1) < 0.07


def test_it_goes_about_as_far_as_it_would_have_gone():
    zs = walked(FLOWS[0])
    lap = [float((b - a).norm()) for a, b in zip(zs[2 * FRAMES :], zs[2 * FRAMES + 1 :], strict=False)]
    free = [float((b - a).norm()) for a, b in itertools.pairwise(zs[: FRAMES + 1])]
    assert 0.4 < sum(lap) / sum(free) < 2.5


def test_without_motion_nothing_moves():
    zs = walked(FLOWS[0], motion=0.0)
    assert all(torch.equal(z, zs[0]) for z in zs)
