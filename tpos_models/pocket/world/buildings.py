"""What people built: silhouettes as in `shapes`, and where their windows and signs shine at night."""

from __future__ import annotations

import torch

from tpos_models.pocket.noise_features import FLOW, LIFE, SKY, TERRAIN
from tpos_models.pocket.world.canvas import Canvas, Colours, blob, paint, shed, solid, within, zigzag

Towers = tuple[tuple[float, float, float], ...]
"""Middle, half width and top of each, in picture heights."""
FAR_TOWERS: Towers = (
    (-0.34, 0.05, 0.47), (-0.21, 0.04, 0.40), (-0.06, 0.055, 0.50), (0.07, 0.035, 0.36), (0.20, 0.05, 0.46),
    (0.36, 0.04, 0.33), (0.50, 0.05, 0.44), (0.74, 0.045, 0.40), (0.88, 0.05, 0.48), (1.02, 0.035, 0.35),
    (1.16, 0.055, 0.46), (1.31, 0.05, 0.42),
)  # fmt: skip
NEAR_TOWERS: Towers = (
    (-0.30, 0.075, 0.52), (-0.13, 0.065, 0.62), (0.03, 0.07, 0.50), (0.19, 0.06, 0.58), (0.31, 0.05, 0.66),
    (0.46, 0.075, 0.60), (0.62, 0.065, 0.27), (0.78, 0.06, 0.55), (0.93, 0.075, 0.63), (1.09, 0.065, 0.49),
    (1.26, 0.08, 0.57),
)  # fmt: skip


def _towers(canvas: Canvas, towers: Towers, grown: torch.Tensor) -> torch.Tensor:
    """Signed distance into upright towers that grow out of the ground."""
    inside = torch.full_like(canvas.z[:, 0, :1, :1], -9.0)
    for middle, half, top in towers:
        roof = canvas.y - 1 + (1 - top) * grown
        inside = torch.maximum(inside, torch.minimum(half - (canvas.x - middle).abs(), roof))
    return inside


def _panes(canvas: Canvas, towers: torch.Tensor, bright: float) -> torch.Tensor:
    """Lit windows in towers: two to a block of cells, whole blocks of them dark."""
    column, row = within(canvas.x, 1 / 32), within(canvas.y, 1 / 32)
    pane = torch.minimum(0.0090 - column.abs(), 0.0080 - row.abs())
    lit = blob(0.8 * canvas.field(TERRAIN, 0.7) + 0.35 * canvas.field(LIFE, 3.0) + bright, 0.0, 5)
    return canvas.edge(torch.minimum(pane, towers - 0.012)) * lit


def blocks(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Two rows of towers in haze, the tallest with a spire; windows in the nearer, streets shine between them."""
    far, near = (_towers(canvas, towers, amount) for towers in (FAR_TOWERS, NEAR_TOWERS))
    picture = paint(picture, c["middle"], canvas.edge(far) * solid(amount))
    haze = (canvas.y - 0.45).clamp(0.0, 1.0) * 1.3
    picture = paint(picture, c["sky_low"], canvas.edge(far) * haze * 0.55 * solid(amount))
    spire = torch.minimum(0.0055 * (1 - (0.27 - canvas.y) / 0.14) - (canvas.x - 0.62).abs(), 0.30 - canvas.y)
    picture = paint(picture, c["near"], canvas.edge(torch.maximum(near, spire)) * solid(amount))
    rim = canvas.edge(0.0032 - near.abs()) * canvas.edge(0.8 - canvas.y)
    picture = paint(picture, c["sky_low"], rim * 0.5 * solid(amount))
    picture = paint(picture, c["accent"], windows(canvas, amount))
    street = (1 - (canvas.y - 0.93).abs() * 9).clamp(0.0, 1.0) ** 2
    return shed(picture, c["accent"], street * 0.35 * solid(amount))


def windows(canvas: Canvas, amount: torch.Tensor) -> torch.Tensor:
    """Where the city is lit."""
    return _panes(canvas, _towers(canvas, NEAR_TOWERS, amount), -0.05) * canvas.edge(0.95 - canvas.y) * solid(amount)


def jets(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A stone basin in two tiers and arcs of water that fall into it."""
    there, u = solid(amount), (canvas.x - 0.5).abs()
    pool = 0.60 - (u**2 + ((canvas.y - 0.86) * 3.6) ** 2).sqrt()
    stone = torch.maximum(canvas.edge(pool), canvas.edge(canvas.rect(0.5, 0.90, 0.60, 0.045)))
    picture = paint(picture, c["near"], stone * there)
    picture = paint(picture, c["sky"], canvas.edge(pool - 0.035) * there)
    ripple = blob(torch.sin((u**2 + ((canvas.y - 0.86) * 3.6) ** 2).sqrt() * 70 - canvas.field(LIFE, 3.0)), 0.55, 3)
    picture = paint(picture, c["accent"], ripple * canvas.edge(pool - 0.045) * there * 0.55)
    picture = paint(picture, c["accent"], canvas.edge(0.010 - (pool - 0.012).abs()) * there)
    bowl = torch.minimum(
        0.17 - u - 0.9 * (canvas.y - 0.66).clamp_min(0.0), torch.minimum(canvas.y - 0.655, 0.76 - canvas.y)
    )
    foot = torch.minimum(
        0.035 + 0.35 * (canvas.y - 0.80).clamp_min(0.0) - u, torch.minimum(canvas.y - 0.70, 0.87 - canvas.y)
    )
    picture = paint(picture, c["near"], canvas.edge(torch.maximum(bowl, foot)) * there)
    picture = paint(picture, c["accent"], canvas.edge(canvas.rect(0.5, 0.655, 0.185, 0.009)) * there)
    for spread, tall, base, thin in ((0.46, 0.34, 0.85, 0.009), (0.30, 0.44, 0.85, 0.008), (0.15, 0.30, 0.65, 0.007)):
        height = tall * amount * (1 + 0.12 * canvas.mood(LIFE))
        arc = base - height * (1 - (2 * u / spread - 1) ** 2)
        wide = thin * (1 + 0.5 * canvas.field(LIFE, 1.5)) + 0.02 * (canvas.y - base + height).clamp_min(0.0)
        jet = canvas.edge(wide - (canvas.y - arc).abs() * 0.5) * canvas.edge(spread - u) * canvas.edge(base - canvas.y)
        picture = paint(picture, torch.ones_like(c["accent"]), jet * there * 0.85)
    top = 0.65 - 0.44 * amount * (1 + 0.08 * canvas.mood(LIFE))
    column = canvas.edge(0.006 + 0.07 * (canvas.y - top) ** 2 + 0.004 * canvas.field(LIFE, 1.5) - u)
    water = column * canvas.edge(torch.minimum(canvas.y - top, 0.65 - canvas.y))
    return paint(picture, torch.ones_like(c["accent"]), water * there)


def temple(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A temple of six fluted columns on steps, its inside aglow, between cypresses."""
    there, u = solid(amount), (canvas.x - 0.5).abs()
    y = canvas.y + 0.5 * (1 - amount)
    for x, wide, top in ((0.74, 0.050, 0.36), (0.88, 0.060, 0.26)):
        up = (y - top).clamp_min(0.0)
        tree = torch.minimum(
            wide * (up * 5).clamp(0.0, 1.0).sqrt() - (u - x + 0.008 * canvas.field(SKY, 3.0)).abs(), y - top
        )
        picture = paint(picture, c["far"], canvas.edge(torch.minimum(tree, 0.88 - y)) * there)
        picture = paint(picture, c["dark"], canvas.edge(torch.minimum(tree, 0.88 - y) - 0.012) * there * 0.6)
    hall = canvas.edge(torch.minimum(0.50 - u, torch.minimum(y - 0.38, 0.80 - y)))
    picture = paint(picture, c["dark"], hall * there)
    picture = shed(
        picture, c["accent"], hall * (1 - ((u / 0.5) ** 2 + ((y - 0.80) / 0.42) ** 2).sqrt()).clamp(0.0, 1.0) * there
    )
    own = within(canvas.x - 0.5, 0.19)
    bulge = 0.046 - 0.012 * (0.78 - y)
    shaft = torch.minimum(torch.minimum(bulge - own.abs(), 0.555 - u), torch.minimum(y - 0.40, 0.80 - y))
    picture = paint(picture, c["near"], canvas.edge(shaft) * there)
    shade = (0.5 + own / 0.10).clamp(0.0, 1.0) * 0.75
    picture = paint(picture, c["middle"], canvas.edge(shaft) * shade.clamp(0.0, 1.0) * there)
    for cap_y, wide, tall in ((0.405, 0.062, 0.014), (0.792, 0.060, 0.012)):
        cap = torch.minimum(torch.minimum(wide - own.abs(), 0.572 - u), tall - (y - cap_y).abs())
        picture = paint(picture, c["near"], canvas.edge(cap) * there)
    beam = torch.minimum(0.60 - u, torch.minimum(y - 0.315, 0.392 - y))
    roof = torch.minimum((y - 0.13) * 0.9 - u * 0.245, 0.30 - y)
    steps = torch.full_like(beam, -9.0)
    for row in range(4):
        steps = torch.maximum(
            steps, torch.minimum(0.61 + 0.035 * row - u, torch.minimum(y - 0.80 - 0.026 * row, 0.93 - y))
        )
    for body in (beam, roof, steps):
        picture = paint(picture, c["near"], canvas.edge(body) * there)
    picture = paint(picture, c["middle"], canvas.edge(roof - 0.022) * there)
    picture = paint(picture, c["near"], canvas.disc(0.5, 0.245 - 0.5 * (1 - amount), 0.026) * there)
    frieze = torch.minimum(
        blob(torch.cos(canvas.x * 100.53), 0.35, 6), canvas.edge(torch.minimum(y - 0.335, 0.375 - y))
    )
    picture = paint(picture, c["middle"], frieze * canvas.edge(beam) * there)
    tread = canvas.edge(0.005 - within(y - 0.80, 0.026).abs()) * canvas.edge(steps - 0.004)
    return paint(picture, c["middle"], tread * there * 0.8)


def sunken(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Domes, towers and arches on the sea's floor, lit from within."""
    there = solid(amount)
    for far, code, haze in ((1.0, "middle", 0.5), (0.0, "near", 0.0)):
        inside = _sunken(canvas, far, amount)
        body = torch.lerp(c[code], c["sky"], haze)
        picture = paint(picture, body, canvas.edge(inside) * there)
        picture = shed(picture, c["accent"], canvas.edge(0.0035 - inside.abs()) * 0.35 * there)
    lit = sunken_lights(canvas, amount)
    picture = shed(picture, c["accent"], (canvas.glow(0.36, 0.74, 0.36) + canvas.glow(0.93, 0.80, 0.3)) * 0.5 * there)
    return paint(picture, torch.lerp(c["accent"], torch.ones_like(c["accent"]), 0.35), lit)


def _sunken(canvas: Canvas, far: float, amount: torch.Tensor) -> torch.Tensor:
    x, y = canvas.x + 0.11 * far, canvas.y + 0.5 * (1 - amount) + 0.08 * far
    inside = y - 0.93 - 0.01 * canvas.smooth(3, 3.0)
    for middle, radius, foot in ((0.36, 0.19, 0.74), (0.93, 0.13, 0.80), (-0.16, 0.15, 0.80)):
        dome = radius - ((x - middle) ** 2 + ((y - foot) * 1.1).clamp_max(0.0) ** 2).sqrt()
        needle = torch.minimum(0.008 * (y - foot + 1.45 * radius) / radius * 2 - (x - middle).abs(), foot - y)
        inside = torch.maximum(inside, torch.maximum(dome, needle))
    for middle, half, top in ((0.10, 0.045, 0.50), (0.645, 0.05, 0.42), (0.755, 0.035, 0.60), (1.16, 0.05, 0.52)):
        tip = torch.minimum(half * (y - top + 0.12) / 0.12 - (x - middle).abs(), half * 1.25 - (x - middle).abs())
        ledge = torch.minimum(half * 1.6 - (x - middle).abs(), 0.012 - (y - top - 0.10).abs())
        inside = torch.maximum(inside, torch.maximum(torch.minimum(tip, y - top + 0.12), ledge))
    return inside


def sunken_lights(canvas: Canvas, amount: torch.Tensor) -> torch.Tensor:
    """Windows of the city under the sea: arched, in rows."""
    x, y = canvas.x, canvas.y + 0.5 * (1 - amount)
    inside = _sunken(canvas, 0.0, amount) - 0.018
    u, v = within(x, 1 / 32), within(y, 1 / 16)
    arch = torch.minimum(0.0075 - torch.hypot(u, (v + 0.006).clamp_max(0.0)), 0.016 - v.abs())
    lit = blob(canvas.field(TERRAIN, 1.5) + 0.5 * canvas.field(LIFE, 3.0), 0.15, 5)
    return canvas.edge(torch.minimum(arch, inside)) * canvas.edge(0.90 - canvas.y) * lit * solid(amount)


SIGNS = (
    (-0.245, 0.30, 0.040, 0.15, 0), (-0.03, 0.40, 0.030, 0.095, 1), (0.135, 0.335, 0.018, 0.06, 2),
    (0.26, 0.43, 0.012, 0.035, 0), (1.225, 0.27, 0.045, 0.12, 1), (1.05, 0.42, 0.030, 0.08, 0),
    (0.89, 0.31, 0.020, 0.07, 2), (0.755, 0.425, 0.013, 0.04, 1),
)  # fmt: skip
"""Middle, half sizes and colour of each neon sign of the street."""
NEON = ("far", "accent", "ground")


def street(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A wet street that runs away between houses, their neon signs in it once more."""
    there = solid(amount)
    u = (canvas.x - 0.5).abs()
    roofs = torch.maximum(0.50 - 0.74 * u, 0.08 + 0.06 * torch.sin(canvas.x * 9))
    roofs = torch.where(u > 0.07, roofs - 0.06 * ((u * 7).floor() % 2), roofs * 0 + 0.47)
    wall = canvas.edge(torch.minimum(canvas.y - roofs, 0.535 + 0.30 * u - canvas.y))
    picture = paint(picture, c["near"], canvas.edge(canvas.y - roofs) * there)
    picture = shed(picture, c["middle"], wall * (1 - u * 1.1).clamp(0.0, 1.0) * 0.65 * there)
    picture = shed(picture, c["sky_low"], canvas.glow(0.5, 0.5, 0.34) * 0.9 * there)
    picture = paint(picture, c["sky_low"], _street_windows(canvas) * 0.8 * there)
    ground = canvas.edge(canvas.y - 0.535 - 0.16 * u)
    picture = paint(
        picture,
        torch.lerp(c["ground_low"][..., None, None], c["dark"][..., None, None], (canvas.y - 0.5).clamp(0, 1)[:, None]),
        ground * there,
    )
    kerb = canvas.edge(0.006 - (canvas.y - 0.545 - 0.52 * u).abs()) * canvas.edge(u - 0.02)
    picture = shed(picture, c["accent"], kerb * 0.35 * there)
    ripple = 0.022 * canvas.field(FLOW, 0.7, 4.0) + 0.010 * canvas.field(FLOW, 1.5)
    for x, y, wide, tall, k in SIGNS:
        colour, glow = c[NEON[k]], 0.28 + 0.6 * tall
        picture = shed(picture, colour, canvas.glow(x, y, glow) * (1 - ground) * 0.75 * there)
        body = canvas.rect(x, y, wide, tall)
        picture = paint(picture, c["dark"], canvas.edge(body) * there)
        line = canvas.edge(0.0045 - (body - 0.007).abs())
        bar = canvas.edge(torch.minimum(body - 0.016, 0.006 - within(canvas.y - y, 0.034).abs()))
        lit = torch.lerp(colour, torch.ones_like(colour), 0.35)
        picture = paint(picture, lit, torch.maximum(line, bar) * there)
        away = ((canvas.x - x + ripple * 0.8).abs() / (wide * 1.6 + 0.02)).clamp_max(2.0)
        column = (1 - away).clamp(0.0, 1.0) * (1 - (canvas.y - 0.60 - 0.33 * (x - 0.5) ** 2).abs() * 2.1).clamp(
            0.0, 1.0
        )
        picture = shed(picture, colour, (column * 1.5).clamp(0.0, 1.0) * ground * there)
    middle = ((1 - (canvas.x - 0.5 + ripple).abs() * 6).clamp(0.0, 1.0) * (1.25 - canvas.y)).clamp(0.0, 1.0)
    picture = shed(picture, c["sky_low"], middle * ground * 0.8 * there)
    gleam = blob(canvas.field(FLOW, 0.7, 4.0), 1.1, 3) * ground * (canvas.y - 0.5)
    return shed(picture, c["sky_low"], gleam * 0.5 * there)


def street_lights(canvas: Canvas, amount: torch.Tensor) -> torch.Tensor:
    """Windows and signs, and the street that mirrors them."""
    lit = torch.maximum(_street_windows(canvas), canvas.edge(canvas.y - 0.58) * 0.75)
    for x, y, wide, tall, _ in SIGNS:
        lit = torch.maximum(lit, (canvas.rect(x, y, wide, tall) * 6 + 1).clamp(0.0, 1.0))
    return lit * solid(amount)


def _street_windows(canvas: Canvas) -> torch.Tensor:
    """Windows over the street, in rows that run to its end."""
    u = (canvas.x - 0.5).abs()
    row, column = (canvas.y - 0.5) / (u + 0.06) / 0.13, torch.log(u + 0.06) * 5.0
    pane = torch.minimum(0.24 - within(column, 1.0).abs(), 0.26 - within(row, 1.0).abs())
    lit = torch.cos(2.4 * column.floor() + 1.9 * row.floor() + 4.0 * (canvas.x > 0.5)) > 0.35
    inside = canvas.edge(torch.minimum(u - 0.10, canvas.y - 0.57 + 0.66 * u)) * canvas.edge(0.50 - canvas.y)
    return (pane * 40 * (u + 0.1)).clamp(0.0, 1.0) * lit * inside


def rooftop(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A garden on a roof at dusk: lamps on a string, tubs of green, and the city below."""
    there, y = solid(amount), canvas.y + 0.4 * (1 - amount)
    for towers, grown, colour in ((FAR_TOWERS, 0.98, "far"), (NEAR_TOWERS, 0.86, "middle")):
        inside = _towers(canvas, towers, amount * grown)
        picture = paint(picture, c[colour], canvas.edge(inside) * there)
        picture = paint(picture, c["sky_low"], canvas.edge(inside) * (canvas.y - 0.5).clamp(0.0, 1.0) * 1.1 * there)
    picture = paint(picture, c["accent"], rooftop_lights(canvas, amount) * 0.9)
    deck = y - 0.80
    picture = paint(picture, c["ground"], canvas.edge(deck) * there)
    far = deck.clamp_min(0.0) + 0.25
    plank = canvas.edge(0.003 - within((canvas.x - 0.5) / far, 0.35).abs() * far)
    picture = paint(picture, c["ground_low"], plank * canvas.edge(deck) * there)
    rail = torch.maximum(canvas.edge(0.006 - (y - 0.66).abs()), canvas.edge(0.0035 - (y - 0.72).abs()))
    post = canvas.edge(torch.minimum(0.005 - within(canvas.x, 0.16).abs(), torch.minimum(y - 0.66, 0.81 - y)))
    picture = paint(picture, c["dark"], torch.maximum(rail, post) * there)
    leaf = 0.020 * canvas.field(TERRAIN, 1.5) + 0.014 * canvas.field(SKY, 3.0)
    for x, size, top, colour in (
        (-0.27, 0.20, 0.66, "near"), (0.13, 0.11, 0.74, "near"), (0.98, 0.13, 0.72, "near"), (1.25, 0.21, 0.62, "near"),
    ):  # fmt: skip
        u = canvas.sway(0.006) - x
        blades = 0.62 + 0.38 * zigzag(torch.atan2(y - top - size * 0.9, u) * 2.9 + 1.5 * leaf)
        r = (u**2 + ((y - top - size * 0.9) * 0.9) ** 2).sqrt()
        green = torch.minimum(size * blades + leaf - r, top + size - y)
        picture = paint(picture, c[colour], canvas.edge(green) * there)
        picture = paint(
            picture,
            c["sky_low"],
            canvas.edge(torch.minimum(green - 0.035, -0.3 * u - 0.4 * (y - top - size * 0.6))) * 0.22 * there,
        )
        tub = torch.minimum(
            size * 0.72 - 0.25 * (y - top - size) - (canvas.x - x).abs(),
            torch.minimum(y - top - size * 0.95, top + size * 1.65 - y),
        )
        picture = paint(picture, c["dark"], canvas.edge(tub) * there)
    lamp, line = _lamps(canvas)
    picture = paint(picture, c["dark"], canvas.edge(0.0022 - (canvas.y - line).abs()) * there)
    for reach, share in ((0.075, 0.55), (0.016, 1.0)):
        picture = shed(
            picture, c["accent"], (1 - lamp / reach).clamp(0.0, 1.0) ** (2 if share < 1 else 0.4) * share * there
        )
    return shed(picture, c["accent"], (1 - (y - 0.86).abs() * 6).clamp(0.0, 1.0) ** 2 * 0.25 * there)


def _lamps(canvas: Canvas) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the next lamp of a string is, and how high the string hangs."""
    line = 0.13 + 0.52 * within(canvas.x - 0.1, 0.8) ** 2
    return torch.hypot(within(canvas.x - 0.1, 0.1), canvas.y - line - 0.016), line


def rooftop_lights(canvas: Canvas, amount: torch.Tensor) -> torch.Tensor:
    """Windows of the city below the roof."""
    towers = _panes(canvas, _towers(canvas, NEAR_TOWERS, amount * 0.86), 0.55) * canvas.edge(0.66 - canvas.y)
    return torch.maximum(towers, canvas.edge(0.014 - _lamps(canvas)[0])) * solid(amount)
