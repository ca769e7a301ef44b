"""The grand of nature: volcano, fall, canyon and ice, what burns and what lives under water. As in `shapes`."""

from __future__ import annotations

import torch

from tpos_models.pocket.noise_features import CELLS, FLOW, LIFE, TERRAIN
from tpos_models.pocket.world.canvas import Canvas, Colours, blob, paint, rgb, shed, solid, within, zigzag


def cone(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A volcano, its crater aglow, with streams of lava and a plume lit from below."""
    x0, top, there = 0.5, 0.30 + 0.45 * (1 - amount), solid(amount)
    up = (top - canvas.y).clamp_min(0.0)
    billow = 0.035 * canvas.field(LIFE, 1.5).abs() + 0.05 * canvas.field(LIFE, 3.0) * (up * 5).clamp(0.0, 1.0)
    plume = 0.035 + up * 0.62 + billow - (canvas.x - x0 - 0.5 * up**2).abs()
    for inner, colour, share in ((0.0, "near", 0.9), (0.035, "far", 0.9), (0.085, "ground", 0.5)):
        picture = paint(
            picture, c[colour], canvas.edge(torch.minimum(plume - inner, top + 0.02 - canvas.y)) * there * share
        )
    hot = (1 - up * 4.5).clamp(0.0, 1.0) * canvas.edge(torch.minimum(plume - 0.01, top + 0.02 - canvas.y))
    picture = shed(picture, c["accent"], hot * 0.9 * there)
    slope = (canvas.y - top).clamp_min(0.0)
    jag = 0.014 * canvas.smooth(1, 1.5) * (slope * 8).clamp(0.0, 1.0)
    body = torch.minimum(0.05 + slope * 0.58 + slope**2 * 0.7 + jag - (canvas.x - x0).abs(), canvas.y - top)
    picture = paint(picture, c["middle"], canvas.edge(body) * there)
    gully = canvas.x - x0 - 0.02 - 0.10 * slope + 0.045 * canvas.field(TERRAIN, 3.0) * (slope * 3).clamp(0.0, 1.0)
    picture = paint(picture, c["near"], canvas.edge(torch.minimum(body, gully)) * there * 0.85)
    for lean, wide, long in ((-0.16, 0.013, 0.50), (0.12, 0.020, 0.62), (0.46, 0.010, 0.34), (-0.44, 0.010, 0.40)):
        along = canvas.x - x0 - lean * (slope + 0.05) - 0.022 * canvas.field(TERRAIN, 1.5)
        stream = torch.minimum(wide * (1.2 - slope / long) - along.abs(), body + 0.02)
        picture = shed(
            picture,
            c["accent"],
            (1 - along.abs() * 14).clamp(0.0, 1.0) ** 2
            * canvas.edge(body)
            * (1 - slope / long).clamp(0.0, 1.0)
            * 0.6
            * there,
        )
        picture = paint(picture, c["accent"], canvas.edge(stream) * canvas.edge(canvas.y - top) * there)
        picture = paint(
            picture, rgb("#ffd27a").to(picture), canvas.edge(stream - 0.35 * wide) * canvas.edge(canvas.y - top) * there
        )
    glow = canvas.glow(x0, top, 0.42)
    return shed(picture, rgb("#ff9a3c").to(picture), glow * 0.85 * amount)


def fall(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A fall between two walls of rock, in strands, into mist; firs on the edge."""
    there, x0 = solid(amount), 0.5 + 0.012 * canvas.field(TERRAIN, 6.0)
    half = (0.13 + 0.10 * (canvas.y - 0.24).clamp_min(0.0) ** 2) * amount + 0.005
    u = (canvas.x - x0).abs()
    for back, lip, colour in ((0.05, 0.18, "far"), (0.0, 0.25, "middle")):
        top = lip + 0.4 * (1 - amount) + 0.03 * canvas.smooth(1, 1.5) + 0.025 * canvas.steps(2, 2) - 0.10 * (u - 0.1)
        wall = torch.minimum(canvas.y - top + back, 0.82 - canvas.y)
        picture = paint(picture, c[colour], canvas.edge(wall) * there)
        ledge = blob(canvas.field(TERRAIN, 3.0) + 1.2 * torch.sin(canvas.x * 26 + 3 * canvas.y), 0.8, 2.5)
        picture = paint(picture, c["near"], ledge * canvas.edge(wall) * there * (0.30 if back else 0.55))
        light = blob(torch.sin(canvas.x * 26 + 3 * canvas.y + 2.4) + 0.5 * canvas.field(TERRAIN, 3.0), 0.9, 2)
        picture = paint(picture, c["sky_low"], light * canvas.edge(wall) * there * 0.25)
    water = canvas.edge(torch.minimum(half - u, torch.minimum(canvas.y - 0.24 - 0.4 * (1 - amount), 0.86 - canvas.y)))
    picture = paint(picture, c["accent"], water * there)
    strands = torch.sin((canvas.x - x0) * 95 / (1 + canvas.y)) + 0.9 * canvas.field(LIFE, 3.0, 1.0)
    for level, colour, share in ((0.25, "ground", 0.55), (0.9, "ground_low", 0.5)):
        picture = paint(picture, c[colour], blob(strands, level, 3) * water * there * share)
    for size, colour, share in ((0.16, "ground", 0.5), (0.10, "accent", 0.85)):
        mist = size * amount - ((u * 0.42) ** 2 + (canvas.y - 0.85) ** 2).sqrt() + 0.02 * canvas.field(LIFE, 1.5).abs()
        picture = paint(picture, c[colour], (mist * 22).clamp(0.0, 1.0) * there * share)
    ring = (u * 0.4) ** 2 + (canvas.y - 0.85) ** 2
    wave = blob(torch.sin(ring.sqrt() * 120 - canvas.field(LIFE, 3.0)), 0.6, 3) * canvas.edge(canvas.y - 0.87)
    return paint(picture, c["accent"], wave * (1 - ring * 9).clamp(0.0, 1.0) * there * 0.6)


def logs(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Crossed logs with a small fire in a ring of stones, and its light on ground and firs."""
    there = solid(amount)
    picture = shed(picture, rgb("#ff7a26").to(picture), canvas.glow(0.5, 0.80, 0.62) * 0.75 * amount)
    flat = torch.hypot((canvas.x - 0.5) * 0.35, canvas.y - 0.91)
    picture = shed(picture, rgb("#ffb347").to(picture), (1 - flat * 5).clamp(0.0, 1.0) ** 2 * 0.6 * amount)
    inside = flames(canvas, 0.5, 0.89, 0.10, 0.30 * amount + 0.02)
    for threshold, code in ((0.0, "#e0451c"), (0.22, "#ff7a1a"), (0.45, "#ffb52e"), (0.72, "#fff3b8")):
        picture = paint(picture, rgb(code).to(picture), blob(inside, threshold, 12) * there)
    for lean in (-0.30, 0.30):
        across = (canvas.y - 0.895) + lean * (canvas.x - 0.5)
        log = torch.minimum(0.021 - across.abs(), 0.17 * amount - (canvas.x - 0.5).abs())
        picture = paint(picture, rgb("#2a1512").to(picture), canvas.edge(log) * there)
        picture = paint(
            picture, rgb("#d4571f").to(picture), canvas.edge(torch.minimum(log, -across - 0.008)) * there * 0.8
        )
    stone = 0.022 - torch.hypot(within(canvas.x - 0.5, 0.07) * 0.7, canvas.y - 0.945 - 0.10 * (canvas.x - 0.5) ** 2)
    ring = canvas.edge(torch.minimum(stone, 0.30 - (canvas.x - 0.5).abs())) * there
    picture = paint(picture, c["near"], ring)
    return paint(picture, rgb("#a5502a").to(picture), ring * canvas.edge(0.936 - canvas.y) * 0.8)


def flames(
    canvas: Canvas,
    x: torch.Tensor | float,
    foot: torch.Tensor | float,
    wide: torch.Tensor | float,
    tall: torch.Tensor | float,
) -> torch.Tensor:
    """Height into flames around a foot, in their own heights: 0 at the tips, about 1 at the foot; life lifts them."""
    up = ((foot - canvas.y) / tall).clamp(-0.3, 1.5)
    lick = 0.026 * canvas.field(LIFE, 1.5) + 0.030 * canvas.field(LIFE, 3.0, 1.0)
    u = canvas.x - x + 0.8 * lick
    tongue = zigzag(u * 4.0 + 0.5) * 0.45 + zigzag(u * 8.0 + 0.2) * 0.30
    body = 1.10 - up - tongue + 0.20 * canvas.field(LIFE, 3.0, 1.0) - (u / wide) ** 2
    return torch.minimum(body, (foot + 0.02 - 0.05 * (u / wide) ** 2 - canvas.y) * 10)


def kelp(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Rays of light from the surface, weed that sways, coral and a shoal."""
    there = solid(amount)
    ray = blob(torch.sin((canvas.x - 0.5) / (canvas.y + 0.55) * 15 + 2 * canvas.mood(TERRAIN)), 0.35, 1.6)
    picture = shed(picture, rgb("#9fe3dc").to(picture), ray * (1 - canvas.y * 1.15).clamp(0.0, 1.0) * 0.5 * amount)
    for cells, band, tall, near, colour in ((2, 2, 0.26, 0.02, "far"), (4, 3, 0.50, 0.05, "near")):
        grown = (canvas.steps(band, cells) + 0.25).clamp(0.0, 1.4)
        up = 0.97 - canvas.y
        height = tall * grown * amount
        sway = 0.010 * cells * torch.sin(canvas.y * 20 + band) * up + near * up * canvas.field(FLOW, 6.0)
        thick = 0.006 * cells * (1 - up / height.clamp_min(1e-3)).clamp(0.0, 1.0).sqrt()
        weed = canvas.edge(thick - (within(canvas.x, cells / CELLS) - sway).abs()) * (up < height)
        picture = paint(picture, c[colour], weed * there)
    for x, y, size, near in (
        (0.20, 0.36, 0.030, 0.03), (0.29, 0.42, 0.024, 0.03), (0.13, 0.45, 0.022, 0.03), (0.35, 0.33, 0.020, 0.03),
        (0.83, 0.55, 0.036, 0.05), (0.95, 0.49, 0.026, 0.05), (1.04, 0.58, 0.030, 0.05), (-0.18, 0.58, 0.034, 0.05),
    ):  # fmt: skip
        u, v = (canvas.sway(near) - x) / size, (canvas.y - y) / size
        fish = torch.maximum(
            1 - torch.hypot(u, v * 2.4), torch.minimum(u - 0.75, torch.minimum(0.55 * u - v.abs(), 1.5 - u))
        )
        picture = paint(picture, c["near"], canvas.edge(fish * size * 0.6) * there * 0.85)
    branch = 0.6 + 0.4 * torch.cos(torch.atan2(canvas.y - 0.97, within(canvas.x, 4 / CELLS)) * 9).abs()
    reach = 0.085 * (canvas.steps(1, 4) - 0.2).clamp(0.0, 1.0) * amount * branch
    coral = canvas.edge(reach - torch.hypot(within(canvas.x, 4 / CELLS), canvas.y - 0.97))
    return paint(picture, c["accent"], coral * there)


def canyon(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Walls of banded rock on both sides, one behind the other, and a river that winds between them."""
    there, u = solid(amount), canvas.x - 0.5
    bed = (canvas.y - 0.60).clamp_min(0.0)
    way = 0.10 * torch.sin(9 * torch.log(bed + 0.06)) * (1 - bed) + 0.02 * canvas.mood(TERRAIN)
    river = torch.minimum(0.012 + 0.48 * bed**1.3 - (u - way).abs(), canvas.y - 0.60)
    picture = paint(picture, c["near"], canvas.edge(river + 0.012) * there * 0.5)
    picture = paint(picture, rgb("#4fc3c9").to(picture), canvas.edge(river) * there)
    ripple = blob(canvas.field(FLOW, 0.7, 4.0), 0.7, 3)
    picture = paint(picture, c["sky"], ripple * canvas.edge(river) * there * 0.6)
    for side, inner, top, near, haze in (
        (1, 0.16, 0.30, 0.004, 0.55), (-1, 0.13, 0.27, 0.004, 0.55), (1, 0.31, 0.17, 0.009, 0.25),
        (-1, 0.28, 0.21, 0.009, 0.25), (1, 0.56, 0.05, 0.018, 0.0), (-1, 0.54, 0.02, 0.018, 0.0),
    ):  # fmt: skip
        x = (canvas.sway(near) - 0.5) * side
        level = canvas.y * (8 - 4 * haze) + 0.25 * canvas.smooth(2, 6.0) + side * 0.7 * near * 50
        step = 0.018 * torch.tanh(4 * torch.sin(level * 3.1416))
        face = (
            x
            - inner
            + 0.30 * (canvas.y - 0.55).clamp_max(0.0) * (0.8 - haze)
            + step
            + 0.02 * canvas.field(TERRAIN, 3.0)
        )
        foot = 0.60 + (x - inner + 0.02) * (0.42 - 0.3 * haze) + 0.25 * (0.56 - haze) ** 2
        rock = torch.minimum(
            torch.minimum(face, canvas.y - top - 0.45 * (1 - amount) - 0.02 * canvas.steps(1, 4)),
            foot + 0.10 - canvas.y,
        )
        body = torch.lerp(c["ground"], c["sky_low"], haze)
        picture = paint(picture, body, canvas.edge(rock) * there)
        band = blob(torch.sin(level * 6.2832), 0.25, 3)
        picture = paint(
            picture, torch.lerp(c["middle"], c["sky_low"], haze * 0.8), band * canvas.edge(rock) * there * 0.8
        )
        shade = ((x - inner) * 2.6 + 0.25 * torch.sin(x * 25.13)).clamp(0.0, 1.0) * (1 - haze)
        picture = paint(picture, c["dark"], shade * canvas.edge(rock) * there * 0.65)
        picture = paint(picture, c["sky_low"], canvas.edge(0.004 - (rock - 0.003).abs()) * there * 0.5)
    return picture


def ice(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Inside a glacier: walls of blue ice in layers around the way out, icicles, a floor that mirrors it."""
    there, floor = solid(amount), 0.76
    picture = torch.lerp(picture, c["sky"][..., None, None].expand_as(picture), there[:, None])
    mirrored = floor - (canvas.y - floor).abs() * torch.where(canvas.y > floor, 1.4, 1.0)
    u, v = (canvas.x - 0.5) * 0.72, mirrored - 0.62
    r, angle = torch.hypot(u, v * 1.15), torch.atan2(v, u)
    picture = shed(picture, c["accent"], (1 - r * 2.2).clamp(0.0, 1.0) * 0.9 * there)
    hill = canvas.edge(mirrored - 0.60 - 0.05 * canvas.smooth(0, 3.0)) * 0.8
    picture = paint(picture, c["sky_low"], hill * there)
    for radius, count, tooth, near, colour in (
        (0.20, 16.0, 0.03, 0.01, "far"), (0.275, 16.0, 0.05, 0.02, "middle"), (0.365, 8.0, 0.07, 0.03, "ground"),
        (0.47, 8.0, 0.10, 0.05, "ground_low"), (0.60, 8.0, 0.12, 0.08, "near"),
    ):  # fmt: skip
        wave = 0.030 * canvas.field(TERRAIN, 3.0) + near * 0.2 * canvas.field(FLOW, 6.0)
        hang = tooth * zigzag(canvas.x * count) ** 2 * (-1.6 * v - 0.15).clamp(0.0, 1.0)
        hang = hang * (0.75 + 0.5 * canvas.smooth(1, 1.5)).clamp(0.2, 1.5)
        inside = r - radius - wave + 2.2 * hang
        picture = paint(picture, c[colour], canvas.edge(inside) * there)
        facet = blob(torch.sin(angle * 9 + 9 * r + 0.5 * canvas.field(TERRAIN, 3.0)), 0.35, 2.5)
        picture = paint(picture, c["accent"], facet * canvas.edge(inside) * (0.26 - 0.30 * radius) * there)
        picture = paint(picture, c["accent"], (1 - inside.abs() * 110).clamp(0.0, 1.0) * (0.9 - radius) * there)
    wet = canvas.edge(canvas.y - floor) * there
    picture = paint(picture, c["dark"], wet * (0.18 + 0.9 * (canvas.y - floor)).clamp(0.0, 0.7))
    picture = paint(picture, c["accent"], blob(canvas.field(FLOW, 0.7, 4.0), 1.0, 3) * wet * 0.35)
    return shed(
        picture,
        c["accent"],
        (1 - (canvas.y - floor).abs() * 40).clamp(0.0, 1.0) * (1 - r * 1.4).clamp(0.0, 1.0) * there,
    )


def crater_light(canvas: Canvas, amount: torch.Tensor) -> torch.Tensor:
    """The crater and what runs from it."""
    return (canvas.glow(0.5, 0.30, 0.34) * 2 + canvas.glow(0.5, 0.52, 0.30)).clamp(0.0, 1.0) * amount


def fire_light(canvas: Canvas, amount: torch.Tensor) -> torch.Tensor:
    """A fire on its logs, and the ground beside it."""
    return (canvas.glow(0.5, 0.84, 0.40) * 2.5).clamp(0.0, 1.0) * amount
