"""A picture mapped to a wall and read back, against the geometry of textbooks, computed independently."""

from __future__ import annotations

import numpy as np
import pytest
from render_scenes import CONTEXT, STILL, direct_linear_transform, dots, flat, found, frame, picture, through

from engine.core.messages import SILENCE
from engine.render import gl
from engine.render.mapping.map_pass import MapPass
from engine.render.mapping.mapping import SQUARE, Curve, Lie, Mapped, Mapping, Mesh, SoftEdges
from engine.render.mapping.pattern import drawn_pattern
from engine.render.renderer import Renderer

SIZE = WIDTH, HEIGHT = 1280, 720
PINS = (
    ((0.08, 0.11), (0.93, 0.04), (0.85, 0.96), (0.14, 0.81)),
    ((0.30, 0.05), (0.72, 0.20), (0.98, 0.97), (0.02, 0.70)),
    ((0.95, 0.08), (0.06, 0.03), (0.11, 0.90), (0.90, 0.95)),
)
"""Arbitrary, strongly oblique, and from behind."""


def drawing(image: np.ndarray, size: gl.Size = SIZE) -> Renderer:
    renderer = Renderer(CONTEXT, size)
    renderer.show(frame(image))
    renderer.redraw(lambda: SILENCE, STILL, 0.0)
    return renderer


def seen(renderer: Renderer, mapping: Mapping | Mapped | None, size: gl.Size = SIZE) -> np.ndarray:
    """What an output of `size` with this mapping shows, RGB uint8."""
    mapped = Mapped(mapping) if isinstance(mapping, Mapping) else mapping
    view = renderer.view(mapped=lambda: mapped)
    view.ask(size)
    pixels = view.take()
    view.close()
    assert pixels is not None
    return pixels


GRID = np.array([(x, y) for y in np.linspace(60, 660, 6) for x in np.linspace(80, 1200, 8)])
"""Centres of dots, in pixels."""


@pytest.mark.parametrize("corners", PINS)
def test_a_grid_through_a_corner_pin_is_where_the_homography_puts_it(corners):
    pixels = np.array([WIDTH, HEIGHT])
    matrix = direct_linear_transform(np.array(SQUARE) * pixels, np.array(corners) * pixels)
    wanted = through(matrix, GRID)
    read = found(seen(drawing(dots(GRID, SIZE)), Mapping(corners=corners)), wanted, 9)
    assert np.abs(read - wanted).max() <= 1.0


def mesh(columns: int, rows: int, curve: Curve, moved: float) -> Mesh:
    rng = np.random.default_rng(5)
    even = np.array([(x, y) for y in np.linspace(0.1, 0.9, rows) for x in np.linspace(0.1, 0.9, columns)])
    places = even + rng.uniform(-moved, moved, even.shape)
    return Mesh(columns=columns, rows=rows, points=tuple(map(tuple, places.tolist())), curve=curve)


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize(("columns", "rows"), [(3, 3), (4, 3), (8, 8)])
def test_a_mesh_goes_through_its_points(curve, columns, rows):
    bent = mesh(columns, rows, curve, 0.01)
    knots = [(c, r) for r in range(1, rows - 1) for c in range(1, columns - 1)]
    image = dots(np.array([(c / (columns - 1) * WIDTH, r / (rows - 1) * HEIGHT) for c, r in knots]) - 0.5, SIZE, 2)
    wanted = np.array([bent.points[r * columns + c] for c, r in knots]) * (WIDTH, HEIGHT) - 0.5
    assert np.abs(found(seen(drawing(image), Mapping(mesh=bent)), wanted, 8) - wanted).max() <= 1.0


@pytest.mark.parametrize("curve", list(Curve))
def test_a_mesh_of_four_points_is_bilinear(curve):
    """Its middle goes to their mean, which is not where a corner pin puts it."""
    bent = Mesh(columns=2, rows=2, points=(*PINS[1][:2], *PINS[1][:1:-1]), curve=curve)
    wanted = np.mean(PINS[1], 0, keepdims=True) * SIZE - 0.5
    image = dots(np.array([(WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5)]), SIZE)
    assert np.abs(found(seen(drawing(image), Mapping(mesh=bent)), wanted) - wanted).max() <= 1.0


def test_between_points_a_smooth_mesh_is_a_catmull_rom_curve():
    """Along one row of points, at half of its middle span: (-p0 + 9 p1 + 9 p2 - p3) / 16 (Catmull & Rom 1974)."""
    heights = (0.0, 0.1, -0.1, 0.15)
    points = tuple((c / 3, (0.2 if r == 0 else 0.8) + heights[c]) for r in range(2) for c in range(4))
    for curve, weights in ((Curve.SMOOTH, (-1, 9, 9, -1)), (Curve.STRAIGHT, (0, 8, 8, 0))):
        y = (0.5 + np.dot(weights, heights) / 16) * HEIGHT - 0.5
        wanted = np.array([[WIDTH / 2 - 0.5, y]])
        bent = Mesh(columns=4, rows=2, points=points, curve=curve)
        image = dots(np.array([[WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5]]), SIZE)
        assert np.abs(found(seen(drawing(image), Mapping(mesh=bent)), wanted) - wanted).max() <= 1.0


def test_what_is_not_mapped_is_the_picture_bit_for_bit_and_costs_no_drawing(monkeypatch):
    renderer = drawing(picture(HEIGHT, WIDTH))
    drawn: list[object] = []
    monkeypatch.setattr(MapPass, "draw", lambda *arguments: drawn.append(arguments))
    assert np.array_equal(seen(renderer, None), renderer.read())
    assert not drawn


def test_a_mapping_that_says_nothing_changes_nothing():
    renderer = drawing(picture(HEIGHT, WIDTH))
    even = tuple((x / 3, y / 2) for y in range(3) for x in range(4))
    for mapping in (Mapping(), Mapping(mesh=Mesh(columns=4, rows=3, points=even)), Mapping(rotate=360.0)):
        assert np.abs(seen(renderer, mapping).astype(int) - renderer.read()).max() <= 1


def test_a_view_may_be_mapped_at_one_redraw_and_not_at_the_next():
    renderer = drawing(picture())
    now: list[Mapped | None] = [None]
    view = renderer.view(light=True, mapped=lambda: now[0])
    taken = []
    for mapped in (None, Mapped(Mapping(rotate=180.0)), Mapped(Mapping(hide=(SQUARE,))), None):
        now[0] = mapped
        view.ask((64, 36), alpha=True)
        taken.append(view.take())
    plain, turned, hidden, again = (pixels.astype(int) for pixels in taken if pixels is not None)
    assert np.array_equal(plain, again)
    assert np.abs(turned[::-1, ::-1] - plain).max() <= 1
    assert not hidden.any(), "with alpha, what is masked is transparent"


def test_two_projectors_with_soft_edges_add_up_to_the_flat_picture():
    """They show 60 % each, of which a third overlaps; projectors of gamma 2.2, light in 1/255 of white."""
    for value in (255, 180, 60):
        renderer = drawing(flat(value))
        overlap = 1 / 3
        left = seen(renderer, Mapping(part=(0.0, 0.0, 0.6, 1.0), soft=SoftEdges(right=overlap)), (600, 400))
        right = seen(renderer, Mapping(part=(0.4, 0.0, 1.0, 1.0), soft=SoftEdges(left=overlap)), (600, 400))
        wall = np.zeros((400, 1000, 3))
        wall[:, :600] += 255 * (left / 255) ** 2.2
        wall[:, 400:] += 255 * (right / 255) ** 2.2
        assert np.abs(wall - 255 * (value / 255) ** 2.2).max() <= 2.0
        assert left[:, 399].min() == value
        assert left[:, -1].max() < 30


def test_two_projectors_share_one_picture_pixel_by_pixel():
    """Theirs is as wide as both: what one shows of the overlap the other does too."""
    renderer = drawing(picture(HEIGHT, WIDTH))
    parts = ((0.0, 0.0, 0.6, 1.0), (0.4, 0.0, 1.0, 1.0))
    left, right = (seen(renderer, Mapping(part=part), (600, 400)) for part in parts)
    assert np.array_equal(left[:, 400:], right[:, :200])
    wide = renderer.drawn((1000, 400)).read()
    assert np.array_equal(np.concatenate([left[:, :400], right], 1), wide)


@pytest.mark.parametrize(("turn", "quarters"), [(90.0, -1), (180.0, 2), (-90.0, 1)])
def test_a_turned_picture_is_composed_upright_and_turned_clockwise(turn, quarters):
    renderer = drawing(picture(HEIGHT, WIDTH))
    composed = renderer.drawn((360, 640) if abs(turn) == 90 else (640, 360)).read()
    turned = seen(renderer, Mapping(rotate=turn), (640, 360)).astype(int)
    assert np.abs(turned - np.rot90(composed, quarters)).max() <= 1


@pytest.mark.parametrize(
    ("fit", "lit"), [(Lie.CONTAIN, (160, 480)), (Lie.COVER, (0, 640)), (Lie.STRETCH, (0, 640)), (Lie.OWN, (0, 640))]
)
def test_a_picture_lies_in_an_output_of_another_shape(fit, lit):
    """A square picture with a white square in its middle, on an output twice as wide as high."""
    image = flat(90, 320, 320)
    image[120:200, 120:200] = 255
    shown = seen(drawing(image, (320, 320)), Mapping(fit=fit), (640, 320))[..., 0]
    columns = np.flatnonzero(shown.max(0))
    assert (columns[0], columns[-1] + 1) == lit
    white = shown > 200
    sides = white.any(0).sum(), white.any(1).sum()
    wanted = {Lie.CONTAIN: (80, 80), Lie.COVER: (160, 160), Lie.STRETCH: (160, 80), Lie.OWN: (160, 160)}[fit]
    assert np.abs(np.subtract(sides, wanted)).max() <= 1


def test_masks_are_of_the_output_not_of_the_picture():
    renderer = drawing(flat(200))
    grey = np.full((36, 64), 128, np.uint8)
    hide, keep = ((0.25, 0.0), (0.5, 0.0), (0.5, 1.0), (0.25, 1.0)), ((0.0, 0.0), (0.75, 0.0), (0.75, 1.0), (0.0, 1.0))
    mapped = Mapped(Mapping(hide=(hide,), keep=(keep,), corners=PINS[2]), grey)
    shown = seen(renderer, mapped, (640, 360))[180, :, 0]
    assert shown[80:155].min() == shown[325:475].max() == round(200 * 128 / 255)
    assert shown[162:318].max() == shown[482:].max() == 0


def test_colours_are_to_a_power_then_times_a_gain():
    shown = seen(drawing(flat(128)), Mapping(gamma=2.0, colour=(1.0, 0.5, 2.0)), (64, 36))
    root = (128 / 255) ** 0.5
    assert np.abs(shown - np.array([255 * root, 127.5 * root, 255.0])).max() <= 1


def test_the_pattern_stands_for_the_picture_and_is_mapped_as_it_is():
    renderer = drawing(flat(0))
    pattern = drawn_pattern((640, 360), "window:1")
    assert np.array_equal(seen(renderer, Mapped(pattern="window:1"), (640, 360)), pattern)
    assert not np.array_equal(pattern, drawn_pattern((640, 360), "ndi:Left")), "the name is in it"
    assert np.array_equal(
        seen(renderer, Mapped(Mapping(rotate=180.0), None, "window:1"), (640, 360)), pattern[::-1, ::-1]
    )
    assert pattern[0].min() == pattern[-1].min() == pattern[:, 0].min() == pattern[:, -1].min() == 255


def test_the_point_that_is_moved_has_a_spot():
    chosen = seen(drawing(flat(0)), Mapped(Mapping(corners=PINS[0]), chosen=(0.0, 0.0)), SIZE)
    x, y = round(0.08 * WIDTH), round(0.11 * HEIGHT)
    assert chosen[y : y + 12, x : x + 12, 0].max() == 255
    assert not chosen[y + 60 :].any()


def test_points_that_can_be_moved_have_rings():
    """A 3x3 mesh that is even: eight rings beside the spot in its middle, where the points are and nowhere else."""
    even = tuple((x / 2, y / 2) for y in range(3) for x in range(3))
    mapping = Mapping(mesh=Mesh(columns=3, rows=3, points=even))
    shown = seen(drawing(flat(0)), Mapped(mapping, chosen=(0.5, 0.5), spans=(2, 2)))
    reach = 15
    for x, y in ((x * WIDTH // 2, y * HEIGHT // 2) for y in range(3) for x in range(3)):
        around = shown[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
        assert around.any()
        is_spot = (x, y) == (WIDTH // 2, HEIGHT // 2)
        assert (around[..., 0] > around[..., 2]).any() == is_spot
        around[:] = 0
    assert not shown.any()
