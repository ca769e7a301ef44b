"""Noise and frames that go along with a moving picture: still exactly the same noise, at the right place."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tpos_models.diffusion.motion_carry import NoiseCarry, PictureMotion, kept, picture_motion

CELLS = (16, 24)


def noise() -> torch.Tensor:
    return torch.randn(1, 4, *CELLS, generator=torch.Generator().manual_seed(3))


def everywhere(right: float, down: float) -> torch.Tensor:
    """What moves by so many cells: new(x) = old(x - motion)."""
    return torch.tensor([-right, -down]).view(1, 2, 1, 1).expand(1, 2, *CELLS)


def test_whatever_moves_the_noise_stays_the_same_numbers():
    carry, generator = NoiseCarry(CELLS), torch.Generator().manual_seed(5)
    z = noise()
    for _ in range(40):
        carry.move(3 * torch.randn(1, 2, *CELLS, generator=generator))
    carried = carry.carried(z)
    assert not torch.equal(carried, z)
    assert torch.equal(carried.flatten(2).sort(-1).values, z.flatten(2).sort(-1).values)


def test_noise_stands_still_under_a_still_picture():
    carry, z = NoiseCarry(CELLS), noise()
    carry.move(everywhere(0, 0))
    assert torch.equal(carry.carried(z), z)


def test_noise_goes_along():
    carry, z = NoiseCarry(CELLS), noise()
    carry.move(everywhere(3, 2))
    assert torch.equal(carry.carried(z)[..., 2:, 3:], z[..., :-2, :-3])


def test_motion_of_less_than_a_cell_adds_up():
    carry, z = NoiseCarry(CELLS), noise()
    for _ in range(10):
        carry.move(everywhere(0.3, 0))
    assert torch.equal(carry.carried(z)[..., 3:], z[..., :-3])


def test_what_one_place_takes_another_has_not():
    """Half of the picture grows to twice its size: of cells that want the same noise one has it."""
    carry, z = NoiseCarry(CELLS), noise()
    x = torch.arange(CELLS[1], dtype=torch.float32)
    flow = torch.zeros(1, 2, *CELLS)
    flow[:, 0] = -x / 2
    carry.move(flow)
    carried = carry.carried(z)
    assert len(carried[0, 0].unique()) == len(z[0, 0].unique())
    kept_columns = sum(any(torch.equal(carried[..., i], z[..., j]) for i in range(24)) for j in range(12))
    assert kept_columns >= 11


def scene(right_px: float) -> torch.Tensor:
    """A smooth random picture (1, 32, 48), moved to the right."""
    base = torch.rand(1, 1, 12, 18, generator=torch.Generator().manual_seed(8))
    whole = F.interpolate(base, (64, 96), mode="bicubic", align_corners=False).clamp(0, 1)
    x = torch.arange(48) + 24 - right_px
    y = torch.arange(32) + 16.0
    grid = torch.stack(torch.meshgrid((2 * y + 1) / 64 - 1, (2 * x + 1) / 96 - 1, indexing="ij")[::-1], -1)[None]
    return F.grid_sample(whole, grid, align_corners=False)[:, 0]


def test_the_motion_between_pictures_is_found_in_cells():
    motion = picture_motion(scene(0), scene(2), CELLS)
    inner = motion.flow[..., 3:-3, 4:-4]
    assert abs(float(inner[:, 0].median()) + 1.0) < 0.2  # two pixels are a cell
    assert abs(float(inner[:, 1].median())) < 0.15
    assert float(motion.trust[..., 3:-3, 4:-4].median()) > 0.7


def test_a_cameras_own_noise_is_no_motion_and_a_cut_is_not_trusted():
    grain = 0.01 * torch.randn(1, 32, 48, generator=torch.Generator().manual_seed(1))
    assert float(picture_motion(scene(0), scene(0) + grain, CELLS).flow.abs().mean()) < 0.06
    cut = picture_motion(scene(0), 1 - scene(0), CELLS)
    assert float(cut.trust.mean()) < 0.4


def test_what_is_kept_of_the_last_frame_lies_where_it_moved_to():
    latents, last = torch.zeros(1, 4, *CELLS), noise()
    motion = PictureMotion(everywhere(2, 0), torch.ones(1, 1, *CELLS))
    assert torch.allclose(kept(latents, last, motion, 0.5)[..., 2:], 0.5 * last[..., :-2], atol=1e-5)
    assert not kept(latents, last, motion._replace(trust=torch.zeros(1, 1, *CELLS)), 0.5).any()


def test_of_a_wider_grid_the_middle_counts():
    motion = PictureMotion(everywhere(2, 0), torch.ones(1, 1, *CELLS))
    last = noise()[..., 4:-4]
    assert torch.allclose(kept(torch.zeros_like(last), last, motion, 1.0)[..., 2:], last[..., :-2], atol=1e-5)
