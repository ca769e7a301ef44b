"""The picture of the test: white in a flash, else black, and over it the time to be read off a slow film."""

from __future__ import annotations

from engine.app.sync.signal import Stamp
from engine.render import gl

CELL_MS, CELLS = 10, 51
"""The row's cells stand for so many milliseconds each, the middle one for the moment itself."""
_WHITE, _BLACK, _LIT = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.25, 0.1)
_SEGMENTS = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc", "7": "abc",
    "8": "abcdefg", "9": "abcdfg", "-": "g", " ": "",
}  # fmt: skip
_STROKES = {
    "a": (0.0, 0.9, 1.0, 0.1), "b": (0.8, 0.5, 0.2, 0.5), "c": (0.8, 0.0, 0.2, 0.5), "d": (0.0, 0.0, 1.0, 0.1),
    "e": (0.0, 0.0, 0.2, 0.5), "f": (0.0, 0.5, 0.2, 0.5), "g": (0.0, 0.45, 1.0, 0.1),
}  # fmt: skip
"""Left, bottom, width and height of a digit's seven strokes, as parts of it."""


def draw_card(stamp: Stamp, size: gl.Size) -> None:
    """Draw a moment of the test over the current target, all of `size`.

    Digits that run are small enough not to count as flashes.
    """
    width, height = size
    paper, ink = (_WHITE, _BLACK) if stamp.flash else (_BLACK, _WHITE)
    gl.fill((0, 0, width, height), paper)
    ms = round(1000 * stamp.since_s)
    _row(ms, size, ink)
    _number(f"{ms:5d}", (0.36, 0.25, 0.28, 0.1), size, ink)
    _number(f"{max(stamp.number, 0) % 1000:3d}", (0.8, 0.05, 0.15, 0.08), size, ink)


def _row(ms: int, size: gl.Size, ink: tuple[float, float, float]) -> None:
    """A cell for each step, its foot alone where it is not lit, and a long foot under the middle."""
    width, height = size
    step, middle = width / CELLS, CELLS // 2
    here = middle + round(ms / CELL_MS)
    for cell in range(CELLS):
        left, right = round(cell * step), round((cell + 0.8) * step)
        foot = 0.05 if cell == middle else 0.01
        gl.fill((left, round((0.6 - foot) * height), max(1, right - left), max(1, round(foot * height))), ink)
        if cell == here:
            gl.fill((left, round(0.62 * height), max(1, right - left), max(1, round(0.12 * height))), _LIT)


def _number(text: str, rect: tuple[float, float, float, float], size: gl.Size, ink: tuple[float, float, float]) -> None:
    left, bottom, wide, high = (part * size[k % 2] for k, part in enumerate(rect))
    step = wide / len(text)
    for k, letter in enumerate(text):
        for stroke in _SEGMENTS[letter]:
            x, y, w, h = _STROKES[stroke]
            place = (left + (k + 0.7 * x) * step, bottom + y * high, 0.7 * w * step, h * high)
            gl.fill((round(place[0]), round(place[1]), max(1, round(place[2])), max(1, round(place[3]))), ink)
