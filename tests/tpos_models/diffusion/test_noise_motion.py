"""Moving noise: still when told so, and Gaussian wherever it goes."""

from __future__ import annotations

import pytest
import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.noise_motion import LEAST_STRENGTH, NoiseWalk, feed_back, pace, seeded_noise, shifted
from tpos_models.pocket.scene import scene, to_tokens
from tpos_models.pocket.scene_flow import scene_flow

NULL = to_tokens(scene())


def conditions(**strengths: float) -> Conditions:
    return Conditions(to_tokens(scene({"beach": 1.0}, strengths)), NULL, NULL)


def test_motion_0_is_the_seeds_noise_bit_for_bit() -> None:
    walk = NoiseWalk(ModelSpec("pocket"), 5, scene_flow)
    for _ in range(3):
        assert torch.equal(walk.advance(0.1, 0.0, 1.0, 1.0, conditions(wind=1.0)), walk.z0)


def test_moving_is_reproducible_and_holds_when_motion_stops() -> None:
    first, second = NoiseWalk(ModelSpec("pocket"), 5, scene_flow), NoiseWalk(ModelSpec("pocket"), 5, scene_flow)
    a = [first.advance(0.05, 1.0, 0.5, 0.0, conditions(fire=1.0)) for _ in range(4)]
    b = [second.advance(0.05, 1.0, 0.5, 0.0, conditions(fire=1.0)) for _ in range(4)]
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a[-1], first.z0)
    assert torch.equal(first.advance(0.05, 0.0, 1.0, 1.0, conditions(fire=1.0)), a[-1])


def test_terrain_stays_while_the_rest_moves() -> None:
    walk = NoiseWalk(ModelSpec("pocket"), 1, scene_flow)
    z = walk.advance(0.5, 1.0, 0.8, 0.5, conditions(wind=1.0))
    torch.testing.assert_close(z[:, 0], walk.z0[:, 0], rtol=0, atol=1e-5)
    assert all((z[:, c] - walk.z0[:, c]).abs().mean() > 0.05 for c in (1, 2, 3))


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (48, 80)])
def test_noise_stays_unit_gaussian(size: tuple[int, int]) -> None:
    z = torch.randn(1, 4, *size, generator=torch.Generator().manual_seed(0))
    out = shifted(z, torch.tensor([[0.0, 0.0], [0.37, -2.5], [5.5, 0.5], [-13.21, 7.9]]))
    torch.testing.assert_close(out.square().mean((2, 3)), z.square().mean((2, 3)), rtol=1e-5, atol=0)
    torch.testing.assert_close(out.mean((2, 3)), z.mean((2, 3)), rtol=0, atol=1e-5)
    assert abs(float((out**4).mean()) - 3) < 0.35


def test_whole_cells_shift_as_a_roll_would() -> None:
    z = torch.randn(1, 2, 9, 15, generator=torch.Generator().manual_seed(0))
    out = shifted(z, torch.tensor([[2.0, 1.0], [-3.0, 4.0]]))
    torch.testing.assert_close(out[:, 0], z[:, 0].roll((1, 2), (1, 2)), rtol=0, atol=1e-5)
    torch.testing.assert_close(out[:, 1], z[:, 1].roll((4, -3), (1, 2)), rtol=0, atol=1e-5)


def test_sound_joins_the_prompt_in_setting_the_flow() -> None:
    walk, plain = NoiseWalk(ModelSpec("pocket"), 0, scene_flow), conditions()
    windy = Conditions(plain.text, NULL, NULL, (AudioTerm(to_tokens(scene({}, {"wind": 1.0})), 1.0),))
    assert walk.flow(windy).shift[1][0] > walk.flow(plain).shift[1][0]


def test_music_sets_the_pace() -> None:
    assert pace(0, 1, 1) == 0
    assert pace(1, 0, 0) < pace(1, 0.5, 0) < pace(1, 0.5, 0.5)


def test_other_models_move_as_a_whole() -> None:
    spec = ModelSpec("sd-turbo", sample_size=(64, 96), scale=8, tokens=77, token_size=768)
    walk = NoiseWalk(spec, 3)
    tokens = torch.zeros(77, 768)
    z = walk.advance(0.5, 1.0, 1.0, 0.0, Conditions(tokens, tokens, tokens))
    assert z.shape == (1, 4, 64, 96)
    assert abs(float(z.square().mean()) - 1) < 0.05
    assert not torch.equal(z, walk.z0)


def test_feedback_neither_fades_nor_burns_nor_drifts() -> None:
    g = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, 1, 4, 32, 32, generator=g).unbind(0)
    for _ in range(50):
        start = feed_back(x, noise, torch.randn(1, 4, 32, 32, generator=g), 1.0, 1.0)
        assert start.latents is not None
        torch.testing.assert_close(start.latents.std((-2, -1)), torch.ones(1, 4))
        assert start.latents.mean().abs() < 1e-5
        assert abs(float(start.noise.square().mean()) - 1) < 0.1
        x = 1.3 * start.latents + 0.5  # a sampler that would burn


def test_feedback_leaks_fresh_noise_with_motion_and_always_redraws() -> None:
    x, noise, fresh = torch.randn(3, 1, 4, 32, 32, generator=torch.Generator().manual_seed(1)).unbind(0)
    assert torch.equal(feed_back(x, noise, fresh, 0.5, 0.0).noise, noise)
    leaked = [float((feed_back(x, noise, fresh, 0.5, motion).noise - noise).norm()) for motion in (0.2, 0.5, 1.0)]
    assert leaked == sorted(leaked)
    half_a_quarter_turn = (noise + fresh) / 2**0.5
    torch.testing.assert_close(feed_back(x, noise, fresh, 0.5, 1.0).noise, half_a_quarter_turn)
    assert [feed_back(x, noise, fresh, amount, 0.0).strength for amount in (0.0, 1.0)] == [1.0, LEAST_STRENGTH]


def test_what_did_not_move_is_the_same_tensor() -> None:
    walk = NoiseWalk(ModelSpec("pocket"), 5, scene_flow)
    z = walk.advance(0.1, 1.0, 0.5, 0.0, conditions())
    assert walk.advance(0.1, 0.0, 0.5, 1.0, conditions(wind=1.0)) is z
    assert walk.advance(0.1, 1.0, 0.5, 0.0, conditions()) is not z


def test_a_wide_picture_has_the_squares_noise_in_its_middle() -> None:
    square, wide, wider = (seeded_noise(5, 4, 32, width) for width in (32, 56, 64))
    for one, other, another in zip(square, wide, wider, strict=True):
        assert torch.equal(other[..., 12:44], one)
        assert torch.equal(another[..., 4:60], other)
        assert abs(float(another.std()) - 1) < 0.02
    assert abs(float((wider[0] * wider[1]).mean())) < 0.03
