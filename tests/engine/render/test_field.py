"""The field in the compositor's shader, against the hypernetwork's own arithmetic in torch."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from render_scenes import CONTEXT, STILL, frame, picture

from engine.core.field_scene import FieldScene, between
from engine.core.messages import SILENCE, Fit, Frame
from engine.render import field_pass, gl
from engine.render.audio_reactive import View
from engine.render.field_pass import FieldPass
from engine.render.picture import coarser
from engine.render.renderer import Renderer
from tpos_models.errors import RunError
from tpos_models.pocket.field import MOST_CONDITIONS, load_field
from tpos_models.pocket.field import View as Seen
from tpos_models.pocket.field_texels import FieldPacker, Layout
from tpos_models.pocket.hypernetwork import Hypernetwork, prompt_features
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.noise_features import CELLS, Plane, cells_across
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACES, scene, to_tokens

SQUARE, WIDE = (64, 64), (96, 54)
FINE = (256, 256)
NONE = np.zeros((0, 0, 4), np.uint8)


@pytest.fixture(scope="module")
def field() -> Hypernetwork:
    return load_field(WEIGHTS)


@pytest.fixture(scope="module")
def passes(field: Hypernetwork):
    @cache
    def of(cells: int) -> FieldPass:
        CONTEXT.switch_to()
        return FieldPass(gl.Canvas(), FieldPacker(field, cells))

    return of


def noise(cells: int, seed: int = 0) -> np.ndarray:
    return torch.randn(4, CELLS, cells, generator=torch.Generator().manual_seed(seed)).numpy()


def asked(places: dict[str, float], *, tint: tuple[float, float, float] = (0.0, 0.0, 0.0), **on: Any) -> np.ndarray:
    return prompt_features(to_tokens(scene(places, on, tint)[None]), torch.tensor([999]))[0].numpy()


def scene_of(size: tuple[int, int], prompt: np.ndarray, seed: int = 0) -> FieldScene:
    return FieldScene(noise(cells_across(*size), seed), prompt, size)


def by_torch(field: Hypernetwork, drawn: FieldScene, size: tuple[int, int], plane: Plane | None = None) -> np.ndarray:
    """Every pixel by the hypernetwork, in code values: (height, width, 3), of all of the picture or of a plane."""
    prompt, cells = torch.tensor(drawn.prompt)[None], drawn.z.shape[2]
    view = Seen(plane or Plane.of(*size), cells)
    shown = int(prompt[0, CONDITION].gt(0).sum())
    with torch.no_grad():
        most = min(MOST_CONDITIONS, max(1, shown))
        colours = field.colours(view.maps(torch.tensor(drawn.z)[None]), prompt, view.sampled, most)
    return (colours[0] / 3 + 0.5).clamp(0, 1).view(3, size[1], size[0]).permute(1, 2, 0).numpy() * 255


def by_shader(draws: FieldPass, drawn: FieldScene, size: tuple[int, int], view: View = View()) -> np.ndarray:  # noqa: B008
    target = gl.Target(size)
    draws.draw(drawn, view, target)
    pixels = target.read()
    target.delete()
    return pixels.astype(float)


def assert_same(pixels: np.ndarray, wanted: np.ndarray) -> None:
    """No more than 2 of 255 apart, in all pixels but one of a thousand; and there is something to see."""
    off = np.abs(pixels - wanted).max(-1)
    assert (off > 2).mean() < 1e-3
    assert wanted.std() > 4


@pytest.mark.parametrize("k", range(len(PLACES)))
def test_every_place_and_every_condition_is_drawn_as_torch_draws_it(field, passes, k):
    """As many conditions as there may be, or fewer."""
    on: dict[str, Any] = {
        CONDITIONS[(k + 5 * j) % len(CONDITIONS)]: 0.9 - 0.3 * j for j in range(k % (MOST_CONDITIONS + 1))
    }
    on |= {CONDITIONS[k]: 0.8} if 0 < k < len(CONDITIONS) and len(on) < MOST_CONDITIONS else {}
    drawn = scene_of(SQUARE, asked({PLACES[k]: 1.0}, **on), seed=k)
    assert_same(by_shader(passes(CELLS), drawn, SQUARE), by_torch(field, drawn, SQUARE))


@pytest.mark.parametrize("size", [WIDE, (54, 96), (128, 72)])
def test_any_shape_is_drawn_and_mixtures_with_a_tint(field, passes, size):
    """More conditions than are drawn at once are asked for."""
    prompt = asked({"city": 0.5, "beach": 0.5}, tint=(0.5, -0.3, 0.2), rain=0.9, night=0.5, fog=0.3, wind=0.1)
    drawn = scene_of(size, prompt)
    assert_same(by_shader(passes(cells_across(*size)), drawn, size), by_torch(field, drawn, size))


def test_a_quarter_turn_of_the_camera_turns_the_picture(passes):
    drawn = scene_of(SQUARE, asked({"mountains": 1.0}, sunset=0.8))
    plain, turned = (by_shader(passes(CELLS), drawn, SQUARE, View(turn=turn)) for turn in (0.0, np.pi / 2))
    assert_same(turned, np.rot90(plain, -1))


def test_flying_an_octave_leads_to_the_picture_itself_and_half_way_it_is_drawn_finer(field, passes):
    """Half way its border shows the middle, magnified: those pixels torch draws in a larger picture."""
    drawn = scene_of(SQUARE, asked({"mountains": 1.0}, sunset=0.8))
    home = by_shader(passes(CELLS), drawn, SQUARE)
    assert_same(by_shader(passes(CELLS), drawn, SQUARE, View(fly=1.0)), home)
    near = by_shader(passes(CELLS), drawn, SQUARE, View(fly=0.3))
    at = (torch.arange(64, dtype=torch.float64) + 0.5 - 32) / 2**0.3 / 64 + 0.5
    wanted = by_torch(field, drawn, SQUARE, Plane(at, at, 64.0))
    assert_same(near[:6], wanted[:6])


def test_noise_between_two_frames_keeps_its_variance():
    one, other = (scene_of(SQUARE, asked({"lake": 1.0}, rain=rain), seed) for seed, rain in ((0, 0.0), (1, 1.0)))
    middle = between(one, other, 0.5)
    assert middle.z.std() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(middle.z.ravel(), one.z.ravel())[0, 1] == pytest.approx(0.5**0.5, abs=0.03)
    assert middle.prompt[CONDITION][CONDITIONS.index("rain")] == pytest.approx(0.5)
    for progress, whole in ((0.0, one), (1.0, other)):
        np.testing.assert_allclose(between(one, other, progress).z, whole.z, atol=1e-5)


def of_numbers(drawn: FieldScene, index: int = 0, time_s: float = 0.0) -> Frame:
    return replace(frame(picture(), index, time_s), image=NONE, field=drawn)


@pytest.fixture
def renderer(field: Hypernetwork) -> Renderer:
    renderer = Renderer(CONTEXT, SQUARE)
    renderer.draw_field(FieldPacker(field, cells_across(*FINE)), 1.0, at_any_price=True)
    return renderer


def read(renderer: Renderer, now_s: float, **state: Any) -> np.ndarray:
    renderer.redraw(lambda: SILENCE, replace(STILL, **state), now_s)
    return renderer.read().astype(float)


def test_a_frame_of_numbers_has_the_outputs_pixels(field, renderer):
    """Whatever size its own would have had; another output has its own, of the same frame, cropped in its middle."""
    drawn = scene_of(FINE, asked({"beach": 1.0}, waves=0.8))
    renderer.show_placeholder(picture())
    read(renderer, 0.0)
    renderer.show(of_numbers(drawn))
    read(renderer, 0.1)
    assert_same(read(renderer, 5.0), by_torch(field, drawn, SQUARE))
    renderer.size = (64, 40)
    assert_same(read(renderer, 5.1), by_torch(field, drawn, SQUARE)[12:52])
    renderer.size = (64, 41)  # one row more is drawn, so that as many are cut off above as below
    rows = (torch.arange(65, dtype=torch.float64) + 0.5) / 65
    tall = Plane(rows, Plane.of(*SQUARE).x, 65.0)
    assert_same(read(renderer, 5.2), by_torch(field, drawn, (64, 65), tall)[12:53])
    renderer.size = (40, 64)
    letterboxed = read(renderer, 5.3, fit=Fit.FIT)
    assert_same(letterboxed[12:52], by_torch(field, drawn, (40, 40)))
    assert letterboxed[:12].max() == 0


def test_the_camera_looks_once(passes, renderer):
    """At the field itself, not at a picture of what it sees."""
    drawn = scene_of(FINE, asked({"mountains": 1.0}, sunset=0.8))
    renderer.show(of_numbers(drawn))
    for k in range(6):
        seen = read(renderer, 0.2 * k, shader=replace(STILL.shader, turn=1.0, fly=0.5), motion=1.0)
    view = renderer._compositor._look.view
    assert view.turn > 0.1
    assert_same(seen, by_shader(passes(CELLS), drawn, SQUARE, view))


def test_between_two_frames_every_redraw_moves(renderer):
    prompts = [asked({"beach": 1.0}), asked({"city": 1.0})]
    for index in range(3):
        renderer.show(of_numbers(scene_of(FINE, prompts[0]), index, 0.1 * index))
        read(renderer, 0.1 * index)
    read(renderer, 0.28)
    renderer.show(of_numbers(scene_of(FINE, prompts[1], 1), 3, 0.3))
    seen = [read(renderer, 0.28 + 0.02 * k) for k in range(1, 7)]
    left = [np.abs(one - seen[-1]).mean() for one in seen]
    assert left[0] > left[2] > left[3] > 0.2
    assert max(left[4:]) < 0.01
    assert all(np.abs(one - other).mean() > 0.2 for one, other in pairwise(seen[:5]))


def test_frames_of_pixels_and_of_numbers_take_turns(field, renderer):
    drawn, image = scene_of(FINE, asked({"beach": 1.0})), picture(64, 64)
    for k in range(2):
        renderer.show(of_numbers(drawn, 2 * k, k))
        assert_same(read(renderer, float(k)), by_torch(field, drawn, SQUARE))
        renderer.show(frame(image, 2 * k + 1, k + 0.5))
        read(renderer, k + 0.5)
        assert np.array_equal(read(renderer, k + 0.9), image)


def test_a_pixel_asks_for_what_a_projector_can_have():
    """At 1920 x 1080 and 60 a second, in TFLOP/s; with fewer conditions, less."""
    layout = Layout.of(load_field(WEIGHTS))
    asks = [2 * layout.multiply_adds(n) * 1920 * 1080 * 60 / 1e12 for n in range(MOST_CONDITIONS + 1)]
    assert asks == sorted(asks)
    assert layout.multiply_adds() <= 10_000
    assert asks[-1] <= 2.5


def test_a_picture_is_cut_to_what_there_is_time_for():
    assert coarser((1920, 1080), 1920 * 1080) == 1
    assert coarser((1920, 1080), 1920 * 1080 - 1) == 2
    assert coarser((1920, 1080), 1920 * 1080 / 4 - 1) == 3


def test_what_cannot_draw_it_says_so_in_a_line(field, monkeypatch):
    packer = FieldPacker(field, CELLS)
    with monkeypatch.context() as patch:
        patch.setattr(gl, "is_software", lambda: True)
        with pytest.raises(RunError, match="draws on the CPU"):
            Renderer(CONTEXT, SQUARE).draw_field(packer, 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(gl, "room", lambda: (1024, 65536))
        with pytest.raises(RunError, match="textures of 1024 pixels a side; the field needs"):
            Renderer(CONTEXT, SQUARE).draw_field(packer, 1.0, at_any_price=True)
    monkeypatch.setattr(field_pass, "constants", lambda packer: "#define CELLS none")
    with pytest.raises(RunError, match="does not compile it: ") as refused:
        Renderer(CONTEXT, SQUARE).draw_field(packer, 1.0, at_any_price=True)
    assert "\n" not in str(refused.value)
