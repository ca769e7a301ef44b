"""What the operator reads over the picture, in the window only: numbers, meters, what is heard; the list of keys."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from engine.core.beat_grid import ClockSource
from engine.core.course import Section
from engine.core.hud_info import HudInfo
from engine.core.messages import Heard, SoundState
from engine.render import gl
from engine.render.keys import HELP
from engine.render.text import Colour, Pen, fitted, length, panel, wrapped, write

SCRIM: Colour = (8, 8, 12, 185)
BRIGHT: Colour = (245, 245, 245, 255)
DIM: Colour = (170, 174, 184, 255)
AMBER: Colour = (255, 190, 60, 255)
RED: Colour = (255, 70, 70, 255)
TEAL: Colour = (90, 215, 200, 255)
ICE: Colour = (120, 190, 255, 255)
INK: Colour = (8, 8, 12, 255)

REFRESH_S = 0.2
"""Numbers are written anew at most this often; words at once."""
HEARD_LINES, MESSAGE_LINES = 4, 3
WARNINGS = {
    "silence": "silence: no sound comes in",
    "clipping": "clipping: turn the input down",
    "lost": "input lost: waiting for it",
}


def words(info: HudInfo) -> tuple:
    """The part of `info` that must be seen at once when it changes."""
    return info.state, info.prompt, info.recording_s is None, info.message, info.frozen, info.blackout


def text_px(size: gl.Size) -> int:
    """Height of the text for a window: readable at 640x360 and at 4K, upright or not."""
    return int(min(max(min(size[1], 0.75 * size[0]) / 30, 11), 60))


class Overlay:
    """A picture with alpha that lies over the current target. Owned by the thread that draws."""

    def __init__(self, canvas: gl.Canvas) -> None:
        self._canvas = canvas
        self._copy = gl.program("cover.vert", "copy.frag")
        self._texture: gl.Texture | None = None

    def write(self, image: Image.Image) -> None:
        """Replace the picture."""
        if self._texture is None or self._texture.size != image.size:
            if self._texture is not None:
                self._texture.delete()
            self._texture = gl.Texture(image.size)
        self._texture.upload(np.asarray(image)[::-1])

    def draw(self, left: int, bottom: int) -> None:
        """Lay it over, its lower left corner at a pixel."""
        if self._texture is None:
            return
        gl.viewport((left, bottom, *self._texture.size))
        self._copy.use()
        self._texture.bind(0)
        gl.blend_over()
        self._canvas.cover()
        gl.no_blend()


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Lines of the HUD for one window size, top to bottom, in pixels of the panel."""

    width: int
    height: int
    px: int
    pad: int
    line: int

    @classmethod
    def of(cls, size: gl.Size, lines: int) -> _Sheet:
        px = text_px(size)
        pad = round(0.8 * px)
        line = round(1.45 * px)
        return cls(min(size[0] - 2 * pad, 34 * px), lines * line + 2 * pad, px, pad, line)

    @property
    def inner(self) -> int:
        """Width of a line."""
        return self.width - 2 * self.pad

    def top(self, row: int) -> int:
        """Top of a line, from the panel's."""
        return self.pad + row * self.line


def draw_sheet(info: HudInfo, size: gl.Size) -> tuple[Image.Image, _Sheet]:
    """The HUD's panel for a window of `size`, without its moving meters (they take the second line)."""
    inner = _Sheet.of(size, 0).inner
    rows = _rows(info, text_px(size), inner)
    badges = [(word, colour) for word, colour, on in _badges(info) if on]
    used = 2 + len(rows) + bool(badges)
    heard = sorted(info.heard, key=lambda h: -h.weight)[: min(HEARD_LINES, max(0, _most_lines(size) - used))]
    sheet = _Sheet.of(size, used + len(heard))
    image, pen = panel((sheet.width, sheet.height), sheet.pad // 2, SCRIM)
    _numbers(pen, info, sheet)
    _write_badges(pen, badges, sheet)
    for row, (text, colour) in enumerate(rows, 2 + bool(badges)):
        write(pen, (sheet.pad, sheet.top(row)), text, sheet.px, colour)
    for row, one in enumerate(heard, used):
        _bar(pen, one, sheet, sheet.top(row))
    return image, sheet


def _most_lines(size: gl.Size) -> int:
    """Lines for which there is room above and below."""
    sheet = _Sheet.of(size, 0)
    return max(0, size[1] - 4 * sheet.pad) // sheet.line


def _rows(info: HudInfo, px: int, width: int) -> list[tuple[str, Colour]]:
    """Prompt, LoRAs, outputs, what is wrong with the input; the message, whose end says what is accepted or saved."""
    rows = [(fitted(info.prompt or "no prompt", px, width), BRIGHT)]
    if info.loras:
        rows.append((fitted("  ".join(f"{lora.name} {lora.strength:.2f}" for lora in info.loras), px, width), DIM))
    for outlets, colour in ((_well(info), DIM), (_troubled(info), AMBER)):
        rows += [(fitted(outlets, px, width), colour)] if outlets else []
    if warning := WARNINGS.get(info.state):
        rows.append((fitted(warning, px, width), AMBER))
    return rows + [(line, BRIGHT) for line in wrapped(info.message, px, width, MESSAGE_LINES)]


def _well(info: HudInfo) -> str:
    """Outputs that are on and well, and how many pictures a second reach them."""
    well = [one for one in info.outlets if one.on and not one.health.trouble]
    return "   ".join(f"{one.name} {one.state if one.state != 'ok' else f'{one.rate_hz:.0f}/s'}" for one in well)


def _troubled(info: HudInfo) -> str:
    """Outputs that are on and not well."""
    return "   ".join(f"{one.name}: {one.health.trouble}" for one in info.outlets if one.health.trouble)


def _badges(info: HudInfo) -> tuple[tuple[str, Colour, bool], ...]:
    return ("FROZEN", ICE, info.frozen), ("BLACKOUT", RED, info.blackout)


def _write_badges(pen: Pen, badges: list[tuple[str, Colour]], sheet: _Sheet) -> None:
    """Filled boxes with dark words, on the third line: what the audience may take for a fault is meant."""
    left, top = float(sheet.pad), sheet.top(2)
    for word, colour in badges:
        width = length(word, sheet.px, bold=True) + sheet.px
        pen.rounded_rectangle((left, top, left + width, top + 1.25 * sheet.px), sheet.px // 4, fill=colour)
        write(pen, (left + sheet.px / 2, top), word, sheet.px, INK, bold=True)
        left += width + sheet.px


def _numbers(pen: Pen, info: HudInfo, sheet: _Sheet) -> None:
    leader = f" {info.clock}" if info.clock is not ClockSource.EAR else ""
    tempo = f"{info.bpm:.0f} bpm{leader}" if info.bpm > 0 else "no tempo"
    section = f"   {info.section}" if info.section is not Section.NONE else ""
    numbers = f"{info.fps:.0f} fps   {info.delay_ms:.0f} ms   {tempo}{section}"
    if info.recording_s is None:
        write(pen, (sheet.pad, sheet.pad), numbers, sheet.px, BRIGHT, bold=True)
        return
    minutes, seconds = divmod(int(info.recording_s), 60)
    time = f"{minutes}:{seconds:02d}"
    right = sheet.width - sheet.pad
    dot = sheet.px * 0.75
    left = right - length(time, sheet.px, bold=True)
    room = left - 2 * dot - sheet.pad
    if length(numbers, sheet.px, bold=True) > room:
        numbers = fitted(numbers, sheet.px, 0.9 * room)  # bold is a little wider
    write(pen, (sheet.pad, sheet.pad), numbers, sheet.px, BRIGHT, bold=True)
    top = sheet.pad + 0.25 * sheet.px
    pen.ellipse((left - 1.6 * dot, top, left - 0.6 * dot, top + dot), fill=RED)
    write(pen, (left, sheet.pad), time, sheet.px, RED, bold=True)


def _bar(pen: Pen, heard: Heard, sheet: _Sheet, top: int) -> None:
    middle = sheet.width // 2
    write(pen, (sheet.pad, top), fitted(heard.phrase, sheet.px, middle - 1.5 * sheet.pad), sheet.px, DIM)
    full = sheet.width - sheet.pad - middle
    box = (middle, top + sheet.px * 0.3, middle + full, top + sheet.px)
    pen.rectangle(box, fill=(60, 62, 70, 255))
    if heard.weight > 0.0:
        pen.rectangle((middle, box[1], middle + full * min(heard.weight, 1.0), box[3]), fill=TEAL)


def _unit(colour: Colour) -> tuple[float, float, float]:
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


class Hud:
    """Draws a `HudInfo` in the lower left corner. Owned by the thread that draws."""

    def __init__(self, canvas: gl.Canvas) -> None:
        self._overlay = Overlay(canvas)
        self._written: HudInfo | None = None
        self._written_for: gl.Size = (0, 0)
        self._written_s = 0.0
        self._sheet: _Sheet | None = None

    def draw(self, size: gl.Size, info: HudInfo, now_s: float) -> None:
        """Lay it over the current target of `size`; meters move at every call, text is written when it changed."""
        if self._is_stale(size, info, now_s):
            image, self._sheet = draw_sheet(info, size)
            self._overlay.write(image)
            self._written, self._written_for, self._written_s = info, size, now_s
        if self._sheet is None:
            return
        self._overlay.draw(self._sheet.pad, self._sheet.pad)
        self._meters(self._sheet, info)

    def _is_stale(self, size: gl.Size, info: HudInfo, now_s: float) -> bool:
        if self._written is None or size != self._written_for or words(info) != words(self._written):
            return True
        still = replace(info, level=self._written.level, beat_phase=self._written.beat_phase)
        return still != self._written and now_s - self._written_s >= REFRESH_S

    def _meters(self, sheet: _Sheet, info: HudInfo) -> None:
        """The level as a bar and the beat as a light, on the panel's second line."""
        left = 2 * sheet.pad
        high = max(4, sheet.px // 2)
        top = sheet.pad + sheet.height - sheet.pad - sheet.line - sheet.px // 3
        width = sheet.width - 2 * sheet.pad - 2 * high
        lit = round(width * min(max(info.level, 0.0), 1.0))
        colour = RED if info.state is SoundState.CLIPPING else TEAL
        gl.fill((left, top - high, width, high), (0.24, 0.25, 0.28))
        if lit > 0:
            gl.fill((left, top - high, lit, high), _unit(colour))
        beat = (1.0 - info.beat_phase) ** 2 if info.bpm > 0 else 0.0
        light = (0.2 + 0.8 * beat, 0.2 + 0.7 * beat, 0.22 + 0.2 * beat)
        gl.fill((left + width + high, top - high, high, high), light)


class Help:
    """The list of all keys, in the middle of the window."""

    def __init__(self, canvas: gl.Canvas) -> None:
        self._overlay = Overlay(canvas)
        self._size: gl.Size = (0, 0)
        self._at = (0, 0)

    def draw(self, size: gl.Size) -> None:
        """Lay it over the current target of `size`."""
        if size != self._size:
            image = draw_help(size)
            self._overlay.write(image)
            self._size = size
            self._at = ((size[0] - image.width) // 2, (size[1] - image.height) // 2)
        self._overlay.draw(*self._at)


def draw_help(size: gl.Size) -> Image.Image:
    """The panel that lists `keys.HELP`, never larger than the window."""
    fits = min(size[1] / (1.5 * len(HELP) + 2), size[0] / 26)
    px = max(6, int(min(1.2 * text_px(size), fits)))
    line, pad = int(1.5 * px), px
    image, pen = panel((min(size[0], 24 * px), line * len(HELP) + 2 * pad), pad // 2, SCRIM)
    for row, (keys, does) in enumerate(HELP):
        y = pad + row * line
        write(pen, (pad, y), keys, px, TEAL, bold=True)
        write(pen, (pad + 8 * px, y), does, px, BRIGHT)
    return image
