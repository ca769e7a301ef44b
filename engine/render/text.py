"""Text as pictures, drawn by Pillow with the font that matplotlib carries: no system font or font library is needed."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int, int]
Pen = ImageDraw.ImageDraw

WIDE_FROM = "\u1100"
"""Scripts from here on (Hangul, kana, Han) are looked up in the system's fonts; DejaVu has what comes before."""
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


def face(text: str, size_px: int, bold: bool = False) -> Font:
    """A font that can write `text`, as far as this machine has one."""
    return (
        _wide_font(size_px)
        if any(c >= WIDE_FROM and c < "\uffef" and not c.isspace() for c in text)
        else font(size_px, bold)
    )


def fitted(text: str, face: Font, width_px: float) -> str:
    """`text` in one line, cut with an ellipsis where it is wider than `width_px`."""
    line = " ".join(text.split())[:400]
    if face.getlength(line) <= width_px:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if face.getlength(line[:middle].rstrip() + "…") <= width_px else (low, middle - 1)
    return line[:low].rstrip() + "…"


def panel(size: tuple[int, int], radius_px: int, colour: Colour) -> tuple[Image.Image, Pen]:
    """A scrim with round corners, and the pen to write on it."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius_px, fill=colour)
    return image, pen
