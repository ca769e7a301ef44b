"""What stands in a place: silhouettes and the abstract looks. Each takes the canvas, the picture so far, the place's
colours `c` (name to (B, 3)) and an amount (B, 1, 1) in 0..1 that sets both size and opacity."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tpos_models.pocket.noise_features import FLOW, LIFE, SKY, TERRAIN
from tpos_models.pocket.world.canvas import Canvas, blob, paint, rgb

Colours = dict[str, torch.Tensor]
Shape = Callable[[Canvas, torch.Tensor, Colours, torch.Tensor], torch.Tensor]


def solid(amount: torch.Tensor) -> torch.Tensor:
    """Opacity for an amount: half present is already solid, so mixed places mix sizes rather than ghosts."""
    return (amount * 2).clamp(0.0, 1.0)


def _within(canvas: Canvas, cells: int) -> torch.Tensor:
    """Distance from the middle of the own block of cells, in picture widths, signed."""
    width = cells / 32
    return torch.remainder(canvas.x, width) - width / 2


def pines(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Two rows of firs, the nearer larger and darker."""
    for cells, band, base, tall, colour in ((2, 2, 0.80, 0.13, "ground_low"), (4, 3, 0.92, 0.24, "near")):
        height = (tall * amount * (1 + 0.35 * canvas.steps(band, cells))).clamp_min(0.0)
        below_top = canvas.y - (base - height)
        tiers = torch.remainder(below_top * 22, 1) * 0.008
        half_width = below_top * 0.36 - tiers
        fir = canvas.edge(torch.minimum(half_width.clamp_max(cells / 64) - _within(canvas, cells).abs(), below_top))
        floor = canvas.edge(canvas.y - base - 0.008 * canvas.smooth(band, 1.5))
        picture = paint(picture, c[colour], torch.maximum(fir * solid(amount), floor * solid(amount)))
    return picture


def trunks(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Tall trunks that leave the picture above, and shafts of light between them."""
    shaft = blob(torch.sin((canvas.x + 0.35 * canvas.y) * 21 + 2 * canvas.mood(TERRAIN)), 0.55, 3)
    picture = paint(picture, c["sky_low"], shaft * (1 - canvas.y * 1.1).clamp(0.0, 1.0) * 0.45 * amount)
    for cells, band, thick, colour in ((2, 0, 0.012, "middle"), (4, 1, 0.026, "dark")):
        width = thick * (canvas.steps(band, cells) - 0.1).clamp(0.0, 1.3) * amount
        lean = _within(canvas, cells) + 0.02 * (canvas.y - 0.5)
        trunk = canvas.edge(width - lean.abs()) * (width > 0.003)
        picture = paint(picture, c[colour], trunk * canvas.edge(0.9 - canvas.y))
    return picture


def blocks(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Two rows of tower blocks, lit windows in the nearer."""
    far = 0.56 - 0.10 * canvas.steps(0, 2) * amount + 0.5 * (1 - amount)
    near = 0.66 - 0.11 * canvas.steps(1, 4) * amount + 0.5 * (1 - amount)
    picture = paint(picture, c["middle"], canvas.edge(canvas.y - far) * solid(amount))
    tower = canvas.edge(canvas.y - near)
    picture = paint(picture, c["near"], tower * solid(amount))
    cell_x, cell_y = _within(canvas, 1), torch.remainder(canvas.y, 1 / 32) - 1 / 64
    pane = canvas.edge(0.0088 - cell_x.abs()) * canvas.edge(0.0068 - cell_y.abs())
    lit = canvas.cells(TERRAIN, 1)
    inside = canvas.edge(canvas.y - near - 0.02) * canvas.edge(0.92 - canvas.y)
    return paint(picture, c["accent"], pane * blob(lit, 0.35, 4) * inside * solid(amount))


def crowns(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Round trees on a lawn, two rows."""
    for cells, band, base, size, colour in ((2, 2, 0.60, 0.030, "middle"), (4, 1, 0.70, 0.062, "near")):
        radius = size * (0.75 + 0.35 * canvas.steps(band, cells)).clamp(0.0, 1.25) * (0.3 + 0.7 * amount)
        offset = _within(canvas, cells)
        crown = canvas.edge(radius - (offset**2 + (canvas.y - base + radius * 1.7) ** 2).sqrt())
        stem = (
            canvas.edge(0.1 * radius - offset.abs())
            * canvas.edge(canvas.y - base + radius)
            * canvas.edge(base - canvas.y)
        )
        lit = canvas.edge(radius * 0.62 - ((offset + radius * 0.25) ** 2 + (canvas.y - base + radius * 2) ** 2).sqrt())
        there = solid(amount) * (radius > 0.006)
        picture = paint(picture, c["dark"], stem * there)
        picture = paint(picture, c[colour], crown * there)
        picture = paint(picture, c["ground"], lit * crown * there * 0.6)
    return picture


def flowers(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Heads of flowers over the near ground, large in front."""
    warm, pale = rgb("#ffd23f").to(picture), rgb("#fff6ea").to(picture)
    for cells, top, code in ((2, 0.64, "#f0426b"), (4, 0.80, "#ff5d8f")):
        size = cells / 32
        field = canvas.cells(TERRAIN, cells)
        u, v = torch.remainder(canvas.x, size) - size / 2, torch.remainder(canvas.y, size) - size / 2
        r = (u**2 + v**2).sqrt()
        radius = size * 0.42 * (field - 0.1).clamp(0.0, 0.95) * amount.sqrt()
        here = canvas.edge(canvas.y - top - 0.02 * canvas.smooth(3, 3.0), 6) * solid(amount) * (radius > 0.004)
        hue = blob(canvas.smooth(1, 3.0), -0.2, 2)
        picture = paint(picture, pale, canvas.edge(radius - r) * here)
        picture = paint(picture, rgb(code).to(picture), canvas.edge(radius - r) * here * hue)
        picture = paint(picture, warm, canvas.edge(radius * 0.42 - r) * here)
    return picture


def cactus(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Saguaros: an upright, two arms."""
    green = torch.lerp(c["dark"], rgb("#2f6b4f").to(picture), 0.5)
    for cells, band, base, tall in ((4, 2, 0.70, 0.12), (4, 3, 0.86, 0.26)):
        grown = (canvas.steps(band, cells) - 0.55).clamp(0.0, 1.0)
        height = tall * grown * amount
        u, v = _within(canvas, cells), base - canvas.y
        thick = 0.09 * height
        body = torch.minimum(thick - u.abs(), torch.minimum(height - v, v))
        arm = torch.minimum(
            thick * 0.7 - (u.abs() - height * 0.30).abs(), torch.minimum(height * 0.8 - v, v - height * 0.42)
        )
        elbow = torch.minimum(thick * 0.7 - (v - height * 0.45).abs(), height * 0.36 - u.abs())
        shape = torch.maximum(torch.maximum(body, arm), elbow)
        picture = paint(picture, green, canvas.edge(shape) * (height > 0.02))
    return picture


def cone(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A volcano with streams of lava and a plume."""
    x0, top = 0.5 + 0.08 * canvas.mood(TERRAIN), 0.30 + 0.45 * (1 - amount)
    plume_width = 0.03 + (top - canvas.y).clamp_min(0.0) * 0.55
    plume = canvas.edge(plume_width - (canvas.x - x0).abs() + 0.035 * canvas.field(LIFE, 1.5)) * canvas.edge(
        top + 0.02 - canvas.y
    )
    picture = paint(picture, c["far"], plume * solid(amount) * 0.85)
    slope = (canvas.y - top).clamp_min(0.0)
    body = torch.minimum(0.035 + slope * 0.62 + slope**2 * 0.5 - (canvas.x - x0).abs(), canvas.y - top)
    picture = paint(picture, c["middle"], canvas.edge(body) * solid(amount))
    shade = canvas.edge(torch.minimum(body, canvas.x - x0 - 0.02 + 0.03 * canvas.smooth(1, 1.5)))
    picture = paint(picture, c["near"], shade * solid(amount) * 0.8)
    stream = blob(torch.sin((canvas.x - x0) / (slope + 0.06) * 6) + 0.25 * canvas.field(TERRAIN, 1.5), 0.72, 4)
    lava = stream * canvas.edge(body) * (1 - slope * 2.6).clamp(0.0, 1.0)
    picture = paint(picture, c["accent"], lava * solid(amount))
    glow = (1 - canvas.distance(x0, top) * 4).clamp(0.0, 1.0) ** 2
    return paint(picture, rgb("#ffd27a").to(picture), glow * 0.85 * amount)


def fall(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Cliffs with water falling between them into mist."""
    x0, half = 0.5 + 0.06 * canvas.mood(TERRAIN), (0.10 + 0.02 * canvas.smooth(0, 6.0)) * amount + 0.01
    lip = 0.24 + 0.03 * canvas.smooth(1, 1.5) + 0.02 * canvas.steps(2, 2) + 0.4 * (1 - amount)
    cliff = canvas.edge(torch.minimum(canvas.y - lip, 0.80 - canvas.y))
    picture = paint(picture, c["middle"], cliff * solid(amount))
    ledge = blob(canvas.field(TERRAIN, 6.0, 1.0), 0.6, 2.5)
    picture = paint(picture, c["near"], ledge * cliff * solid(amount) * 0.75)
    water = canvas.edge(half - (canvas.x - x0).abs()) * canvas.edge(torch.minimum(canvas.y - lip, 0.86 - canvas.y))
    picture = paint(picture, c["sky_low"], water * solid(amount))
    strands = blob(canvas.field(LIFE, 3.0, 1.0), 0.2, 2.5)
    picture = paint(picture, c["ground"], strands * water * solid(amount) * 0.7)
    mist = canvas.edge(
        0.07 * amount
        - (((canvas.x - x0) * 0.45) ** 2 + (canvas.y - 0.84) ** 2).sqrt()
        + 0.012 * canvas.field(LIFE, 1.5),
        4,
    )
    return paint(picture, c["accent"], mist * solid(amount) * 0.8)


def jets(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A stone basin and five arcs of water."""
    basin = canvas.edge(
        torch.minimum(
            0.34 - (canvas.x - 0.5).abs() - 0.5 * (canvas.y - 0.80).clamp_min(0.0), 0.055 - (canvas.y - 0.84).abs()
        )
    )
    rim = canvas.edge(torch.minimum(0.36 - (canvas.x - 0.5).abs(), 0.012 - (canvas.y - 0.785).abs()))
    picture = paint(picture, c["near"], basin * solid(amount))
    picture = paint(picture, c["accent"], rim * solid(amount))
    u = (canvas.x - 0.5).abs()
    for spread, tall in ((0.30, 0.26), (0.19, 0.38)):
        height = tall * amount * (1 + 0.12 * canvas.mood(LIFE))
        arc = 0.785 - height * (1 - (2 * u / spread - 1) ** 2)
        jet = canvas.edge(0.011 + 0.004 * canvas.field(LIFE, 1.5) - (canvas.y - arc).abs() * 0.55) * canvas.edge(
            spread - u
        )
        picture = paint(picture, c["accent"], jet * solid(amount))
    top = 0.785 - 0.50 * amount * (1 + 0.08 * canvas.mood(LIFE))
    column = canvas.edge(0.007 + 0.05 * (canvas.y - top) ** 2 + 0.004 * canvas.field(LIFE, 1.5) - u)
    return paint(
        picture, c["accent"], column * canvas.edge(torch.minimum(canvas.y - top, 0.785 - canvas.y)) * solid(amount)
    )


def tongues(canvas: Canvas, line: torch.Tensor | float, tall: torch.Tensor | float) -> torch.Tensor:
    """Height into flames: 0 at the tips, about 1 at the foot; `line` is the foot, `tall` the flames' height."""
    return (canvas.y - line) / tall + 1 + 0.42 * canvas.field(LIFE, 3.0, 1.0) + 0.16 * canvas.field(LIFE, 1.5) - 0.25


def burn(canvas: Canvas, picture: torch.Tensor, inside: torch.Tensor, opacity: torch.Tensor) -> torch.Tensor:
    """Four flat colours of flame from a height into it."""
    for threshold, code in ((0.0, "#c8281e"), (0.22, "#f2601d"), (0.48, "#ffae2b"), (0.78, "#fff0a8")):
        picture = paint(picture, rgb(code).to(picture), blob(inside, threshold, 12) * opacity)
    return picture


def logs(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Crossed logs with a small fire, and its glow on the ground."""
    glow = (1 - canvas.distance(0.5, 0.84) * 2.2).clamp(0.0, 1.0)
    picture = paint(picture, rgb("#e8772e").to(picture), glow**1.5 * 0.75 * amount)
    round_off = ((canvas.x - 0.5) / 0.13) ** 2
    inside = tongues(canvas, 0.88, 0.34 * amount + 0.02) - round_off * 0.9 + 0.35
    picture = burn(canvas, picture, torch.minimum(inside, (0.90 - canvas.y) * 8), solid(amount))
    for lean in (-0.28, 0.28):
        across = (canvas.y - 0.90) + lean * (canvas.x - 0.5)
        log = canvas.edge(torch.minimum(0.020 - across.abs(), 0.19 * amount - (canvas.x - 0.5).abs()))
        picture = paint(picture, rgb("#3a2018").to(picture), log * solid(amount))
    return picture


def kelp(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Rays of light from the surface, weed and coral on the floor."""
    ray = blob(torch.sin((canvas.x - 0.5) / (canvas.y + 0.55) * 15 + 2 * canvas.mood(TERRAIN)), 0.35, 1.6)
    picture = paint(picture, rgb("#9fe3dc").to(picture), ray * (1 - canvas.y * 1.25).clamp(0.0, 1.0) * 0.55 * amount)
    for cells, band, tall, colour in ((2, 2, 0.24, "far"), (4, 3, 0.36, "dark")):
        grown = (canvas.steps(band, cells) + 0.15).clamp(0.0, 1.4)
        up = 0.95 - canvas.y
        height = tall * grown * amount
        sway = 0.010 * torch.sin(canvas.y * 38 + band) * (cells / 2)
        thick = 0.006 * cells * (1 - up / height.clamp_min(1e-3)).clamp(0.0, 1.0).sqrt()
        weed = canvas.edge(thick - (_within(canvas, cells) - sway * 0.7).abs()) * (up < height)
        picture = paint(picture, c[colour], weed * solid(amount))
    coral = canvas.edge(
        0.036 * (canvas.steps(1, 4) - 0.3).clamp(0.0, 1.0) * amount
        - (_within(canvas, 4) ** 2 + (canvas.y - 0.93) ** 2).sqrt() * 0.8
    )
    return paint(picture, c["accent"], coral * solid(amount))


def palm(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """One palm leaning in from the side."""
    x0, y0 = 0.22, 0.30 + 0.4 * (1 - amount)
    up = (0.86 - canvas.y).clamp_min(0.0)
    trunk = canvas.edge(0.011 + 0.006 * (canvas.y - y0) - (canvas.x - 0.08 - 0.25 * up).abs()) * canvas.edge(
        torch.minimum(canvas.y - y0, 0.86 - canvas.y)
    )
    picture = paint(picture, c["dark"], trunk * solid(amount))
    u, v = canvas.x - x0, canvas.y - y0
    angle, r = torch.atan2(v - 2.2 * u**2, u), (u**2 + v**2).sqrt()
    frond = 0.20 * torch.cos(angle * 3 + 0.35).abs() ** 2.5 * (1 - 0.35 * torch.sin(angle)) * amount + 0.012 - r
    return paint(picture, c["dark"], canvas.edge(frond) * solid(amount))


def tunnel(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Rings that run into the distance, bent by the flow."""
    u, v = canvas.x - 0.5 - 0.03 * canvas.mood(TERRAIN), canvas.y - 0.5
    r, angle = (u**2 + v**2).sqrt().clamp_min(0.02), torch.atan2(v, u)
    depth = torch.log(r) * 1.35 + 0.16 * canvas.field(FLOW, 3.0) + 0.10 * torch.cos(angle * 6)
    ring = torch.remainder(depth, 1) - 0.5
    nearness = (r * 2.2).clamp(0.0, 1.0)[:, None]
    wall = torch.lerp(c["sky"][..., None, None], c["sky_low"][..., None, None], nearness)
    out = torch.lerp(picture, wall, solid(amount)[:, None])
    soft = 60 * r.clamp(0.08, 0.5)
    out = paint(out, c["far"], ((0.22 - ring.abs()) * soft + 0.5).clamp(0.0, 1.0) * solid(amount))
    out = paint(out, c["middle"], ((0.09 - ring.abs()) * soft + 0.5).clamp(0.0, 1.0) * solid(amount))
    spoke = blob(torch.cos(angle * 6), 0.9, 6) * (r * 4 - 0.3).clamp(0.0, 1.0)
    out = paint(out, c["accent"], spoke * 0.8 * solid(amount))
    return paint(out, c["dark"], canvas.edge(0.055 - r, 4) * solid(amount))


def ink(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Marbled ink on paper: contour bands of two flowing fields."""
    height = 0.8 * canvas.field(FLOW, 6.0) + 0.45 * canvas.field(FLOW, 3.0) + 0.3 * canvas.field(SKY, 3.0)
    out = torch.lerp(picture, c["sky"][..., None, None].expand_as(picture), solid(amount)[:, None])
    for low, high, colour in (
        (-9.0, -0.9, "near"),
        (-0.60, -0.30, "far"),
        (0.05, 0.55, "ground"),
        (0.75, 1.00, "near"),
        (1.15, 9.0, "middle"),
    ):
        band = torch.minimum(height - low, high - height)
        out = paint(out, c[colour], (band * 11 + 0.5).clamp(0.0, 1.0) * solid(amount))
    return out


def stars(canvas: Canvas, threshold: torch.Tensor | float) -> torch.Tensor:
    """Round stars, one in each cell bright enough."""
    u = torch.remainder(canvas.x, 1 / 32) - 1 / 64
    v = torch.remainder(canvas.y, 1 / 32) - 1 / 64
    radius = ((canvas.cells(TERRAIN, 1) - threshold) * 0.0075 + 0.003).clamp_max(0.011)
    return canvas.edge(radius - (u**2 + v**2).sqrt(), 2) * (radius > 0.003)


def galaxy(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A spiral seen at a slant, stars around it."""
    u, v = canvas.x - 0.5, (canvas.y - 0.5) * 1.45 + 0.25 * (canvas.x - 0.5)
    r, angle = (u**2 + v**2).sqrt().clamp_min(0.01), torch.atan2(v, u)
    arm = (
        torch.cos(2 * angle - torch.log(r + 0.04) * 4.2 + 1.2 * canvas.mood(FLOW))
        + 0.25 * canvas.field(FLOW, 1.5)
        - r * 1.1
    )
    fade = (1.25 - r * 2.2).clamp(0.0, 1.0) * solid(amount)
    picture = torch.lerp(
        picture, torch.lerp(c["sky"], c["sky_low"], 0.5)[..., None, None].expand_as(picture), solid(amount)[:, None]
    )
    for threshold, colour in ((-0.45, "sky_low"), (0.0, "far"), (0.40, "middle")):
        picture = paint(picture, c[colour], blob(arm, threshold, 5) * fade)
    picture = paint(picture, c["accent"], stars(canvas, 1.3) * solid(amount))
    core = (1 - r * 4.2).clamp(0.0, 1.0)
    return paint(paint(picture, c["ground"], core * amount), c["accent"], core**3 * amount)


def neon(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A striped sun over a grid that runs to the horizon."""
    horizon, x0 = 0.56, 0.5 + 0.12 * canvas.mood(TERRAIN)
    sun = canvas.disc(x0, 0.40, 0.20 * amount) * canvas.edge(horizon - canvas.y)
    stripe = canvas.edge(torch.remainder(canvas.y * 20, 1) * 0.05 - (canvas.y - 0.30).clamp(0.0, 1.0) * 0.10)
    warm = torch.lerp(
        rgb("#ffd23f").to(picture)[:, None, None],
        rgb("#ff2d78").to(picture)[:, None, None],
        ((canvas.y - 0.22) * 3).clamp(0.0, 1.0),
    )
    picture = paint(picture, warm[None], sun * stripe * solid(amount))
    ridge = horizon - 0.10 * (0.9 - canvas.smooth(1, 1.5).abs()).clamp_min(0.05) * amount
    picture = paint(picture, c["near"], canvas.edge(canvas.y - ridge) * solid(amount))
    line = canvas.edge(0.008 - (canvas.y - ridge).abs()) * solid(amount)
    picture = paint(picture, rgb("#ff4fd8").to(picture), line)
    depth = (canvas.y - horizon).clamp_min(0.004)
    floor = canvas.edge(canvas.y - horizon) * solid(amount)
    picture = paint(picture, c["ground"], floor)
    rail = (torch.remainder((canvas.x - 0.5) / depth * 0.8 + 0.5, 1) - 0.5).abs() * depth / 0.8
    tie = (
        (torch.remainder(0.32 / (depth + 0.03) + 0.12 * canvas.field(FLOW, 3.0), 1) - 0.5).abs()
        * (depth + 0.03) ** 2
        / 0.32
    )
    grid = torch.maximum(canvas.edge(0.0055 - rail), canvas.edge(0.0055 - tie)) * (depth * 8).clamp(0.0, 1.0)
    return paint(picture, c["accent"], grid * floor)


SHAPES: dict[str, Shape] = {
    "blocks": blocks, "cone": cone, "fall": fall, "trunks": trunks, "crowns": crowns, "pines": pines,
    "cactus": cactus, "flowers": flowers, "jets": jets, "kelp": kelp, "palm": palm, "logs": logs,
    "tunnel": tunnel, "ink": ink, "galaxy": galaxy, "neon": neon,
}  # fmt: skip
"""In the order they are painted."""
