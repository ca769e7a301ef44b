"""Text as pictures, drawn by Pillow with the font that matplotlib carries: no system font or font library is needed."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int, int]
Pen = ImageDraw.ImageDraw

WIDE_FROM, WIDE_TO = "\u2e80", "\ufe00"
"""Kana, Han and Hangul are looked up in the system's fonts; DejaVu has none of them."""
WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "DroidSansFallbackFull.ttf", "YuGothM.ttc", "msyh.ttc", "PingFang.ttc")


def _shipped(bold: bool) -> Path | None:
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        return None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf" / name
    return path if path.is_file() else None


@lru_cache(maxsize=64)
def font(size_px: int, bold: bool = False) -> Font:
    """The sans serif face at a size; Pillow's built-in one where matplotlib's is missing."""
    path = _shipped(bold)
    return ImageFont.truetype(path, size_px) if path else ImageFont.load_default(size_px)


@lru_cache(maxsize=64)
def _wide_font(size_px: int) -> Font:
    for name in WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size_px)
        except OSError:
            continue
    return font(size_px)


def _runs(text: str, size_px: int, bold: bool) -> list[tuple[str, Font]]:
    """`text` cut where the script changes, each part with a font that has it, as far as this machine does."""
    parts = groupby(text, lambda c: WIDE_FROM <= c < WIDE_TO)
    return [("".join(part), _wide_font(size_px) if wide else font(size_px, bold)) for wide, part in parts]


def length(text: str, size_px: int, bold: bool = False) -> float:
    """Width of one line in pixels."""
    return sum(face.getlength(part) for part, face in _runs(text, size_px, bold))


def fitted(text: str, size_px: int, width_px: float) -> str:
    """`text` in one line, cut with an ellipsis where it is wider than `width_px`."""
    line = " ".join(text.split())[:400]
    if length(line, size_px) <= width_px:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        fits = length(line[:middle].rstrip() + "…", size_px) <= width_px
        low, high = (middle, high) if fits else (low, middle - 1)
    return line[:low].rstrip() + "…"


def elided(text: str, size_px: int, width_px: float) -> str:
    """`text` in one line, its middle left out where it is wider than `width_px`: both ends stay."""
    line = " ".join(text.split())[:400]
    if length(line, size_px) <= width_px:
        return line
    most, least = len(line) - 1, 0
    while least < most:
        kept = (least + most + 1) // 2
        least, most = (kept, most) if length(_ends(line, kept), size_px) <= width_px else (least, kept - 1)
    return _ends(line, least)


def _ends(line: str, kept: int) -> str:
    """The first third and the last two thirds of `kept` characters: names and what would be accepted come last."""
    head = kept // 3
    return line[:head].rstrip() + "…" + line[len(line) - (kept - head) :].lstrip()


def wrapped(text: str, size_px: int, width_px: float, lines: int) -> list[str]:
    """`text` in at most `lines` lines, broken between words or folders; the last is elided in its middle."""
    rest = " ".join(text.split())
    rows: list[str] = []
    while rest and len(rows) < lines - 1 and length(rest, size_px) > width_px:
        low, high = 1, len(rest)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if length(rest[:middle], size_px) <= width_px else (low, middle - 1)
        breaks = (rest.rfind(" ", low // 2, low + 1), rest.rfind("/", low // 2, low) + 1)
        cut = max(breaks) if max(breaks) > 0 else low
        rows.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*rows, elided(rest, size_px, width_px)] if rest else rows


def write(pen: Pen, at: tuple[float, float], text: str, size_px: int, colour: Colour, bold: bool = False) -> None:
    """Write one line; `at` is the left end of its top."""
    left, top = at
    for part, face in _runs(text, size_px, bold):
        pen.text((left, top + _ascent(font(size_px, bold))), part, font=face, fill=colour, anchor="ls")
        left += face.getlength(part)


def _ascent(face: Font) -> int:
    """From the top of a line to the foot of its letters, in pixels."""
    return face.getmetrics()[0] if isinstance(face, ImageFont.FreeTypeFont) else 11


def panel(size: tuple[int, int], radius_px: int, colour: Colour) -> tuple[Image.Image, Pen]:
    """A scrim with round corners, and the pen to write on it."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius_px, fill=colour)
    return image, pen
