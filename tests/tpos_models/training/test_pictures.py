"""Codec, denoiser and their training stages: shapes, promises, and that a little training helps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tpos_models.errors import ModelError
from tpos_models.pocket import field
from tpos_models.pocket.codec import Codec, load_codec
from tpos_models.pocket.denoiser import Denoiser, DenoiserShape
from tpos_models.pocket.hypernetwork import (
    MOST_CONDITIONS,
    SKETCH_CHANNELS,
    Hypernetwork,
    SketchHypernetwork,
    prompt_features,
)
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.noise_features import CELLS, Plane
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PAINTED, PLACE, PLACES, SCENE_SIZE, scene, to_tokens
from tpos_models.pocket.world.world import World
from tpos_models.training.loop import Stage
from tpos_models.training.pictures import evaluation as evaluate
from tpos_models.training.pictures.pictures import CodecStage, DrawingStage, at_time, flicker, pixels, random_times
from tpos_models.training.pictures.samples import LAST, MOST, random_scenes, two_moments
from tpos_models.training.pictures.sketches import STRIDE, FieldStage, SketchStage

SMALL = DenoiserShape((16,), 1, 32, 8, 8, 2, sketch_hidden_width=24, sketch_alpha_layers=4, sketch_bias_maps=2)


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 4, CELLS, CELLS, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def codec() -> Codec:
    torch.manual_seed(0)
    return Codec()


def test_codec_shapes_range_and_scale(codec: Codec) -> None:
    picture = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    before = codec(picture, torch.zeros(()))[0]
    codec.standardise(picture)
    after, latents = codec(picture, torch.zeros(()))
    assert latents.shape == (2, 4, CELLS, CELLS)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-4)
    rebuilt = codec.eval().decoder(20 * noise(2))
    assert rebuilt.shape == picture.shape
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= 1


def test_a_crop_is_drawn_as_in_the_whole() -> None:
    codec = Codec().eval()
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    crop = (slice(0, 24), slice(8, 32))
    with torch.no_grad():
        whole_picture, part = codec.decoder(noise(1)), codec.decoder.paint(noise(1)[:, :, *crop], crop)
        latents = codec.encoder(picture)
        part_latents = codec.encoder(picture[:, :, pixels(crop[0]), pixels(crop[1])], crop)
    torch.testing.assert_close(part[:, :, :64, -64:], whole_picture[:, :, :64, -64:], rtol=0, atol=1e-5)
    torch.testing.assert_close(part_latents[:, :, :8, -8:], latents[:, :, :8, -8:], rtol=0, atol=1e-5)


def test_denoiser_contract() -> None:
    denoiser = Denoiser(SMALL).eval()
    tokens = to_tokens(torch.stack([scene({"lake": 1.0}), scene()]))
    with torch.no_grad():
        both = denoiser(noise(2), torch.tensor([999, 359]), tokens)
        alone = denoiser(noise(2)[1:], torch.tensor([359]), tokens[1:])
        other = denoiser(noise(2), torch.tensor([999, 999]), tokens.flip(0))
    assert both.shape == (2, 4, CELLS, CELLS)
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-4)
    assert (both - other).abs().amax((1, 2, 3)).min() > 1e-4, "tokens or time do not reach the picture"


def test_a_crop_of_the_sketch_is_drawn_as_in_the_whole() -> None:
    hypernetwork = SketchHypernetwork(24, 4, 2)
    prompt = prompt_features(to_tokens(torch.stack([scene({"lake": 1.0}), scene()])), torch.tensor([999, 359]))
    with torch.no_grad():
        whole = hypernetwork(noise(2), prompt)
        part = hypernetwork(noise(2), prompt, (slice(0, 16), slice(8, 24)))
    assert whole.shape == (2, SKETCH_CHANNELS, CELLS, CELLS)
    torch.testing.assert_close(part, whole[:, :, :16, 8:24], rtol=0, atol=1e-5)
    assert (whole[0] - whole[1]).abs().max() > 1e-3


def test_weather_that_is_not_there_changes_nothing_and_need_not_be_computed() -> None:
    torch.manual_seed(0)
    hypernetwork = SketchHypernetwork(24, 4, 2)
    torch.nn.init.normal_(hypernetwork.weather.grades)
    scenes = torch.stack([scene({"lake": 1.0}, {"rain": 0.4, "night": 1.0, "waves": 0.7}), scene({"city": 1.0})])
    prompt, pixels = prompt_features(to_tokens(scenes), torch.tensor([999, 999])), (slice(0, 64, 4), slice(1, 64, 4))
    maps = hypernetwork.maps(noise(2))[:, :, *pixels].flatten(2)

    def sampled(grid: torch.Tensor) -> torch.Tensor:
        return grid[..., *pixels].flatten(-2)

    with torch.no_grad():
        every, few = (hypernetwork.colours(maps, prompt, sampled, most) for most in (len(CONDITIONS), MOST))
        dry = hypernetwork.colours(maps, prompt * (torch.arange(prompt.shape[1]) < CONDITION.start), sampled, 1)
    torch.testing.assert_close(few, every, rtol=0, atol=1e-5)
    torch.testing.assert_close(every[1:], dry[1:], rtol=0, atol=1e-5)
    assert (every[0] - dry[0]).abs().max() > 0.1


def test_of_many_conditions_the_strongest_are_drawn() -> None:
    torch.manual_seed(0)
    hypernetwork, strengths = SketchHypernetwork(24, 4, 2), {name: 0.1 + 0.05 * i for i, name in enumerate(CONDITIONS)}
    strongest = dict(list(strengths.items())[-MOST_CONDITIONS:])
    tokens = to_tokens(torch.stack([scene({"lake": 1.0}, said) for said in (strengths, strongest)]))
    with torch.no_grad():
        all_said, some_said = hypernetwork(
            noise(1).expand(2, -1, -1, -1), prompt_features(tokens, torch.tensor([999, 999]))
        )
    torch.testing.assert_close(all_said, some_said, rtol=0, atol=1e-5)


def test_prompts_that_ask_for_too_much_are_kept_to_what_the_world_draws() -> None:
    asked = scene({"lake": 2.0, "city": 2.0}, {"rain": 4.0, "fire": -1.0}, (3.0, 0.0, -3.0))
    kept = scene({"lake": 0.5, "city": 0.5}, {"rain": 1.5}, (1.0, 0.0, -1.0))
    t = torch.tensor([999])
    torch.testing.assert_close(prompt_features(to_tokens(asked)[None], t), prompt_features(to_tokens(kept)[None], t))


def test_a_place_has_a_say_in_its_conditions() -> None:
    """Half of two places has half the say of each; a condition that is not there stays without effect."""
    torch.manual_seed(0)
    network = Hypernetwork(replace(field.SHAPE, hidden_width=12, alpha_layers=2))
    torch.nn.init.normal_(network.weather.own, std=0.1)
    torch.nn.init.normal_(network.weather.grades)
    view, prompts = field.View(Plane.of(12, 9), CELLS), []
    for places in ({"lake": 1.0}, {"neon": 1.0}, {"lake": 0.5, "neon": 0.5}):
        asked = to_tokens(torch.stack([scene(places, {"fire": 1.0}), scene(places)]))
        prompts.append(prompt_features(asked, torch.tensor([999, 999])))
    with torch.no_grad():
        lake, neon, both = (network.weights(prompt, 1) for prompt in prompts)
        for of_lake, of_neon, of_both in zip(lake.layers[3:8], neon.layers[3:8], both.layers[3:8], strict=True):
            torch.testing.assert_close(of_both, (of_lake + of_neon) / 2, rtol=1e-4, atol=1e-5)
        colours = 5
        assert all((lake.layers[k] - neon.layers[k])[0].abs().max() > 1e-3 for k in (3, 4, colours, 7))
        bare = [
            network.colours(view.maps(noise(2)), prompt, view.sampled, most)
            for most in (1, 3)
            for prompt in prompts[:1]
        ]
    torch.testing.assert_close(bare[0][1], bare[1][1], rtol=0, atol=1e-5)


def test_every_condition_is_painted_once() -> None:
    assert sorted(PAINTED) == sorted(CONDITIONS)


def test_the_phases_of_a_sketch_make_it_whole() -> None:
    torch.manual_seed(0)
    stage = SketchStage(SketchHypernetwork(24, 4, 2), batch=2, pool=2)
    (_, _, drawing), (row, column) = stage.make_batch(0, torch.Generator().manual_seed(0))
    drawings = stage._pool.rows(0, 2, torch.Generator().manual_seed(0))[0][2]
    whole = torch.nn.functional.pixel_shuffle(drawings.flatten(1, 2).unflatten(2, (16, 16)), STRIDE).float()
    assert any(torch.equal(drawing[0], one[:, row::STRIDE, column::STRIDE].flatten(1)) for one in whole)


def test_a_little_training_sketches_better() -> None:
    torch.manual_seed(0)
    history = trained(SketchStage(SketchHypernetwork(24, 4, 2), batch=4, pool=4), 30)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["psnr"] > history[0]["psnr"]


def test_a_little_training_draws_a_better_field() -> None:
    torch.manual_seed(0)
    shape = replace(field.SHAPE, hidden_width=12, alpha_layers=2)
    history = trained(FieldStage(Hypernetwork(shape), groups=1, pool=2), 30)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["psnr"] > history[0]["psnr"]


def test_x_t_is_z_at_the_last_timestep_and_x0_at_the_first() -> None:
    x0, z = noise(2, 1), noise(2, 2)
    assert torch.equal(at_time(x0, z, torch.tensor([LAST, LAST])), z)
    assert torch.equal(at_time(x0, z, torch.tensor([0, 0])), x0)


def test_scenes_met_in_training() -> None:
    scenes = random_scenes(2000, torch.Generator().manual_seed(0))
    assert scenes.shape == (2000, SCENE_SIZE)
    empty = (scenes == 0).all(1).float().mean()
    assert 0.07 < empty < 0.15
    assert scenes[:, PLACE].sum(1).max() <= 1 + 1e-5
    counts = (scenes[:, CONDITION] > 0).sum(1)
    assert counts.max() == MOST
    assert scenes[:, CONDITION].max() <= 1.5
    times = random_times(2000, torch.Generator().manual_seed(0))
    assert 0.65 < (times == LAST).float().mean() < 0.8
    assert times.min() >= 0


def test_two_moments_of_a_scene_are_moved_by_its_own_flow() -> None:
    world = World(64)
    z, scenes, pictures = two_moments(world, 6, torch.Generator().manual_seed(2))
    assert torch.equal(scenes[:, 0], scenes[:, 1])
    torch.testing.assert_close(z[:, 0, 0], z[:, 1, 0], rtol=0, atol=1e-5)  # the terrain stays
    assert (z[:, 0, 1] - z[:, 1, 1]).abs().amax((1, 2)).min() > 0, "the sky moves"
    torch.testing.assert_close(z[:, 1].std((2, 3)), z[:, 0].std((2, 3)), rtol=1e-3, atol=0)
    assert (pictures[:, 1].float() - world(z[:, 1], scenes[:, 1]) * 255).abs().max() < 1


def test_an_error_that_stands_still_does_not_flicker() -> None:
    want = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert flicker(want + 0.1, want) < 1e-6
    moved = want.clone()
    moved[1::2] += 0.1
    assert flicker(moved, want) > 0.5


def test_a_batch_depends_on_step_and_generator_only(codec: Codec) -> None:
    first, second = (DrawingStage(Denoiser(SMALL), codec, batch=2, pool=2) for _ in range(2))
    a, crop_a = first.make_batch(9, torch.Generator().manual_seed(3))
    first.make_batch(0, torch.Generator().manual_seed(4))
    b, crop_b = second.make_batch(9, torch.Generator().manual_seed(3))
    assert crop_a == crop_b
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def trained(stage: Stage, steps: int) -> list[dict[str, float]]:
    """Losses of a few optimiser steps on one batch."""
    batch = stage.make_batch(0, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam([p for p in stage.module.parameters() if p.requires_grad], 3e-3)
    history = []
    for _ in range(steps):
        losses = stage.losses(batch)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    return history


def test_the_codec_learns() -> None:
    torch.manual_seed(0)
    history = trained(CodecStage(batch=2, pool=2), 30)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["psnr"] > history[0]["psnr"]


@pytest.mark.parametrize("tune", [False, True])
def test_a_little_training_lowers_every_loss(tune: bool) -> None:
    torch.manual_seed(0)
    codec = Codec() if tune else load_codec(WEIGHTS).train()
    before = {name: value.clone() for name, value in codec.state_dict().items()}
    history = trained(DrawingStage(Denoiser(SMALL), codec, batch=2, pool=2, tune=tune), 30)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["psnr"] > history[0]["psnr"]
    assert ("psnr_rebuilt" in history[0]) == tune
    changed = any(not torch.equal(value, before[name]) for name, value in codec.state_dict().items())
    assert changed == tune, "the codec learns only while all three networks are tuned"


def test_the_worlds_own_pictures_pass_every_bar() -> None:
    from tpos_models.pocket.world.world import World

    world = World(64)
    fidelity = evaluate.one_step_fidelity(world, world, count=4)
    assert fidelity["one_step_psnr_db"] > 90
    assert fidelity["gradient_energy_ratio"] == pytest.approx(1)
    assert evaluate.conditions_shown(world, world, places=[0, 15])["condition_shown"] == 1
    assert all(evaluate.strengths_monotone(world, place=0).values())


def test_a_model_that_ignores_the_condition_is_found_out() -> None:
    from tpos_models.pocket.world.world import World

    world = World(64)

    def deaf(z: torch.Tensor, scenes: torch.Tensor) -> torch.Tensor:
        plain = scenes.clone()
        plain[:, CONDITION] = 0
        return world(z, plain)

    assert evaluate.conditions_shown(deaf, world, places=[0])["condition_shown"] < 0.2
    assert not any(evaluate.strengths_monotone(deaf, place=0).values())


def test_a_model_that_draws_a_place_as_another_is_found_out() -> None:
    world = World(48)

    def blind(z: torch.Tensor, scenes: torch.Tensor) -> torch.Tensor:
        seen = scenes.clone()
        seen[:, PLACES.index("temple")] = scenes[:, PLACES.index("beach")]
        seen[:, PLACES.index("beach")] = 0
        return world(z, seen)

    told = evaluate.places_told_apart(blind, world, known=4, count=1)
    assert told["taken_for"]["beach"] == "temple"
    assert told["places_told_apart"] < 0.98
    assert evaluate.places_told_apart(world, world, known=8, count=2)["places_told_apart"] >= 0.98


def test_sizes_stand_in_the_record_as_the_shipped_one_calls_them() -> None:
    shipped = json.loads((WEIGHTS / "denoiser.json").read_text(encoding="utf-8"))
    shape = DenoiserShape.from_record(shipped, "denoiser.json")
    assert (shape.widths, shape.sketch_hidden_width, shape.sketch_alpha_layers, shape.latent_maps) == (
        (64,),
        80,
        14,
        32,
    )
    assert json.loads(json.dumps(shape.record())) == shipped["shape"]
    renamed = {"brushes" if key == "strokes" else key: value for key, value in shipped["shape"].items()}
    for broken in ({}, {"shape": renamed}, {"shape": [64]}):
        with pytest.raises(ModelError, match=r"denoiser\.json: no sizes of a denoiser; expected .*strokes"):
            DenoiserShape.from_record(broken, "denoiser.json")
