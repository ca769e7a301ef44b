"""Which way the noise moves under a scene."""

from __future__ import annotations

from tpos_models.pocket.model import load
from tpos_models.pocket.scene import scene, to_tokens
from tpos_models.pocket.scene_flow import scene_flow

NULL = to_tokens(scene())


def test_conditions_set_the_direction() -> None:
    life, sky = 3, 1
    assert scene_flow(to_tokens(scene({}, {"fire": 1.0}))).shift[life][1] < -1
    assert scene_flow(to_tokens(scene({}, {"rain": 1.0}))).shift[life][1] > 1
    calm, gale = scene_flow(NULL), scene_flow(to_tokens(scene({}, {"wind": 1.0})))
    assert gale.shift[sky][0] > 3 * calm.shift[sky][0]


def test_ink_changes_its_shape_and_a_beach_does_not() -> None:
    flow = 2
    ink, beach = (scene_flow(to_tokens(scene({name: 1.0}))) for name in ("ink", "beach"))
    assert (ink.turn[flow] > 0, beach.turn[flow]) == (True, 0.0)
    assert ink.shift[flow][0] > 2 * beach.shift[flow][0]


def test_it_is_the_models_own_flow_one_speed_for_each_channel() -> None:
    model = load()
    flow = model.noise_flow(NULL)
    assert flow == scene_flow(NULL)
    assert len(flow.shift) == len(flow.turn) == model.spec.latent_channels
    assert flow.shift[0] == (0.0, 0.0)
    assert flow.turn[0] == 0.0, "the terrain stays"
