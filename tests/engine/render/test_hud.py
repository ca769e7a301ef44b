"""The HUD and the list of keys, drawn over pictures of any brightness and windows of any size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont
from render_scenes import CONTEXT

from engine.core.beat_grid import ClockSource
from engine.core.course import Section
from engine.core.hud_info import Health, HudInfo, Outlet
from engine.core.messages import Heard, LoraStrength, SoundState
from engine.render import gl, text
from engine.render.hud import Help, Hud, draw_help, draw_sheet
from engine.render.keys import HELP

INFO = HudInfo(
    24.0,
    41.0,
    0.6,
    SoundState.OK,
    126.0,
    0.1,
    (Heard("rain", 0.7), Heard("birds", 0.2)),
    "a lighthouse in the rain",
    None,
)
SIZES = [(320, 180), (640, 360), (1280, 720), (3840, 2160), (720, 1280)]


def over(size: gl.Size, background: int, info: HudInfo, hud: Hud | None = None, now_s: float = 0.0) -> np.ndarray:
    """The HUD over a flat colour, first row at the top."""
    CONTEXT.switch_to()
    target = gl.Target(size)
    target.begin()
    gl.fill((0, 0, *size), (background / 255,) * 3)
    (hud or Hud(gl.Canvas())).draw(size, info, now_s)
    pixels = target.read()[::-1].astype(int)
    target.delete()
    return pixels


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("background", [0, 255])
def test_it_reads_over_black_and_white_and_stays_in_its_corner(size, background):
    full = replace(INFO, prompt="word " * 2000, recording_s=3725.0, state=SoundState.CLIPPING, message="preset beach")
    pixels = over(size, background, full)
    changed = (pixels != background).any(-1)
    rows, columns = np.nonzero(changed)
    assert columns.max() < size[0]
    assert rows.min() >= 0
    panel = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].max(-1)
    assert np.percentile(panel, 50) < 90
    assert panel.max() > 235


def test_every_line_is_inside_its_panel():
    for size in SIZES:
        full = replace(INFO, state=SoundState.LOST, message="x" * 300, frozen=True, blackout=True)
        image, sheet = draw_sheet(full, size)
        alpha = np.asarray(image)[..., 3]
        bright = np.asarray(image)[..., :3].max(-1) > 120
        assert image.width <= size[0]
        assert image.height <= size[1]
        assert not bright[-sheet.pad // 2 :].any()
        assert not bright[:, -sheet.pad // 2 :].any()
        assert alpha.max() == 255


def test_words_change_at_once_and_numbers_a_few_times_a_second():
    hud = Hud(gl.Canvas())
    first = over((640, 360), 0, INFO, hud, 0.0)
    assert np.array_equal(over((640, 360), 0, replace(INFO, fps=12.0), hud, 0.05), first)
    assert not np.array_equal(over((640, 360), 0, replace(INFO, fps=12.0), hud, 0.3), first)
    prompt = over((640, 360), 0, replace(INFO, prompt="something else"), hud, 0.31)
    assert not np.array_equal(prompt, over((640, 360), 0, replace(INFO, prompt="yet another"), hud, 0.32))


def test_loras_have_a_line_with_their_strengths():
    plain, _ = draw_sheet(INFO, (640, 360))
    low, high = (draw_sheet(replace(INFO, loras=(LoraStrength("style", s),)), (640, 360))[0] for s in (0.25, -1.5))
    assert low.height == high.height > plain.height
    assert not np.array_equal(np.asarray(low), np.asarray(high))


def test_meters_move_at_every_redraw():
    hud = Hud(gl.Canvas())
    low = over((640, 360), 0, replace(INFO, level=0.1), hud, 0.0)
    high = over((640, 360), 0, replace(INFO, level=0.9), hud, 0.01)
    assert (high[..., 1] > 200).sum() > (low[..., 1] > 200).sum() + 100
    beat = over((640, 360), 0, replace(INFO, level=0.1, beat_phase=0.0), hud, 0.02)
    between = over((640, 360), 0, replace(INFO, level=0.1, beat_phase=0.9), hud, 0.03)
    assert beat.sum() > between.sum()


@pytest.mark.parametrize("size", SIZES)
def test_the_list_of_keys_fits_every_window(size):
    CONTEXT.switch_to()
    image = draw_help(size)
    assert image.width <= size[0]
    assert image.height <= size[1]
    assert (np.asarray(image)[:, -image.width // 40 :, :3] < 100).all(), "a line runs into the edge"
    target = gl.Target(size)
    target.begin()
    Help(gl.Canvas()).draw(size)
    assert target.read().max() > 200
    target.delete()


def test_the_list_names_every_key():
    listed = " ".join(keys for keys, _ in HELP)
    for key in ("?", "F11", "M", "H", "Space", "B", "R", "S", "T", "1 ... 9", "Left", "Right", "Q", "Esc"):
        assert key in listed


def test_text_needs_no_font_of_the_system(monkeypatch):
    """With neither matplotlib's face nor any in the system, Pillow's own is used."""
    text.font.cache_clear()
    monkeypatch.setattr(text, "find_spec", lambda _: None)
    try:
        assert isinstance(text.font(17), ImageFont.FreeTypeFont | ImageFont.ImageFont)
        image, _ = draw_sheet(INFO, (640, 360))
        assert (np.asarray(image)[..., :3] > 200).any()
    finally:
        text.font.cache_clear()


@pytest.mark.parametrize("prompt", ["", "桜の森 満開", "шторм над морем", "🌊🔥", "a\nb\tc", "e\u0301" * 50])
def test_any_prompt_can_be_written(prompt):
    image, _ = draw_sheet(replace(INFO, prompt=prompt), (640, 360))
    assert (np.asarray(image)[..., :3] > 200).any()


def test_a_message_ends_with_its_useful_part():
    accepted = "no preset 'nope'; " + ", ".join(f"preset_{k}" for k in range(40)) + " would be accepted"
    saved = "snapshot /home/somebody/" + "long_folder_name/" * 12 + "snapshot_2026-01-31.png"
    for message, start, end in (
        (accepted, "no preset 'nope'", "39 would be accepted"),
        (saved, "snapshot /home/", "snapshot_2026-01-31.png"),
    ):
        rows = text.wrapped(message, 20, 400, 3)
        assert len(rows) == 3
        assert rows[0].startswith(start)
        assert rows[-1].endswith(end)
        assert all(text.length(row, 20) <= 400 for row in rows)


def test_a_message_that_fits_is_whole():
    assert text.wrapped("preset beach", 20, 400, 3) == ["preset beach"]
    assert text.wrapped("", 20, 400, 3) == []
    whole = "one two three four five six seven eight nine ten"
    assert " ".join(text.wrapped(whole, 20, 200, 5)) == whole


@pytest.mark.parametrize(
    ("shown", "colour"), [(replace(INFO, frozen=True), (120, 190, 255)), (replace(INFO, blackout=True), (255, 70, 70))]
)
def test_what_the_audience_may_take_for_a_fault_is_a_filled_badge(shown, colour):
    def coloured(info: HudInfo) -> int:
        return int((np.abs(over((640, 360), 0, info, now_s=0.0) - colour).max(-1) < 40).sum())

    assert coloured(shown) > coloured(INFO) + 500


def test_a_badge_comes_at_once():
    hud = Hud(gl.Canvas())
    plain = over((640, 360), 0, INFO, hud, 0.0)
    assert not np.array_equal(over((640, 360), 0, replace(INFO, frozen=True), hud, 0.01), plain)


def test_long_text_is_cut_with_an_ellipsis():
    cut = text.fitted("a very long prompt " * 20, 20, 200)
    assert cut.endswith("…")
    assert text.length(cut, 20) <= 200
    assert text.fitted("short", 20, 200) == "short"


def test_the_leader_of_the_beat_is_named_beside_the_tempo_clear_of_the_recordings_time():
    full = replace(INFO, fps=60.0, delay_ms=1310.0, section=Section.BREAKDOWN)
    named = replace(full, clock=ClockSource.LINK)
    for size in SIZES:
        sheet = draw_sheet(named, size)[1]
        images = (draw_sheet(info, size)[0] for info in (full, named, replace(named, recording_s=3725.0)))
        ear, link, recording = (np.asarray(image)[: sheet.top(1), :, :3].astype(int) for image in images)
        assert (ear != link).any()
        red = (recording[..., 0] > 150) & (recording[..., 1] < 120)
        white = recording[..., 1] > 120
        assert np.flatnonzero(white.any(0)).max() < np.flatnonzero(red.any(0)).min()


def test_outputs_that_are_on_are_listed_and_a_broken_one_is_in_amber():
    well = Outlet("ndi", rate_hz=29.7, health=Health(100, watchers=1))
    broken = Outlet("ndi:Wall", health=Health(trouble="the sender is closed"))
    plain = draw_sheet(INFO, (1280, 720))[0]
    for outlets, rows, amber in (
        ((well,), 1, False),
        ((well, broken), 2, True),
        ((Outlet("ndi", on=False),), 0, False),
    ):
        sheet, lines = draw_sheet(replace(INFO, outlets=outlets), (1280, 720))
        assert sheet.height - plain.height == rows * lines.line
        pixels = np.asarray(sheet)[..., :3].astype(int)
        assert (np.abs(pixels - (255, 190, 60)).max(-1) < 8).any() == amber
