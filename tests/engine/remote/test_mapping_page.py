"""An output pinned and bent from the page, by mouse, finger and key: what is drawn is where textbooks put it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pythonosc.udp_client import SimpleUDPClient
from remote_stage import SIZES, STATUS, Stage, opened, received, touched
from render_scenes import CONTEXT, STILL, direct_linear_transform, dots, found, frame, through

from engine.control.show import Effect, EffectKind
from engine.core.hud_info import Health, HudInfo, MappingView
from engine.core.messages import SILENCE
from engine.outputs.headless import HeadlessOutput
from engine.outputs.outlets import Outlets
from engine.outputs.output import Picture
from engine.outputs.preview import PreviewOutput
from engine.outputs.screens import Screen
from engine.outputs.venue.mapper import PREVIEW, Mapper
from engine.remote.address import Tokens
from engine.render.mapping.mapping import SQUARE
from engine.render.renderer import Renderer

pytestmark = pytest.mark.realtime

SIZE = WIDTH, HEIGHT = 640, 360
GRID = np.array([(x / 8, y / 8) for y in range(1, 8) for x in range(1, 8)]) * SIZE - 0.5
"""Centres of dots, in pixels."""


class Projector:
    """An output that keeps what it is sent. See `Output`."""

    name, light, context, closed, size, rate_hz, health = "window:1", False, None, False, SIZE, 30.0, Health()
    shown = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        if (pixels := picture.take()) is not None:
            self.shown = pixels
        picture.ask(SIZE)

    def close(self) -> None:
        """It holds nothing."""


class Hall(Stage):
    """A show of a grid of dots on one projector, drawn by the thread that waits for it."""

    def __init__(self, path: Path, tokens: Tokens | None = None) -> None:
        self.path, self.mapper, self.told = path, Mapper(str(path)), list[str]()
        self.mapper.tell = lambda line, trouble: self.told.append(line)
        self.asked: deque[Effect] = deque()
        super().__init__(
            tokens=tokens,
            status=lambda: replace(STATUS, mapping=self.mapper.view),
            wall=self.mapper.preview,
            carry_out=self.asked.append,
        )
        drawing, self.projector = Renderer(CONTEXT, SIZE), Projector()
        preview = PreviewOutput(self.mapper.preview, PREVIEW, lambda: self.mapper.size)
        outlets = Outlets(drawing, opened=[self.projector, preview], mapper=self.mapper)
        self.screen = Screen(HeadlessOutput(SIZE, CONTEXT), drawing, SIZE, outlets)
        self.screen.show(frame(dots(GRID, SIZE)))

    def redraw(self) -> None:
        self.screen.dispatch()
        while self.asked:
            effect = self.asked.popleft()
            assert effect.kind is EffectKind.MAP
            self.mapper.carry_out(effect.text, *effect.given)
        self.screen.redraw(lambda: SILENCE, STILL, 0.0, HudInfo(), False)

    def seen(self, met: Callable[[], object]) -> None:
        """Draw until that is so, and then until it is on the wall."""

        def drawn() -> object:
            self.redraw()
            return met()

        self.until(drawn)
        for _ in range(3):
            self.redraw()

    @property
    def view(self) -> MappingView:
        view = self.mapper.view
        assert view is not None
        return view

    @property
    def points(self) -> np.ndarray:
        return np.array(self.view.points)

    def was_told(self, line: str) -> bool:
        return self.told[-1:] == [line]

    def is_at(self, point: int, place: Any) -> bool:
        return len(self.points) > point and np.abs(self.points[point] - place).max() < 2e-4


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    with Hall(tmp_path / "hall.toml") as hall:
        hall.redraw()
        yield hall


def set_up(page: Any, hall: Hall) -> dict[str, float]:
    """Have the page set up the projector; where its picture is on the screen."""
    if page.locator("nav").is_visible():
        page.click("nav [data-tab=more]")
    page.click("#mapping summary")
    page.get_by_role("button", name="window:1").click()
    hall.seen(lambda: len(hall.points))
    page.wait_for_selector("#points i")
    hall.seen(lambda: page.evaluate("document.querySelector('#preview').height") == 270)
    page.evaluate("scrollTo(0, 0)")
    return page.locator("#preview").bounding_box()


def dragged(page: Any, way: list[tuple[float, float]]) -> None:
    page.mouse.move(*way[0])
    page.mouse.down()
    for place in way[1:]:
        page.mouse.move(*place)
    page.mouse.up()


def pinned(corners: np.ndarray) -> np.ndarray:
    """Where the dots are of a picture whose corners are there, 0..1."""
    return through(direct_linear_transform(np.array(SQUARE) * SIZE, corners * SIZE), GRID)


def test_a_mouse_drags_corners_keys_nudge_them_and_the_venue_keeps_them(browser: Any, hall: Hall) -> None:
    page, troubles = opened(browser, hall, SIZES["desktop"], touch=False)
    box = set_up(page, hall)
    corners = np.array(SQUARE)
    for n, (right, down) in ((0, (60, 40)), (2, (-80, -30))):
        x, y = box["x"] + corners[n][0] * box["width"], box["y"] + corners[n][1] * box["height"]
        dragged(page, [(x + 9, y - 7), (x + 20, y), (x + right + 9, y + down - 7)])
        corners[n] += np.array([right / box["width"], down / box["height"]])
        hall.seen(partial(hall.is_at, n, corners[n]))
    wanted = pinned(corners)
    assert np.abs(found(hall.projector.shown, wanted, 9) - wanted).max() <= 1.0
    light = "document.querySelector('#preview').getContext('2d').getImageData(0, 0, 480, 270).data[4 * (20 * 480 + {})]"
    hall.seen(lambda: page.evaluate(light.format(round(40 * 480 / WIDTH))) == 0)

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    page.get_by_role("button", name="nudge left").click()
    page.get_by_role("button", name="nudge left").click()
    corners[2] += (-1 / WIDTH, -10 / HEIGHT)
    hall.seen(lambda: hall.is_at(2, corners[2]))
    page.get_by_role("switch", name="test pattern").click()
    hall.seen(lambda: hall.view.pattern and np.ptp(hall.projector.shown, -1).any())
    page.get_by_role("switch", name="test pattern").click()
    hall.seen(lambda: not hall.view.pattern)
    page.get_by_role("button", name="Save hall").click()
    hall.seen(hall.path.is_file)
    again = Mapper(str(hall.path)).mapped("window:1")
    assert again is not None
    assert np.abs(np.array(again.mapping.corners) - corners).max() < 2e-4
    page.get_by_role("button", name="hall is saved").wait_for()
    page.get_by_role("button", name="Reset corners").click()
    hall.seen(lambda: np.array_equal(hall.points, SQUARE))
    page.get_by_role("button", name="Save hall").wait_for()
    page.click("#mapping summary")
    hall.seen(lambda: not hall.view.output)
    assert not page.locator("#points").is_visible()
    assert not troubles
    page.context.close()


def test_a_finger_drags_a_point_of_a_mesh_and_what_lies_around_goes_along(browser: Any, hall: Hall) -> None:
    """Straight, a cell is bilinear: its middle goes by a quarter of what one corner of it does."""
    page, troubles = opened(browser, hall, SIZES["phone"])
    box = set_up(page, hall)
    page.get_by_role("button", name="mesh", exact=True).tap()
    hall.seen(lambda: len(hall.points) == 4 + 9)
    page.get_by_role("button", name="straight").tap()
    hall.seen(lambda: hall.view.curve == "straight")
    page.evaluate("scrollTo(0, 0)")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touched(page, [(x + 12, y - 12), (x + 20, y), (x + 12 + 30, y - 12 + 18)])
    moved = np.array([30 / box["width"], 18 / box["height"]])
    hall.seen(lambda: hall.is_at(4 + 4, 0.5 + moved))
    assert np.array_equal(hall.points[:4], SQUARE)
    middles = np.array([(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]) * SIZE - 0.5
    page.get_by_role("button", name="window:1").tap()  # no spot or ring lies over a dot then
    hall.seen(lambda: not hall.view.output)
    wanted = middles + moved / 4 * SIZE
    assert np.abs(found(hall.projector.shown, wanted, 9) - wanted).max() <= 1.0

    page.get_by_role("button", name="window:1").tap()
    hall.seen(lambda: hall.view.output)
    page.get_by_role("button", name="mesh", exact=True).tap()
    hall.seen(lambda: hall.view.point == 5)
    page.locator("#mapping").get_by_role("button", name="5", exact=True).first.tap()
    hall.seen(lambda: hall.view.columns == 5)
    lattice = hall.points[4:].reshape(3, 5, 2)
    assert np.allclose(lattice[1, 2], 0.5 + moved, atol=2e-4), "it keeps its shape"
    assert np.allclose(lattice[1, 1], (0.25, 0.5) + moved / 2, atol=2e-4)
    tapped = "document.querySelectorAll('#mapping button, #mapping summary')"
    heights = page.evaluate(f"[...{tapped}].map(one => one.getBoundingClientRect().height)")
    assert min(heights) >= 40
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not troubles
    page.context.close()


def test_who_looks_on_sees_how_it_is_mapped_and_moves_nothing(browser: Any, tmp_path: Path) -> None:
    with Hall(tmp_path / "hall.toml", Tokens("plays", "looks")) as hall:
        hall.redraw()
        hall.mapper.carry_out("/tpos/mapping", "window:1")
        page, troubles = opened(browser, hall, SIZES["desktop"], touch=False, token="looks")
        page.locator("#mapping summary").press("Enter")
        page.get_by_role("button", name="window:1").wait_for()
        page.keyboard.press("ArrowRight")
        box = page.locator("#preview").bounding_box()
        dragged(page, [(box["x"] + 2, box["y"] + 2), (box["x"] + 60, box["y"] + 60)])
        with hall.connect("/remote/socket?token=looks") as socket:
            socket.send(json.dumps({"send": [["/tpos/mapping/point/1", 0.2, 0.2], ["/tpos/mapping/save", True]]}))
            refused = received(socket, lambda told: "refused" in told)["refused"]
        assert [line[1] for line in refused] == ["this link is to look on"] * 2
        assert hall.get("/remote/mapping.jpg").status == 401
        assert not hall.asked
        assert not hall.told
        assert np.array_equal(hall.points, SQUARE)
        assert not troubles
        page.context.close()


def test_osc_and_the_page_say_the_same_and_what_is_none_is_refused_in_a_line(hall: Hall) -> None:
    osc = SimpleUDPClient(*hall.osc.address)
    with osc, hall.connect() as page:
        osc.send_message("/tpos/mapping", "window:1")
        hall.seen(lambda: hall.view.output)
        assert received(page, lambda told: (told.get("mapping") or {}).get("output"))["mapping"]["points"] == [
            list(corner) for corner in SQUARE
        ]
        for n, place in ((1, (0.1, 0.2)), (2, (0.9, 0.1)), (1, (0.15, 0.2))):
            osc.send_message(f"/tpos/mapping/point/{n}", place)
        hall.seen(lambda: hall.is_at(0, (0.15, 0.2)) and hall.is_at(1, (0.9, 0.1)))
        asked: list[Any]
        for asked, accepted in (
            (["/tpos/mapping/point/1", "left", 0.5], "x (number -1..2), y (number -1..2)"),
            (["/tpos/mapping/point/1", 0.5], "x (number -1..2), y (number -1..2)"),
            (["/tpos/mapping/point/69", 0.5, 0.5], "/tpos/mapping/point/N"),
            (["/tpos/mapping/mesh", 3, 3, "round"], "curve (smooth | straight) or nothing"),
        ):
            page.send(json.dumps({"send": [asked]}))
            [[address, _, said]] = received(page, lambda told: "refused" in told)["refused"]
            assert address == asked[0]
            assert accepted in said
        for asked, line in (
            (["/tpos/mapping/choose", 5], "point 5 of window:1 is none; accepted: 1..4"),
            (["/tpos/mapping", "beamer"], "output 'beamer' cannot be mapped; accepted: window:1"),
            (["/tpos/mapping/point/1", 0.9, 0.9], "point 1 of window:1 stays; accepted: corners that bulge everywhere"),
        ):
            page.send(json.dumps({"send": [asked]}))
            hall.seen(partial(hall.was_told, line))
        assert hall.is_at(0, (0.15, 0.2))
        said = hall.get("/tpos/mapping/point").json["CONTENTS"]
        assert sorted(said) == ["1", "2", "3", "4"]
        assert said["1"]["TYPE"] == "ff"
