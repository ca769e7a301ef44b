"""The fourteen conditions over any picture. Each takes the canvas, the picture, its `Geometry` and a strength (B, 1, 1)
that already saturates; more strength always means further from the picture without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tpos_models.pocket.noise_features import FLOW, LIFE, SKY, TERRAIN
from tpos_models.pocket.world.canvas import Canvas, blob, paint, rgb
from tpos_models.pocket.world.shapes import burn, stars, tongues


@dataclass(frozen=True)
class Geometry:
    """What weather needs to know of the place: where sky is, how deep each pixel lies, what lies open to snow."""

    sky: torch.Tensor
    """1 where the sky shows, (B, size, size)."""
    depth: torch.Tensor
    """0 near, 1 far."""
    flat: torch.Tensor
    """1 on ground that snow covers."""
    horizon: torch.Tensor
    """(B, 1, 1)."""

    @property
    def maps(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sky, depth and flat, each (B, size, size)."""
        return self.sky, self.depth, self.flat

    def covered(self, change: torch.Tensor) -> Geometry:
        """Something was painted: where the picture changed clearly, the sky no longer shows and snow does not lie."""
        open_ = 1 - (change * 8 - 0.4).clamp(0.0, 1.0)
        lies = 0.35 + 0.65 * open_
        return Geometry(self.sky * open_, torch.minimum(self.depth, lies), self.flat * lies, self.horizon)

    def of(self, rows: torch.Tensor) -> Geometry:
        """The same for some of the batch."""
        return Geometry(self.sky[rows], self.depth[rows], self.flat[rows], self.horizon[rows])


ConditionPainter = Callable[[Canvas, torch.Tensor, Geometry, torch.Tensor], torch.Tensor]


def grade(picture: torch.Tensor, dark: str, light: str, amount: torch.Tensor) -> torch.Tensor:
    """Towards a duotone: luminance mapped from `dark` to `light`."""
    luma = 0.3 * picture[:, :1] + 0.55 * picture[:, 1:2] + 0.15 * picture[:, 2:]
    low, high = rgb(dark).to(picture)[:, None, None], rgb(light).to(picture)[:, None, None]
    return picture + amount[:, None] * (low + luma * (high - low) - picture)


def ink(picture: torch.Tensor, code: str, mask: torch.Tensor) -> torch.Tensor:
    """Paint one named colour."""
    return paint(picture, rgb(code).to(picture), mask.clamp(0.0, 1.0))


def there(s: torch.Tensor) -> torch.Tensor:
    """Opacity of shapes that are clear as soon as there is any of them: nothing at 0, whole from 0.125."""
    return (s * 8).clamp(0.0, 1.0)


def sunset(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#3b1538", "#ffb066", s * 0.68)
    picture = ink(picture, "#8a2c62", geometry.sky * s * 0.7 * (1 - canvas.y / geometry.horizon).clamp(0.0, 1.0))
    picture = ink(picture, "#f9944f", geometry.sky * s * 0.7 * (canvas.y / geometry.horizon).clamp(0.0, 1.0))
    glow = (1 - (canvas.y - geometry.horizon).abs() * 2.6).clamp(0.0, 1.0)
    picture = ink(picture, "#ff7a3c", glow * s * (0.25 + 0.4 * geometry.sky))
    x0 = 0.5 + 0.16 * canvas.mood(TERRAIN)
    disc = canvas.disc(x0, geometry.horizon - 0.05, 0.05 + 0.10 * s)
    bar = canvas.edge(
        torch.remainder((canvas.y - geometry.horizon) * 24, 1) * 0.04
        - (canvas.y - geometry.horizon + 0.10).clamp(0.0, 1.0) * 0.16
    )
    return ink(picture, "#ffe07a", disc * (0.25 + 0.75 * geometry.sky) * bar * (s * 1.6).clamp(0.0, 1.0))


def night(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#04081c", "#4a63a0", s * 0.88)
    picture = ink(picture, "#0b1435", geometry.sky * s * 0.72)
    shining = stars(canvas, 1.75 - 0.6 * s) * (1.1 - canvas.y * 1.3).clamp(0.0, 1.0)
    picture = ink(picture, "#fdf6d8", shining * s * (0.3 + 0.7 * geometry.sky))
    moon = canvas.disc(0.76, 0.19, 0.085) * (1 - canvas.disc(0.725, 0.17, 0.072))
    return ink(picture, "#fff3c9", moon * s * (0.5 + 0.5 * geometry.sky))


def sunny(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = (picture * (1 + 0.22 * s[:, None])).clamp(0.0, 1.0)
    picture = ink(picture, "#59c3ea", geometry.sky * s * 0.8 * (1 - canvas.y))
    x0, y0 = 0.22, 0.17
    r = canvas.distance(x0, y0)
    ray = blob(torch.cos(torch.atan2(canvas.y - y0, canvas.x - x0) * 12), 0.25, 4)
    picture = ink(picture, "#fff0a0", ray * canvas.edge(0.30 - r) * s * 0.75)
    picture = ink(picture, "#ffd21f", canvas.edge(0.055 + 0.06 * s - r) * (s * 1.6).clamp(0.0, 1.0))
    picture = ink(picture, "#ffe98a", (1 - r * 1.2).clamp(0.0, 1.0) ** 2 * s * 0.55)
    for x1, y1, size in ((0.56, 0.20, 0.050), (0.68, 0.13, 0.038), (0.78, 0.24, 0.044), (0.87, 0.16, 0.030)):
        u, v = (canvas.x - x1) / size, (canvas.y - y1 - 0.02 * canvas.mood(SKY)) / size
        wing = (0.17 - (v + 0.55 * (u.abs() * 2.2).clamp(0.0, 2.0).sin().clamp_min(0.0) - 0.2).abs()) * size
        picture = ink(
            picture, "#1d2b44", canvas.edge(torch.minimum(wing, (1 - u.abs()) * size)) * (s * 1.5).clamp(0.0, 1.0)
        )
    return picture


def fog(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = ink(picture, "#d9dee0", s * (0.30 + 0.52 * geometry.depth))
    banks = blob(canvas.field(SKY, 1.0, 6.0) * 0.7 + canvas.field(SKY, 3.0) * 0.5, 0.25, 1.6)
    return ink(picture, "#f3f5f4", banks * s * 0.62 * (1 - (canvas.y - 0.6).abs() * 1.3).clamp(0.0, 1.0))


def rain(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#12202e", "#8fa6b5", s * 0.62)
    across = torch.remainder((canvas.x + 0.5 * canvas.y) * 16, 1) - 0.5
    drops = blob(canvas.field(LIFE, 3.0, 1.0), 0.55 - 0.75 * s, 4)
    streak = canvas.edge(0.0042 + 0.0012 * s - across.abs() / 16)
    return ink(picture, "#e4f1f8", streak * drops * (0.25 + 0.7 * s) * there(s))


def thunder(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#150a2b", "#8d7cc0", s * 0.72)
    storm = blob(canvas.field(SKY, 3.0) + 0.5 * canvas.field(SKY, 1.5), 0.0, 4) * (1 - canvas.y * 2.2).clamp(0.0, 1.0)
    picture = ink(picture, "#1b0f38", storm * s * 0.9)
    x0 = 0.52 + 0.22 * canvas.mood(TERRAIN)
    saw = ((torch.remainder(canvas.y * 3.8, 1) - 0.5).abs() - 0.25) * 0.22 + (canvas.y - 0.3) * 0.12
    away = canvas.x - x0 - saw
    reach = 0.30 + 0.42 * s
    bolt = torch.minimum(0.016 * (1.15 - canvas.y / reach).clamp(0.0, 1.2) - away.abs() * 0.85, reach - canvas.y)
    fork = torch.minimum(
        0.007 - (away - 0.55 * (canvas.y - 0.27)).abs() * 0.8, torch.minimum(canvas.y - 0.27, reach * 0.75 - canvas.y)
    )
    glow = (1 - away.abs() * 5).clamp(0.0, 1.0) ** 2 * ((reach + 0.05 - canvas.y) * 8).clamp(0.0, 1.0)
    picture = ink(picture, "#c9a8ff", glow * s * 0.65)
    return ink(picture, "#fffbe6", canvas.edge(torch.maximum(bolt, fork)) * (s * 2).clamp(0.0, 1.0))


def snow(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#3c5068", "#eef4fa", s * 0.55)
    picture = ink(picture, "#f4f8fc", geometry.flat * s * 0.85)
    drift = canvas.edge(canvas.y - 0.97 + 0.10 * s + 0.02 * canvas.smooth(3, 3.0))
    picture = ink(picture, "#ffffff", drift * (s * 2).clamp(0.0, 1.0))
    flakes = blob(canvas.field(LIFE, 0.7), 2.05 - 0.5 * s, 4)
    return ink(picture, "#ffffff", flakes * (0.3 + 0.7 * s) * there(s))


def wind(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    stream = canvas.y * 8 + 0.42 * canvas.field(SKY, 1.0, 6.0) + 0.35 * torch.sin(canvas.x * 6.2832)
    picture = grade(picture, "#3d4f49", "#e6eedd", s * 0.42)
    gust = blob(canvas.field(SKY, 3.0), 0.9 - 1.3 * s, 1.5)
    line = ((0.05 + 0.12 * s * gust - (torch.remainder(stream, 1) - 0.5).abs()) * 14 + 0.5).clamp(0.0, 1.0)
    picture = ink(picture, "#fbfdf2", line * gust * (0.3 + 0.6 * s) * there(s))
    leaf = blob(canvas.field(SKY, 0.7), 2.3 - 0.4 * s, 4)
    return ink(picture, "#d9822b", leaf * (s * 1.3).clamp(0.0, 1.0))


def waves(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    roll = (canvas.y - 0.54) / 0.125 + 0.30 * canvas.field(FLOW, 3.0) + 0.22 * torch.sin(canvas.x * 12.566)
    above = roll - 3.5 * (1 - s)
    inside = (above * 9 + 0.5).clamp(0.0, 1.0)
    step = torch.remainder(roll, 1)
    deep = torch.lerp(
        rgb("#2fb0c0").to(picture)[:, None, None],
        rgb("#0d3f73").to(picture)[:, None, None],
        (roll / 4).clamp(0.0, 1.0)[:, None],
    )
    picture = paint(picture, deep, inside * (s * 2.2).clamp(0.0, 1.0))
    face = (1 - step) * 0.55
    picture = ink(picture, "#7fdbe0", face * inside * (s * 2).clamp(0.0, 1.0) * 0.6)
    crest = ((0.17 - torch.minimum(step, above.clamp_min(0.0))) * 8 + 0.5).clamp(0.0, 1.0) * inside
    return ink(picture, "#fdfefe", crest * (s * 2).clamp(0.0, 1.0))


def splash(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    x0, y0 = 0.5, 0.80
    height = 0.10 + 0.40 * s
    v = ((y0 - canvas.y) / height).clamp_min(-0.2)
    flare = (canvas.x - x0) / ((0.10 + 0.16 * s) * (0.50 + 0.75 * v.clamp_min(0.0)))
    pool = canvas.edge(0.08 + 0.30 * s - ((canvas.x - x0) ** 2 + ((canvas.y - y0) * 3.2) ** 2).sqrt())
    picture = ink(picture, "#2a9fd0", pool * (s * 2).clamp(0.0, 1.0))
    finger = 0.34 + 0.60 * torch.cos(flare * 7.85).abs() ** 1.5 * (1 + 0.15 * canvas.field(LIFE, 3.0, 1.0))
    body = torch.minimum(torch.minimum(finger - v, v + 0.12) * height * 0.5, (1.05 - flare.abs()) * 0.15)
    picture = ink(picture, "#e6f9ff", canvas.edge(body) * (s * 2).clamp(0.0, 1.0))
    picture = ink(picture, "#5cc4ee", canvas.edge(body - 0.018) * (s * 2).clamp(0.0, 1.0))
    spray = blob(canvas.field(LIFE, 0.7), 1.75 - 0.4 * s + 2.5 * (canvas.distance(x0, 0.48) - 0.34).clamp_min(0.0), 4)
    return ink(picture, "#eafaff", spray * (s * 1.3).clamp(0.0, 1.0))


def bubbles(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#032f45", "#5fd6cf", s * 0.78)
    ray = blob(torch.sin((canvas.x - 0.4) / (canvas.y + 0.6) * 16), 0.4, 1.6) * (1 - canvas.y * 1.3).clamp(0.0, 1.0)
    picture = ink(picture, "#b9f5ea", ray * s * 0.45)
    for cells, turn, rare in ((4, 2.4, 1.0), (2, 1.7, 1.6)):
        size = cells / 32
        row, column = (canvas.y / size).floor(), (canvas.x / size).floor()
        u = torch.remainder(canvas.x, size) - size * (0.5 + 0.16 * torch.sin(row * turn + column))
        v = torch.remainder(canvas.y, size) - size * (0.5 + 0.16 * torch.cos(column * turn + row))
        radius = size * 0.33 * (canvas.cells(LIFE, cells) - rare + 0.9 * s).clamp(0.0, 1.0)
        there = (radius > 0.005) * (s * 2).clamp(0.0, 1.0)
        inside = radius - (u**2 + v**2).sqrt()
        picture = ink(picture, "#9df0ea", canvas.edge(inside) * 0.4 * there)
        picture = ink(picture, "#f2fffc", canvas.edge(0.0075 - (inside - 0.0075).abs()) * there)
        glint = 0.22 * radius - ((u + 0.4 * radius) ** 2 + (v + 0.4 * radius) ** 2).sqrt()
        picture = ink(picture, "#ffffff", canvas.edge(glint) * there)
    return picture


def explosion(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    x0, y0 = 0.5 + 0.1 * canvas.mood(LIFE), 0.46
    u, v = canvas.x - x0, canvas.y - y0
    r, angle = (u**2 + v**2).sqrt(), torch.atan2(v, u)
    picture = grade(picture, "#2a0d10", "#ffa25c", s * 0.5)
    burst = (0.07 + 0.27 * s) * (1 + 0.22 * torch.cos(angle * 9) + 0.16 * canvas.field(LIFE, 1.5)) - r
    smoke = (0.09 + 0.33 * s) * (1 + 0.14 * canvas.field(LIFE, 3.0)) - r
    picture = ink(picture, "#3a1a1f", canvas.edge(smoke, 3) * (s * 2).clamp(0.0, 1.0) * 0.85)
    for shrink, code in ((0.0, "#e0341c"), (0.24, "#ff7a1a"), (0.48, "#ffc22e"), (0.72, "#fffbe0")):
        picture = ink(picture, code, canvas.edge(burst - shrink * (0.07 + 0.27 * s)) * (s * 2).clamp(0.0, 1.0))
    return picture


def fire(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#2b0d0a", "#ff9a4a", s * 0.45)
    picture = ink(picture, "#ff6a1f", ((canvas.y - 0.25) * 1.1).clamp(0.0, 1.0) ** 2 * s * 0.7)
    picture = burn(canvas, picture, tongues(canvas, 1.06, 0.12 + 0.54 * s), (s * 2.2).clamp(0.0, 1.0))
    sparks = blob(canvas.field(LIFE, 0.7), 2.1 - 0.4 * s, 4) * (canvas.y * 1.4).clamp(0.0, 1.0)
    return ink(picture, "#ffd36b", sparks * (s * 1.3).clamp(0.0, 1.0))


def aurora(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    picture = grade(picture, "#06122b", "#3f7f88", s * 0.66)
    high = 0.25 + 0.75 * geometry.sky
    for level, foot, code in ((0.5, 0.42, "#a06bff"), (0.0, 0.36, "#2fe6a0")):
        bottom = foot + 0.07 * torch.sin(canvas.x * 7 + 3 * level) + 0.05 * canvas.field(SKY, 6.0)
        up = (bottom - canvas.y) / 0.40
        curtain = (
            canvas.edge(bottom - canvas.y, 3)
            * (1 - up).clamp(0.0, 1.0)
            * blob(canvas.field(SKY, 6.0, 1.0), level - 0.55, 1.3)
        )
        picture = ink(picture, code, curtain * high * s * 1.15)
    shining = stars(canvas, 1.5) * (1 - canvas.y * 1.5).clamp(0.0, 1.0)
    return ink(picture, "#f4fff4", shining * s * geometry.sky)


CONDITION_PAINTERS: dict[str, ConditionPainter] = {
    "fire": fire, "rain": rain, "thunder": thunder, "snow": snow, "wind": wind, "waves": waves, "fog": fog,
    "sunset": sunset, "night": night, "sunny": sunny, "bubbles": bubbles, "explosion": explosion, "splash": splash,
    "aurora": aurora,
}  # fmt: skip
