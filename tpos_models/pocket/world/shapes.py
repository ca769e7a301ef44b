"""What stands in a place: silhouettes and the abstract looks. Each takes the canvas, the picture so far, the place's
colours `c` (name to (B, 3)) and an amount (B, 1, 1) in 0..1 that sets both size and opacity."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tpos_models.pocket.noise_features import CELLS, TERRAIN
from tpos_models.pocket.world import buildings, looks, nature
from tpos_models.pocket.world.canvas import Canvas, Colours, blob, paint, rgb, solid, within

Shape = Callable[[Canvas, torch.Tensor, Colours, torch.Tensor], torch.Tensor]


def pines(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Two rows of firs, the nearer larger and darker."""
    for cells, band, base, tall, colour in ((2, 2, 0.80, 0.13, "ground_low"), (4, 3, 0.92, 0.24, "near")):
        height = (tall * amount * (1 + 0.35 * canvas.steps(band, cells))).clamp_min(0.0)
        below_top = canvas.y - (base - height)
        tiers = torch.remainder(below_top * 22, 1) * 0.008
        half_width = below_top * 0.36 - tiers
        fir = canvas.edge(
            torch.minimum(half_width.clamp_max(cells / 64) - within(canvas.x, cells / CELLS).abs(), below_top)
        )
        floor = canvas.edge(canvas.y - base - 0.008 * canvas.smooth(band, 1.5))
        picture = paint(picture, c[colour], torch.maximum(fir * solid(amount), floor * solid(amount)))
    return picture


def trunks(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Tall trunks that leave the picture above, and shafts of light between them."""
    shaft = blob(torch.sin((canvas.x + 0.35 * canvas.y) * 21 + 2 * canvas.mood(TERRAIN)), 0.55, 3)
    picture = paint(picture, c["sky_low"], shaft * (1 - canvas.y * 1.1).clamp(0.0, 1.0) * 0.45 * amount)
    for cells, band, thick, colour in ((2, 0, 0.012, "middle"), (4, 1, 0.026, "dark")):
        width = thick * (canvas.steps(band, cells) - 0.1).clamp(0.0, 1.3) * amount
        lean = within(canvas.x, cells / CELLS) + 0.02 * (canvas.y - 0.5)
        trunk = canvas.edge(width - lean.abs()) * (width > 0.003)
        picture = paint(picture, c[colour], trunk * canvas.edge(0.9 - canvas.y))
    return picture


def crowns(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Round trees on a lawn, two rows."""
    for cells, band, base, size, colour in ((2, 2, 0.60, 0.030, "middle"), (4, 1, 0.70, 0.062, "near")):
        radius = size * (0.75 + 0.35 * canvas.steps(band, cells)).clamp(0.0, 1.25) * (0.3 + 0.7 * amount)
        offset = within(canvas.x, cells / CELLS)
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
        u, v = within(canvas.x, cells / CELLS), base - canvas.y
        thick = 0.09 * height
        body = torch.minimum(thick - u.abs(), torch.minimum(height - v, v))
        arm = torch.minimum(
            thick * 0.7 - (u.abs() - height * 0.30).abs(), torch.minimum(height * 0.8 - v, v - height * 0.42)
        )
        elbow = torch.minimum(thick * 0.7 - (v - height * 0.45).abs(), height * 0.36 - u.abs())
        shape = torch.maximum(torch.maximum(body, arm), elbow)
        picture = paint(picture, green, canvas.edge(shape) * (height > 0.02))
    return picture


def palm(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Two palms that lean in from the side, their leaves in the wind."""
    for x0, y0, foot, size, near in ((0.10, 0.33, -0.10, 0.22, 0.004), (-0.06, 0.20, -0.20, 0.30, 0.007)):
        y1 = y0 + 0.4 * (1 - amount)
        up = ((0.88 - canvas.y) / (0.88 - y0)).clamp_min(0.0)
        bow = foot + (x0 - foot) * up**1.6
        ring = 0.0015 * torch.sin(canvas.y * 260)
        trunk = torch.minimum(
            0.010 + 0.012 * (1 - up) + ring - (canvas.x - bow).abs(), torch.minimum(canvas.y - y1, 0.88 - canvas.y)
        )
        picture = paint(picture, c["dark"], canvas.edge(trunk) * solid(amount))
        u, v = canvas.sway(near) - x0, canvas.y - y1
        angle, r = torch.atan2(v - 2.0 * u**2, u), torch.hypot(u, v)
        leaf = torch.cos(angle * 3.5 + 0.4).abs() ** 1.6
        comb = 1 - 0.12 * torch.sin(r * 150) * (r * 9).clamp(0.0, 1.0)
        frond = size * leaf * comb * (1 - 0.35 * torch.sin(angle)) * amount + 0.012 - r
        picture = paint(picture, c["dark"], canvas.edge(frond) * solid(amount))
        sun = canvas.edge(torch.minimum(frond - 0.012, -v - 0.02)) * 0.4
        picture = paint(picture, c["far"], sun * solid(amount))
    return picture


SHAPES: dict[str, Shape] = {
    "canyon": nature.canyon, "blocks": buildings.blocks, "cone": nature.cone, "fall": nature.fall,
    "temple": buildings.temple, "sunken": buildings.sunken, "trunks": trunks, "crowns": crowns, "pines": pines,
    "cactus": cactus, "flowers": flowers, "jets": buildings.jets, "kelp": nature.kelp, "palm": palm,
    "logs": nature.logs, "ice": nature.ice, "street": buildings.street, "rooftop": buildings.rooftop,
    "tunnel": looks.tunnel, "ink": looks.ink, "galaxy": looks.galaxy, "neon": looks.neon, "laser": looks.laser,
    "mandala": looks.mandala, "crystal": looks.crystal, "retrowave": looks.retrowave,
}  # fmt: skip
"""In the order they are painted."""
LIGHTS: dict[str, Callable[[Canvas, torch.Tensor], torch.Tensor]] = {
    "blocks": buildings.windows, "sunken": buildings.sunken_lights, "street": buildings.street_lights,
    "rooftop": buildings.rooftop_lights, "cone": nature.crater_light, "logs": nature.fire_light,
}  # fmt: skip
"""By shape where something shines by itself, 0..1, from canvas and amount: night leaves it lit."""
