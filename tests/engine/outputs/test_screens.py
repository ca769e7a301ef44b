"""The show on its outputs: what each is sent, and what is there before the model is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image
from render_scenes import CONTEXT, LOUD, STILL, flat, frame, picture

from engine.core.hud_info import Health, HudInfo
from engine.core.messages import SILENCE, ShowState
from engine.core.preview import LONGEST_PX, RATE_HZ, WATCHED_S, Preview
from engine.outputs.headless import HeadlessOutput, PlainFrames
from engine.outputs.outlets import Outlets
from engine.outputs.output import Drawing, Picture
from engine.outputs.preview import PreviewOutput
from engine.outputs.registry import FIRST, OUTPUTS, OutputSettings, open_first
from engine.outputs.screens import Screen, open_headless, open_screen
from engine.render.renderer import Renderer
from tpos_models.errors import InputError

SIZE = (64, 36)


class Stream:
    """An output of another kind, as one to a network would be: it reads the picture and brings no context."""

    name, light, context, size, rate_hz, closed = "stream", False, None, SIZE, 30.0, False

    def __init__(self) -> None:
        self.got: list[tuple[np.ndarray, float]] = []

    @property
    def health(self) -> Health:
        return Health(len(self.got))

    def dispatch(self) -> None:
        pass

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        picture.ask(SIZE)
        pixels = picture.take()
        assert pixels is not None
        self.got.append((pixels, time_s))

    def close(self) -> None:
        pass


def drawings() -> list[Drawing]:
    return [Renderer(CONTEXT, SIZE), PlainFrames(SIZE)]


@pytest.mark.parametrize("drawing", drawings(), ids=["OpenGL", "none"])
def test_every_output_is_sent_the_picture_and_its_time(drawing):
    stream = Stream()
    screen = Screen(HeadlessOutput(SIZE, None), drawing, SIZE, Outlets(drawing, opened=[stream]))
    assert not screen.redraw(lambda: SILENCE, STILL, 1.0, HudInfo(), False).drawn
    screen.show(frame(flat(90)))
    redrawn = screen.redraw(lambda: replace(LOUD, time_s=1.98), STILL, 2.0, HudInfo(), False)
    assert redrawn.drawn
    assert [int(pixels.max()) for pixels, _ in stream.got] == [0, 90]
    assert [time_s for _, time_s in stream.got] == [1.0, 1.98]
    assert redrawn.shaped_s == 1.98
    assert [output.health.sent for output in (screen.first, *screen.outlets.outputs)] == [2, 2]


@pytest.mark.parametrize("drawing", drawings(), ids=["OpenGL", "none"])
def test_a_picture_asked_for_comes_with_the_time_of_the_sound_that_shaped_it(drawing):
    screen = Screen(HeadlessOutput(SIZE, None), drawing, SIZE)
    given: list[tuple[np.ndarray, float] | None] = []
    for k, value in enumerate((10, 120, 230)):
        screen.show(frame(flat(value), k, float(k)))
        for half in (0.0, 0.5):
            heard = partial(replace, LOUD, time_s=100.0 + k + half)
            redrawn = screen.redraw(heard, STILL, 2 * (k + half), HudInfo(), True)
        given.append(screen.picture(redrawn.shaped_s))
    assert given[0] is None
    assert [(int(pixels.mean()), time_s) for pixels, time_s in filter(None, given[1:])] == [(10, 100.5), (120, 101.5)]


@pytest.mark.parametrize("drawing", drawings(), ids=["OpenGL", "none"])
def test_a_frozen_show_goes_on_in_time_and_can_go_black(drawing):
    screen = Screen(HeadlessOutput(SIZE, None), drawing, SIZE)
    screen.show(frame(flat(90)))
    screen.redraw(lambda: LOUD, STILL, 1.0, HudInfo(), True)
    frozen = ShowState(freeze=True, flash_limiter=False)
    screen.show(frame(flat(10), 1))
    assert screen.redraw(lambda: SILENCE, frozen, 2.0, HudInfo(), True).shaped_s == 2.0
    assert screen.render(lambda: SILENCE, frozen, 2.5).min() == 90
    assert screen.render(lambda: SILENCE, ShowState(freeze=True, blackout=True), 3.0).max() == 0


def test_before_the_first_frame_there_is_a_picture():
    shipped = np.asarray(Image.open(str(files("engine.outputs") / "placeholder.png")).convert("RGB"))
    with open_screen("headless", OutputSettings(size=shipped.shape[1::-1])) as screen:
        assert screen.first.health.sent == 1, "while the model loads, nobody redraws"
        assert screen.redraw(lambda: SILENCE, STILL, 0.0, HudInfo(), True).drawn
        shown = screen.render(lambda: SILENCE, STILL, 0.1)
    assert np.array_equal(shown, shipped)
    assert shown.std() > 20


def test_the_start_picture_is_shown_where_there_is_one():
    with open_screen("headless", OutputSettings(size=(128, 72)), picture()) as screen:
        assert np.array_equal(screen.render(lambda: SILENCE, STILL, 0.0), picture())


def test_a_film_rendered_offline_begins_with_its_first_frame():
    with open_headless(SIZE) as screen:
        assert screen.render(lambda: SILENCE, STILL, 0.0).max() == 0
        screen.show(frame(flat(90)))
        assert (screen.render(lambda: SILENCE, STILL, 0.1) == 90).all()


def test_the_picture_that_ships_is_small():
    assert len((files("engine.outputs") / "placeholder.png").read_bytes()) < 200_000


def test_outputs_have_names_and_others_are_refused_in_words():
    assert list(FIRST) == ["window", "headless"]
    assert list(OUTPUTS) == ["window", "operator", "ndi", "spout", "syphon"]
    with pytest.raises(InputError, match="output 'beamer': window, headless would be accepted"):
        open_first("beamer", OutputSettings())


@pytest.mark.parametrize("kind", [partial(Renderer, CONTEXT), PlainFrames], ids=["OpenGL", "none"])
def test_who_looks_from_afar_is_sent_small_pictures_and_nobody_else_costs_anything(kind):
    now = [0.0]
    preview = Preview(lambda: now[0])
    output = PreviewOutput(preview)
    drawing = kind((960, 540))
    screen = Screen(HeadlessOutput((960, 540), None), drawing, (960, 540), Outlets(drawing, opened=[output]))

    def redraw() -> None:
        screen.redraw(lambda: SILENCE, STILL, now[0], HudInfo(), False)
        now[0] += 0.6 / RATE_HZ

    screen.show(frame(picture(540, 960)))
    for _ in range(8):
        redraw()
    assert output.health.sent == 0
    preview.look()
    for _ in range(5):
        redraw()
    count, small = preview.look()
    assert small is not None
    assert count == output.health.sent == 2  # the first and the fourth redraw ask, those after them hand over
    assert small.shape == (LONGEST_PX * 540 // 960, LONGEST_PX, 3)
    whole = np.asarray(Image.fromarray(picture(540, 960)).resize(small.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(small.astype(int) - whole).mean() < 3  # the same picture, the right way up
    now[0] += WATCHED_S
    for _ in range(8):
        redraw()
    assert output.health.sent <= 3
