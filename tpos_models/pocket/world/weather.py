"""Conditions of sky and air. Each takes the canvas, the picture, its `Geometry` and a strength (B, 1, 1) that already
saturates; more strength always means further from the picture without it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tpos_models.pocket.noise_features import CELLS, FLOW, LIFE, SKY, TERRAIN
from tpos_models.pocket.world import elements
from tpos_models.pocket.world.canvas import Canvas, blob, within, zigzag
from tpos_models.pocket.world.geometry import Geometry, there
from tpos_models.pocket.world.looks import stars

ConditionPainter = Callable[[Canvas, torch.Tensor, Geometry, torch.Tensor], torch.Tensor]


def sunset(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """A low sun behind all that stands, its light in bands of cloud, on water and along edges."""
    up = (canvas.y / geometry.horizon).clamp(0.0, 1.0)
    picture = geometry.grade(picture, "#260a30", "#ff9a5a", s * 0.74, ("dark", "middle"))
    picture = geometry.ink(picture, "#5a2a78", "ground", geometry.sky * s * 0.8 * (1 - up * 1.3).clamp(0.0, 1.0))
    picture = geometry.ink(
        picture, "#f0654f", "far", geometry.sky * s * 0.8 * (1 - (up - 0.62).abs() * 2.4).clamp(0.0, 1.0)
    )
    picture = geometry.ink(picture, "#ffc25e", "middle", geometry.sky * s * 0.85 * ((up - 0.55) * 2.2).clamp(0.0, 1.0))
    x, y = 0.5 + 0.16 * canvas.mood(TERRAIN), geometry.horizon - 0.13
    cloud = blob(canvas.field(SKY, 1.0, 6.0) + 0.4 * canvas.field(SKY, 3.0), 0.55, 2.5) * (1 - (up - 0.55).abs() * 1.8)
    picture = geometry.ink(picture, "#8a2f6b", "far", cloud.clamp(0.0, 1.0) * geometry.sky * s * 0.75)
    r = canvas.distance(x, y)
    picture = geometry.shed(
        picture, "#ff8a3c", "middle", (1 - r / 0.75).clamp(0.0, 1.0) ** 2 * s * (0.35 + 0.5 * geometry.sky)
    )
    disc = canvas.edge(0.05 + 0.085 * s - r) * geometry.sky
    picture = geometry.ink(picture, "#ffe9a0", "accent", disc * (s * 1.6))
    picture = geometry.ink(
        picture, "#e2785a", "middle", geometry.wet * s * (0.55 - 0.8 * (canvas.y - geometry.horizon))
    )
    path = (1 - (canvas.x - x).abs() / (0.07 + 0.5 * (canvas.y - y).clamp_min(0.0))).clamp(0.0, 1.0)
    glitter = blob(canvas.field(FLOW, 0.7, 4.0), 0.5 - 1.1 * path, 3) * path
    return geometry.ink(picture, "#ffd27a", "accent", glitter * geometry.wet * s * 0.85)


def night(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """Dark blue, stars and a band of them, a moon with its light on water; what has windows is lit."""
    lit, plain = geometry.lights.clamp(0.0, 1.0) * 0.92, picture
    picture = geometry.grade(picture, "#03071a", "#40589a", s * 0.88, ("dark", "ground"))
    picture = geometry.ink(picture, "#0a1233", "dark", geometry.sky * s * 0.70)
    band = (1 - (canvas.y - 0.42 + 0.32 * (canvas.x - 0.5) - 0.05 * canvas.field(SKY, 6.0)).abs() * 4.5).clamp(0.0, 1.0)
    above = 1 - (2 * geometry.amounts["kelp"]).clamp(0.0, 1.0)
    open_ = (0.20 + 0.80 * geometry.sky) * above
    picture = geometry.shed(picture, "#4a5fc0", "far", band**2 * geometry.sky * s * 0.45)
    shining = stars(canvas, 1.45 - 0.75 * s - 0.5 * band) * (1.25 - canvas.y * 1.3).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#fdf6d8", None, shining * s * open_)
    r = canvas.distance(0.78, 0.19)
    picture = geometry.shed(picture, "#8fb0ff", "accent", (1 - r / 0.40).clamp(0.0, 1.0) ** 2 * s * above * 0.55)
    moon = canvas.edge(0.075 - r) * (1 - 0.94 * canvas.disc(0.745, 0.172, 0.066))
    picture = geometry.ink(picture, "#fff6d6", None, moon * s * above * (0.35 + 0.65 * geometry.sky))
    path = (1 - (canvas.x - 0.78).abs() / (0.05 + 0.35 * (canvas.y - geometry.horizon).clamp_min(0.0))).clamp(0.0, 1.0)
    glitter = blob(canvas.field(FLOW, 0.7, 4.0), 0.6 - 1.0 * path, 3) * path
    picture = geometry.ink(picture, "#cfdcff", "accent", glitter * geometry.wet * s * 0.8)
    return picture + lit[:, None] * (plain - picture)


def sunny(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """A clear sky, a high sun with wide soft rays, birds."""
    picture = (picture * (1 + 0.24 * s[:, None])).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#3fb2ee", "far", geometry.sky * s * 0.85 * (1 - canvas.y))
    x, y = 0.20, 0.16
    r, angle = canvas.polar(x, y)
    ray = (0.5 + 0.5 * torch.cos(angle * 9 + 0.8 * canvas.field(SKY, 6.0))) ** 2
    picture = geometry.shed(picture, "#fff0b0", "accent", ray * (1 - r * 0.85).clamp(0.0, 1.0) * s * 0.75)
    picture = geometry.shed(picture, "#ffe9a0", "accent", (1 - r * 1.1).clamp(0.0, 1.0) ** 2 * s * 0.85)
    picture = geometry.ink(picture, "#ffd83d", "middle", canvas.edge(0.055 + 0.055 * s - r) * (s * 1.6))
    picture = geometry.ink(picture, "#fff6c8", None, canvas.edge(0.035 + 0.045 * s - r) * (s * 1.6))
    for x1, y1, size in ((0.56, 0.20, 0.050), (0.68, 0.13, 0.038), (0.78, 0.24, 0.044), (0.87, 0.16, 0.030)):
        u, v = (canvas.x - x1) / size, (canvas.y - y1 - 0.02 * canvas.mood(SKY)) / size
        wing = (
            0.15 - (v + 0.55 * (u.abs() * 2.2).clamp(0.0, 2.0).sin().clamp_min(0.0) - 0.2).abs() - 0.05 * u.abs()
        ) * size
        bird = canvas.edge(torch.minimum(wing, (1 - u.abs()) * size))
        picture = geometry.ink(picture, "#1d2b44", "dark", bird * (s * 1.5))
    return picture


def fog(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """What is far drowns first; banks lie before each other, the nearer moved further by the wind."""
    haze = geometry.hue("#dfe4e6", "sky_low")
    picture = picture + (s * (0.16 + 0.68 * geometry.depth))[:, None] * (haze[..., None, None] - picture)
    for level, band, sigma, share in ((0.50, 0.11, 6.0, 0.65), (0.66, 0.12, 3.0, 0.6), (0.86, 0.16, 1.5, 0.55)):
        top = level - 0.05 * canvas.field(SKY, 1.0, 6.0) - 0.04 * canvas.field(SKY, sigma)
        bank = ((canvas.y - top) / 0.05).clamp(0.0, 1.0) * (1 - (canvas.y - top) / (2.6 * band)).clamp(0.0, 1.0)
        picture = geometry.ink(picture, "#f4f6f5", "sky_low", bank * s * share)
    return picture


def rain(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """A grey veil that is thickest far away, streaks in three depths, rings where drops meet the ground."""
    picture = geometry.grade(picture, "#101d2c", "#8ea6b6", s * 0.60, ("dark", "accent"))
    picture = geometry.ink(picture, "#8ba2b2", "sky_low", geometry.depth * s * 0.40)
    flat = torch.hypot(within(canvas.x, 4 / CELLS), 3 * within(canvas.y, 4 / CELLS / 2))
    ring = 0.010 + 0.022 * (canvas.cells(LIFE, 4) + 0.6).clamp(0.0, 2.0)
    low = ((canvas.y - 0.70) * 7).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#dcecf4", "accent", canvas.edge(0.0035 - (flat - ring).abs()) * low * s * 0.8)
    slant = canvas.x + 0.5 * canvas.y
    for count, thin, gate, field, share in (
        (32.0, 0.0016, 0.25, canvas.field(LIFE, 1.5), 0.45),
        (16.0, 0.0028, 0.35, canvas.field(LIFE, 3.0, 1.0), 0.75),
        (8.0, 0.0050, 0.85, canvas.field(LIFE, 3.0), 0.90),
    ):
        away = within(slant + 0.37 / count, 1 / count).abs()
        drops = blob(field, gate - 0.75 * s, 3)
        streak = canvas.edge(thin * (0.7 + 0.5 * s) - away)
        picture = geometry.ink(picture, "#e6f2f9", "accent", streak * drops * share * (0.25 + 0.75 * s) * there(s))
    return picture


def thunder(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """Violet storm, and a bolt that finds another way each time: the sky's own contour, with branches."""
    x, y = geometry.spot("bolt")
    picture = geometry.grade(picture, "#120826", "#8578bd", s * 0.74, ("dark", "far"))
    storm = blob(canvas.field(SKY, 3.0) + 0.5 * canvas.field(SKY, 1.5), -0.1, 2.5) * (1 - canvas.y * 1.9).clamp(
        0.0, 1.0
    )
    picture = geometry.ink(picture, "#170c30", "dark", storm * s * 0.85)
    reach = y * (0.45 + 0.55 * s)
    down = (canvas.y / reach).clamp(0.0, 1.2)
    jag = 0.060 * (zigzag(canvas.y * 4) - 0.5) + 0.030 * (zigzag(canvas.y * 8 + 0.3) - 0.5)
    away = canvas.x - x - jag - 0.025 * canvas.field(SKY, 1.5) - 0.035 * canvas.field(FLOW, 3.0)
    away = away - 0.05 * canvas.field(SKY, 6.0) - 0.04 * canvas.mood(LIFE)
    flash = (1 - away.abs() / 0.55).clamp(0.0, 1.0) ** 2 * (1.1 - down).clamp(0.0, 1.0)
    picture = geometry.shed(picture, "#8f6dff", "middle", flash * s * 0.75)
    foot = canvas.glow(x, y, 0.34) * ((s - 0.35) * 2).clamp(0.0, 1.0)
    picture = geometry.shed(picture, "#b9a0ff", "accent", foot * 0.7)
    bolt = torch.minimum(0.0085 * (1.25 - down) + 0.001 - away.abs() * 0.8, reach - canvas.y)
    for top, lean, long in ((0.24, 0.62, 0.30), (0.40, -0.80, 0.26), (0.60, 0.50, 0.20)):
        past = canvas.y - top * reach
        fork = (away - lean * past).abs() * 0.75
        branch = torch.minimum(0.0052 * (1 - past / long) - fork, torch.minimum(past, long * (0.5 + s) - past))
        bolt = torch.maximum(bolt, branch)
    picture = geometry.shed(picture, "#c9b0ff", "accent", (1 + bolt * 38).clamp(0.0, 1.0) ** 2 * (s * 1.5) * 0.8)
    return geometry.ink(picture, "#fffdf0", None, canvas.edge(bolt) * (s * 3))


def snow(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """White ground and air, flakes in three depths, the near ones large and soft."""
    picture = geometry.grade(picture, "#3a4f6a", "#eef4fb", s * 0.52, ("ground", None))
    picture = geometry.ink(picture, "#e4edf6", "sky_low", geometry.depth * s * 0.28)
    picture = geometry.ink(picture, "#f6faff", None, geometry.flat * s * 0.88)
    drift = canvas.y - 0.97 + 0.10 * s + 0.02 * canvas.smooth(3, 3.0)
    picture = geometry.ink(picture, "#ffffff", None, canvas.edge(drift) * (s * 2) * (1 - geometry.amounts["own"]))
    picture = geometry.ink(picture, "#b9cce2", "far", canvas.edge(0.010 - (drift - 0.010).abs()) * s * 0.6)
    small, near = canvas.field(LIFE, 0.7), canvas.field(LIFE, 1.5)
    for flake, level, gain, share in ((-small, 2.15, 6, 0.7), (small, 2.15, 6, 0.95), (near, 2.45, 4, 0.9)):
        picture = geometry.ink(
            picture, "#ffffff", None, blob(flake, level - 0.35 * s, gain) * share * (0.3 + 0.7 * s) * there(s)
        )
    return picture


def wind(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """Strokes of air that swell and thin out, dust along the ground, leaves."""
    stream = (
        canvas.y * 4.0
        + 0.26 * canvas.field(SKY, 1.0, 6.0)
        + 0.30 * torch.sin(canvas.x * 6.2832)
        + 0.25 * canvas.field(SKY, 6.0)
    )
    picture = geometry.grade(picture, "#3b4a47", "#e9eddc", s * 0.40, ("ground", "accent"))
    dust = blob(canvas.field(SKY, 1.0, 6.0) + 0.3 * canvas.field(SKY, 3.0), 0.6 - 0.5 * s, 1.2) * (
        (canvas.y - 0.35) * 1.6
    ).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#e8dfc4", "sky_low", dust * s * 0.45)
    gust = (1.0 * canvas.field(SKY, 3.0) + 0.9 * s - 0.35).clamp(0.0, 1.4)
    for shift, thick in ((0.0, 0.055), (0.5, 0.025)):
        away = within(stream + shift, 1.0).abs()
        line = ((thick * gust * (0.4 + 0.6 * s) - away) * 40 + 0.5).clamp(0.0, 1.0) * (gust * 3).clamp(0.0, 1.0)
        picture = geometry.ink(picture, "#fcfdf4", "accent", line * (0.3 + 0.6 * s) * there(s))
    leaf = blob(canvas.field(SKY, 0.7), 2.55 - 0.40 * s, 6)
    return geometry.ink(picture, "#d9702b", "middle", leaf * (s * 1.3))


def aurora(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """Curtains of light, green at their hem and violet above, over a sky of stars; water shows them once more."""
    picture = geometry.grade(picture, "#030b22", "#2b5a72", s * 0.74, ("dark", "ground"))
    picture = geometry.ink(picture, "#06122e", "dark", geometry.sky * s * 0.72)
    open_ = 0.22 + 0.78 * torch.maximum(geometry.sky, geometry.amounts["own"].expand_as(geometry.sky))
    shining = stars(canvas, 0.9) * (1.1 - canvas.y * 1.5).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#f4fff4", None, shining * s * geometry.sky)
    pleat = 0.58 + 0.42 * torch.sin(canvas.x * 34 + 1.1 * canvas.field(SKY, 6.0))
    for foot, wave, turn, near, share in ((0.30, 5.0, 0.6, 0.03, 0.75), (0.44, 7.0, 2.2, 0.06, 1.1)):
        hem = foot + 0.06 * torch.sin(canvas.x * wave + turn) + near * canvas.field(SKY, 6.0)
        up = (hem - canvas.y) / 0.36
        veil = canvas.edge(hem - canvas.y, 5) * (1 - up).clamp(0.0, 1.0) * pleat
        lit = blob(canvas.field(SKY, 6.0, 1.0), -0.9, 0.7)
        picture = geometry.ink(picture, "#8a3dff", "far", veil * (up * 2.2).clamp(0.0, 1.0) * lit * open_ * s * share)
        low = veil * (1 - up * 1.2).clamp(0.0, 1.0) * lit * open_ * s
        picture = geometry.ink(picture, "#1fe890", "accent", low * share)
        picture = geometry.shed(picture, "#b8ffd8", None, (1 - (up * 7).abs()).clamp(0.0, 1.0) * lit * open_ * s * 0.45)
    glow = (1 - (canvas.y - 2 * geometry.horizon + 0.44).abs() * 3.5).clamp(0.0, 1.0)
    wet = geometry.wet * (0.55 + 0.3 * canvas.field(FLOW, 0.7, 4.0)).clamp(0.0, 1.0)
    return geometry.shed(picture, "#2dd698", "accent", glow * wet * s * 0.6)


CONDITION_PAINTERS: dict[str, ConditionPainter] = {
    "fire": elements.fire, "rain": rain, "thunder": thunder, "snow": snow, "wind": wind, "waves": elements.waves,
    "fog": fog, "sunset": sunset, "night": night, "sunny": sunny, "bubbles": elements.bubbles,
    "explosion": elements.explosion, "splash": elements.splash, "aurora": aurora,
}  # fmt: skip
