"""Conditions of fire and water: what burns, bursts, rolls and rises, at the spot that the place has for it."""

from __future__ import annotations

import torch

from tpos_models.pocket.noise_features import CELLS, FLOW, LIFE
from tpos_models.pocket.world.canvas import Canvas, blob, within, zigzag
from tpos_models.pocket.world.geometry import Geometry
from tpos_models.pocket.world.nature import flames


def fire(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """Flames that lick up from their foot, others behind them, smoke over them; embers, and light on all around."""
    (x, y), wide = geometry.spot("fire"), geometry.amounts["fire_wide"]
    picture = geometry.grade(picture, "#1c0a12", "#ffa057", s * 0.50, ("dark", "far"))
    tall = (0.14 + 0.40 * s) * (0.72 + 0.28 * (wide * 2).clamp_max(1.0))
    beside = ((canvas.x - x) / (wide + 0.25)) ** 2
    light = (1 - (((y - canvas.y) / (1.5 * tall + 0.1)) ** 2 + beside).sqrt()).clamp(0.0, 1.0)
    picture = geometry.shed(picture, "#ff7a24", "far", light**1.4 * s * 1.1)
    far = flames(canvas, x, y - 0.02, wide * 1.15, tall * 1.35) - 0.10
    soot = blob(far, -0.16, 3) * canvas.edge(y - canvas.y)
    picture = geometry.ink(picture, "#2a1220", "dark", soot * s * 0.55)
    opacity = (s * 3).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#a81f1c", "ground", blob(far, 0.0, 10) * opacity * 0.9)
    inside = flames(canvas, x, y, wide, tall)
    for threshold, code, name in (
        (0.0, "#e8401a", "far"), (0.17, "#ff7f1e", "middle"), (0.36, "#ffb833", "accent"), (0.62, "#fff4c0", None),
    ):  # fmt: skip
        picture = geometry.ink(picture, code, name, blob(inside, threshold, 11) * opacity)
    embers = blob(canvas.field(LIFE, 0.7), 2.6 - 0.35 * s, 6) * (1 - beside * 0.8).clamp(0.0, 1.0)
    return geometry.ink(picture, "#ffcf66", "accent", embers * (s * 1.5) * canvas.edge(y - canvas.y))


def explosion(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """A ball of fire in billows of smoke, a ring of shock, debris, and its light on the place."""
    x, y = geometry.spot("blast")
    size = 0.08 + 0.18 * s
    r = canvas.distance(x, y)
    picture = geometry.grade(picture, "#1a0b16", "#ffab66", s * 0.50, ("dark", "far"))
    picture = geometry.shed(picture, "#ff9440", "far", (1 - r / (0.35 + 0.85 * s)).clamp(0.0, 1.0) ** 1.5 * s)
    flat = torch.hypot(canvas.x - x, (canvas.y - y) * 3.0) - 2.3 * size
    ring = (1 - flat.abs() / 0.035).clamp(0.0, 1.0) + 0.5 * (1 - flat.abs() / 0.16).clamp(0.0, 1.0) ** 2
    picture = geometry.shed(picture, "#ffe2b0", "accent", ring * s * 0.8)
    debris = blob(canvas.field(LIFE, 0.7), 2.1 - 0.35 * s, 6) * ((3.2 * size - r) * 5).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#ffd28a", "accent", debris * s)
    billow = 0.34 * (canvas.field(LIFE, 1.5).abs() - 0.6) + 0.24 * (canvas.field(LIFE, 3.0).abs() - 0.6)
    billow = billow * (2.5 - r / size).clamp(0.0, 1.0)
    opacity = (s * 3).clamp(0.0, 1.0)
    up = y - canvas.y
    smoke = torch.hypot((canvas.x - x) * (1.0 - 0.25 * (up / size).clamp(-1.0, 1.0)), up - 0.30 * size) / size
    for radius, code, name, share in (
        (1.50, "#20121c", "dark", 0.90), (1.30, "#54303a", "ground", 0.85), (1.06, "#b83a1d", "far", 1.0),
    ):  # fmt: skip
        picture = geometry.ink(
            picture, code, name, ((radius - smoke + billow) * size * 60).clamp(0.0, 1.0) * opacity * share
        )
    ball = torch.hypot(canvas.x - x, up - 0.10 * size) / size
    hot: tuple[tuple[float, str, str | None], ...]
    hot = ((0.92, "#ff6a1a", "middle"), (0.66, "#ffb02e", "accent"), (0.38, "#fffbe2", None))
    for radius, code, own in hot:
        inside = radius - ball + 0.8 * radius * billow
        picture = geometry.ink(picture, code, own, (inside * size * 45).clamp(0.0, 1.0) * opacity)
    return geometry.shed(picture, "#ffd9a0", "accent", (1 - r / (1.3 * size)).clamp(0.0, 1.0) * s * 0.5)


def splash(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """A crown of thin sheets that rises from water, with drops off its rim and rings that run from it."""
    x, y = geometry.spot("splash")
    u, v = canvas.x - x, canvas.y - y
    flat = torch.hypot(u, v * 3.4)
    pool = 0.14 + 0.42 * s
    picture = geometry.grade(picture, "#062a4a", "#c4f0ff", s * 0.22, ("dark", "accent"))
    water = ((pool - flat) * 9).clamp(0.0, 1.0) * (s * 2).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#1f86bd", "ground_low", water * 0.85)
    rings = blob(torch.sin(flat * 36 - 1.2 * canvas.field(LIFE, 3.0)), 0.45, 4) * water * canvas.edge(flat - 0.10)
    picture = geometry.ink(picture, "#d4f4ff", "accent", rings * 0.85)
    height, half = 0.06 + 0.25 * s, 0.08 + 0.12 * s
    up = -v / height
    wide = half * (0.70 + 0.60 * up.clamp(0.0, 1.3) ** 1.5)
    across = (u / wide).clamp(-1.4, 1.4)
    spike = zigzag(across * 3.5 + 0.5) ** 1.8
    lick = 0.14 * canvas.field(LIFE, 1.5)
    opacity = (s * 3).clamp(0.0, 1.0)
    for back, code, name, share in ((0.20, "#7fcbea", "far", 0.6), (0.0, "#b9e8fa", "middle", 0.5)):
        rim = 0.55 + back + 0.60 * (spike if not back else 1 - spike) + lick
        sheet = torch.minimum(
            (rim - up) * height, torch.minimum(wide - u.abs(), -v + 0.02 + 0.25 * height * (1 - across**2))
        )
        picture = geometry.ink(picture, code, name, canvas.edge(sheet) * opacity * share)
        picture = geometry.ink(picture, "#ffffff", None, canvas.edge(0.0032 - (sheet - 0.003).abs()) * opacity)
    jet = torch.minimum(
        0.006 + 0.020 * (1 - up / 1.9).clamp(0.0, 1.0) ** 2 - u.abs(), torch.minimum(height * 1.75 + v, -v)
    )
    drop = 0.020 * (0.5 + s) - torch.hypot(u, v + height * 1.9)
    picture = geometry.ink(picture, "#e6f8ff", None, canvas.edge(torch.maximum(jet, drop)) * opacity)
    fan = (1 - (torch.hypot(u, v + 0.9 * height) / (0.16 + 0.36 * s)) ** 2).clamp(0.0, 1.0)
    spray = blob(canvas.field(LIFE, 0.7), 2.6 - 1.2 * fan * (0.4 + 0.6 * s), 6) * (fan * 4).clamp(0.0, 1.0)
    return geometry.ink(picture, "#f2fcff", None, spray * canvas.edge(-v) * (s * 1.5))


def waves(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """Rows of breakers, larger and rounder the nearer, with foam that drips from their crests."""
    bend = 0.18 * canvas.field(FLOW, 3.0) + 0.22 * canvas.field(FLOW, 6.0)
    roll = (canvas.y - 0.50) / 0.16 + bend + 0.14 * torch.sin(canvas.x * 12.566)
    above = roll - 3.1 * (1 - s)
    inside, opacity = (above * 9 + 0.5).clamp(0.0, 1.0), (s * 2.2).clamp(0.0, 1.0)
    step = torch.remainder(roll, 1)
    picture = geometry.ink(picture, "#1c86ad", "ground", inside * opacity)
    deep = inside * (roll / 3.1).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#0c3468", "dark", deep * opacity * 0.9)
    clear = ((0.62 - step) * 2.2).clamp(0.0, 1.0)
    picture = geometry.ink(picture, "#5fd0d6", "far", clear * inside * opacity * 0.65)
    drip = 0.10 * (1 - zigzag(canvas.x * 8))
    crest = torch.minimum(step, above.clamp_min(0.0))
    foam = ((0.11 + drip - crest) * 11 + 0.5).clamp(0.0, 1.0) * inside
    picture = geometry.ink(picture, "#ffffff", "accent", foam * opacity)
    spray = blob(canvas.field(LIFE, 0.7), 2.7 - 0.4 * s, 6) * canvas.edge(canvas.y - 0.42)
    return geometry.ink(picture, "#ffffff", "accent", spray * s)


def bubbles(canvas: Canvas, picture: torch.Tensor, geometry: Geometry, s: torch.Tensor) -> torch.Tensor:
    """Under water: rays from above, bubbles large and small with a glint each."""
    picture = geometry.grade(picture, "#032f45", "#5fd6cf", s * 0.74, ("dark", "accent"))
    fan = torch.atan2(canvas.x - 0.5, canvas.y + 0.25)
    ray = blob(torch.sin(fan * 12 + 1.0), 0.4, 1.6) * (1 - canvas.y * 1.2).clamp(0.0, 1.0)
    picture = geometry.shed(picture, "#b9f5ea", "accent", ray * s * 0.45)
    for cells, rare in ((4, 0.85), (2, 1.5)):
        size = cells / CELLS
        u, v = within(canvas.x, size), within(canvas.y, size)
        radius = size * 0.42 * (canvas.cells(LIFE, cells) - rare + 0.9 * s).clamp(0.0, 1.0)
        seen = (radius > 0.005) * (s * 2).clamp(0.0, 1.0)
        inside = radius - torch.hypot(u, v)
        picture = geometry.ink(picture, "#9df0ea", "far", canvas.edge(inside) * 0.4 * seen)
        rim = canvas.edge(0.0065 - (inside - 0.0065).abs())
        picture = geometry.ink(picture, "#f2fffc", None, rim * seen)
        glint = 0.22 * radius - torch.hypot(u + 0.4 * radius, v + 0.4 * radius)
        picture = geometry.ink(picture, "#ffffff", None, canvas.edge(glint) * seen)
    return picture
