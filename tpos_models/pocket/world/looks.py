"""The club looks: light, geometry and colour that stand for nothing. As in `shapes`, they cover all there was."""

from __future__ import annotations

import torch

from tpos_models.pocket.noise_features import FLOW, LIFE, SKY, TERRAIN
from tpos_models.pocket.world.canvas import Canvas, Colours, blob, paint, shed, solid, within, zigzag


def _covered(
    picture: torch.Tensor, top: torch.Tensor, low: torch.Tensor, share: torch.Tensor, amount: torch.Tensor
) -> torch.Tensor:
    """A gradient between two colours over all of the picture."""
    wall = torch.lerp(top[..., None, None], low[..., None, None], share.clamp(0.0, 1.0)[:, None])
    return torch.lerp(picture, wall, solid(amount)[:, None])


def _tube(away: torch.Tensor, thick: float, halo: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A tube of light at a distance from its middle, in picture heights: its core, and its halo."""
    return (1.5 - away.abs() / thick).clamp(0.0, 1.0), (1 - away.abs() / halo).clamp(0.0, 1.0) ** 2


def stars(canvas: Canvas, threshold: torch.Tensor | float) -> torch.Tensor:
    """Stars of four points, one in each two cells bright enough, each somewhere in them; they twinkle as life does."""
    tile = canvas.cells(TERRAIN, 2)
    u = within(canvas.x, 2 / 32) - 0.012 * tile
    v = within(canvas.y, 2 / 32) + 0.012 * canvas.cells(TERRAIN, 4)
    size = (0.004 * (tile + 0.3 * canvas.cells(LIFE, 2) - threshold) + 0.002).clamp(0.0, 0.009)
    return canvas.edge(size - torch.maximum(u.abs(), v.abs()) - 0.6 * torch.minimum(u.abs(), v.abs()), 2) * (
        size > 0.002
    )


def tunnel(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Panels of light along a tunnel of six sides, and the light at its end."""
    r, angle = canvas.polar(0.5, 0.5)
    r = r.clamp_min(0.02)
    six = torch.cos(6 * angle)
    along = torch.log(r) * 1.35 + 0.10 * canvas.field(FLOW, 3.0) + 0.10 * canvas.field(FLOW, 6.0) + 0.07 * six
    ring = torch.remainder(along, 1) - 0.5
    out = _covered(picture, c["sky"], c["sky_low"], r * 1.5, amount)
    soft = 60 * r.clamp(0.08, 0.6)
    panel = ((0.30 - ring.abs()) * soft + 0.5).clamp(0.0, 1.0)
    out = paint(out, c["far"], panel * blob(six, -0.35, 5) * solid(amount) * (0.35 + r * 0.9).clamp(0.0, 1.0))
    inner = ((0.15 - ring.abs()) * soft + 0.5).clamp(0.0, 1.0)
    out = paint(out, c["middle"], inner * blob(six, 0.2, 5) * solid(amount))
    line = ((0.035 - (ring.abs() - 0.42).abs()) * soft * 1.3 + 0.5).clamp(0.0, 1.0)
    out = paint(out, c["accent"], line * solid(amount) * (0.25 + 1.2 * r).clamp(0.0, 1.0))
    out = shed(out, c["accent"], (1 - blob(six, -0.93, 10)) * (r * 3 - 0.2).clamp(0.0, 0.8) * solid(amount))
    light = (1 - r * 3.2).clamp(0.0, 1.0)
    out = shed(out, c["accent"], light**2 * 0.8 * solid(amount))
    return paint(out, torch.ones_like(c["accent"]), (light**4 * 1.3).clamp(0.0, 1.0) * solid(amount))


def ink(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Marbled ink on paper: contour bands of flowing fields, the finest as thin as a comb draws them."""
    height = 0.8 * canvas.field(FLOW, 6.0) + 0.45 * canvas.field(FLOW, 3.0) + 0.3 * canvas.field(SKY, 3.0)
    out = torch.lerp(picture, c["sky"][..., None, None].expand_as(picture), solid(amount)[:, None])
    for low, high, colour in (
        (-9.0, -1.20, "middle"),
        (-1.00, -0.68, "near"),
        (-0.50, -0.15, "far"),
        (0.05, 0.55, "ground"),
        (0.75, 1.05, "near"),
        (1.22, 9.0, "ground_low"),
    ):
        band = torch.minimum(height - low, high - height)
        out = paint(out, c[colour], (band * 11 + 0.5).clamp(0.0, 1.0) * solid(amount))
    return out


def galaxy(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A spiral seen at a slant with lanes of dust, in clouds of far light and stars."""
    u, v = canvas.x - 0.5, (canvas.y - 0.5) * 1.5 + 0.28 * (canvas.x - 0.5)
    r, angle = (u**2 + v**2).sqrt().clamp_min(0.01), torch.atan2(v, u)
    out = _covered(picture, c["sky"], c["sky_low"], 0.5 + 0.28 * canvas.field(FLOW, 6.0), amount)
    cloud = (0.55 * canvas.field(FLOW, 6.0) + 0.35 * canvas.field(SKY, 3.0) - 0.25).clamp(0.0, 1.0)
    out = shed(out, c["far"], cloud * 0.6 * solid(amount))
    out = shed(out, c["accent"], stars(canvas, 0.55) * solid(amount))
    turn = 2 * angle - torch.log(r + 0.04) * 4.2 + 1.2 * canvas.mood(FLOW)
    arm = torch.cos(turn) + 0.22 * canvas.field(FLOW, 1.5) - r * 0.55
    fade = (1.35 - r * 1.55).clamp(0.0, 1.0) * solid(amount)
    for threshold, colour, share in ((-0.75, "sky_low", 0.7), (-0.25, "far", 0.85), (0.30, "middle", 0.9)):
        out = paint(out, c[colour], blob(arm, threshold, 4) * fade * share)
    out = paint(out, c["accent"], blob(arm, 0.66, 5) * fade * 0.75)
    lane = blob(torch.cos(turn + 0.9) + 0.3 * canvas.field(FLOW, 1.5), 0.72, 5)
    out = paint(out, c["dark"], lane * fade * (r * 5).clamp(0.0, 0.75))
    core = (1 - r * 3.4).clamp(0.0, 1.0)
    return paint(paint(out, c["ground"], core * amount), torch.ones_like(c["accent"]), core**3 * amount)


def neon(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Triangles of neon tubes, one behind the other, over a floor that mirrors them."""
    floor, bend = 0.74, 0.05 * canvas.field(FLOW, 6.0)
    below = canvas.edge(canvas.y - floor) * solid(amount)
    mirrored = floor - (canvas.y - floor).abs() * (1 + 0.35 * below) + 0.012 * below * canvas.field(FLOW, 0.7, 4.0)
    out = _covered(picture, c["sky"], c["sky_low"], (mirrored - 0.15) * 1.6, amount)
    u, v = canvas.x - 0.5, 0.53 - mirrored
    size = torch.maximum(-2 * v, v + 1.732 * u.abs()).clamp_min(0.015)
    way = torch.log(size) * 1.1 + bend
    ring = torch.remainder(way, 1) - 0.5
    away = ring * size / 2.2
    back = canvas.edge(floor - canvas.y) + below * 0.45
    core, halo = _tube(away, 0.0075, 0.075)
    other = blob(torch.sin(way * 3.14159 - 1.5708), 0.0, 8)
    tone = torch.lerp(c["far"][..., None, None], c["accent"][..., None, None], other[:, None])
    clear = (size * 7 - 0.25).clamp(0.0, 1.0) * back * solid(amount)
    out = shed(out, tone, halo * clear * 0.8)
    out = paint(out, torch.lerp(tone, torch.ones_like(tone), 0.45), core * clear)
    out = shed(out, c["middle"], canvas.glow(0.5, floor, 0.9) * 0.30 * solid(amount))
    return shed(out, c["middle"], (1 - (canvas.y - floor).abs() * 26).clamp(0.0, 1.0) ** 2 * 0.6 * solid(amount))


def laser(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Fans of beams from a stage into haze, over the heads of a crowd."""
    out = _covered(picture, c["sky"], c["sky_low"], canvas.y * 1.25 - 0.1, amount)
    haze = (0.62 + 0.26 * canvas.field(SKY, 1.0, 6.0) + 0.16 * canvas.field(SKY, 3.0)).clamp(0.15, 1.0)
    swing = 0.5 * canvas.field(FLOW, 6.0)
    for y, count, colour, sharp, turn in (
        (-0.25, 26.0, "middle", 0.86, 0.5),
        (1.25, 20.0, "far", 0.90, -0.5),
        (0.5, 9.0, "accent", 0.86, 0.0),
    ):
        u, v = canvas.x - 0.5, canvas.y - y
        r, angle = (u**2 + v**2).sqrt().clamp_min(0.01), torch.atan2(u, v.abs() if y != 0.5 else v)
        wave = torch.cos(angle * count + turn * (1 + swing))
        beam = blob(wave, sharp, 9) * canvas.edge(r - 0.012)
        fan = (1.25 - r * 0.8).clamp(0.0, 1.0) * haze * solid(amount)
        out = shed(out, c[colour], (beam * 0.85 + blob(wave, 0.2, 0.8) * 0.22) * fan)
        core = blob(wave, 0.5 + 0.5 * sharp + 0.03, 24) * fan
        out = paint(out, torch.ones_like(c["accent"]), core * 0.6 * (1.2 - r).clamp(0.0, 1.0))
    stage = (1 - (canvas.y - 0.52).abs() * 9).clamp(0.0, 1.0) * (1.3 - (canvas.x - 0.5).abs()).clamp(0.0, 1.0)
    out = shed(out, c["far"], (stage**2 * 0.7 + canvas.glow(0.5, 0.5, 0.42)) * solid(amount))
    out = paint(out, torch.ones_like(c["accent"]), canvas.glow(0.5, 0.5, 0.10) * solid(amount))
    for count, foot, tall, colour, near in ((8.0, 0.80, 0.085, "near", 0.005), (4.0, 0.90, 0.16, "dark", 0.012)):
        bent = canvas.sway(near)
        top = foot - tall * (0.9 + 0.10 * canvas.smooth(2, 3.0))
        u = within(bent, 1 / count)
        head = 0.30 / count - torch.hypot(u, (canvas.y - top - 0.30 / count) * 0.85)
        body = 0.44 / count * ((canvas.y - top - 0.42 / count) * count * 3).clamp(0.0, 1.0).sqrt() - u.abs()
        lean = (canvas.y - top) * 0.35
        arm = torch.minimum(
            0.085 / count - (within(bent - 0.7 / count, 2 / count) + lean).abs(), canvas.y - top + 0.55 / count
        )
        crowd = torch.maximum(torch.maximum(head, torch.minimum(body, canvas.y - top - 0.4 / count)), arm)
        crowd = torch.maximum(crowd, canvas.y - foot)
        out = paint(out, c[colour], canvas.edge(crowd) * solid(amount))
        rim = canvas.edge(0.0035 - (crowd - 0.0035).abs()) * canvas.edge(top + 0.7 / count - canvas.y)
        out = shed(out, c["middle"], rim * 0.8 * solid(amount))
    return out


def mandala(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """Rosettes of petals in rings that lie over each other, from the outermost inwards."""
    r, angle = canvas.polar(0.5, 0.5)
    bend = 0.03 * canvas.field(FLOW, 6.0)
    out = _covered(picture, c["sky"], c["sky_low"], 1.1 - r, amount)
    three, six, nine = (torch.cos(k * angle) for k in (3, 6, 9))
    rosettes = (
        (0.90, 0.075, nine, "ground", "accent"),
        (0.74, 0.090, -nine, "far", "near"),
        (0.575, 0.075, six, "middle", "accent"),
        (0.445, 0.085, -six, "ground_low", "near"),
        (0.315, 0.055, six - 0.5 * three, "far", "accent"),
        (0.205, 0.045, 0.5 * three - six, "accent", "ground"),
        (0.105, 0.025, six, "middle", "accent"),
    )
    for radius, reach, petal, colour, line in rosettes:
        inside = radius + reach * petal - r + bend
        out = paint(out, c[colour], canvas.edge(inside) * solid(amount))
        out = paint(out, c[line], canvas.edge(0.009 - (inside - 0.024).abs()) * solid(amount))
        heart = torch.lerp(c[colour], c[line], 0.35)
        out = paint(out, heart, canvas.edge(inside - 0.065) * solid(amount))
    core = canvas.glow(0.5, 0.5, 0.16)
    return paint(out, torch.ones_like(c["accent"]), (core * 1.4).clamp(0.0, 1.0) * solid(amount))


def crystal(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A cluster of shards in the dark, facets between glide as the flow does, light breaks in them."""
    u, v = (canvas.x - 0.5).abs(), canvas.y - 0.5
    flow = canvas.field(FLOW, 6.0)
    out = _covered(picture, c["sky"], c["sky_low"], 1 - canvas.distance(0.5, 0.45), amount)
    light = torch.zeros_like(canvas.y + flow)
    for a, b, offset, near in (
        (1.0, 0.55, 0.42, 0.05),
        (0.35, 1.0, 0.20, 0.06),
        (0.8, -0.9, 0.33, 0.07),
        (-0.45, 1.0, -0.10, 0.05),
        (1.0, -0.2, 0.20, 0.04),
        (0.15, -1.0, 0.16, 0.06),
    ):
        light = light + (canvas.edge(a * u + b * v - offset + near * flow) - 0.5) * (1 if near > 0.05 else -1)
    tone = (0.5 + 0.24 * light)[:, None]
    facet = torch.lerp(c["ground_low"][..., None, None], c["ground"][..., None, None], tone.clamp(0, 1))
    out = paint(out, facet, solid(amount) * 0.85)
    ray = torch.remainder(1.25 * (v + 0.12) / (u + 0.32) + 0.03 * flow, 1.0)
    for k, colour in enumerate(("far", "middle", "near", "accent")):
        band = blob(0.055 - (ray - 0.22 - 0.11 * k).abs(), 0.0, 26)
        out = shed(
            out,
            c[colour],
            band * ((u - 0.08) * 4).clamp(0.0, 1.0) * (1.05 - u * 0.6).clamp(0.0, 1.0) * 0.75 * solid(amount),
        )
    for x, lean, wide, tall, foot, colour in (
        (0.34, 0.52, 0.055, 0.46, 0.90, "ground"),
        (0.20, 0.30, 0.065, 0.62, 0.94, "far"),
        (0.09, 0.13, 0.060, 0.50, 0.96, "middle"),
        (0.00, 0.00, 0.095, 0.80, 0.98, "accent"),
    ):
        up = foot - canvas.y
        along = u - x * 0.45 - lean * up + 0.010 * flow * (up > 0)
        body = torch.minimum(torch.minimum(wide - along.abs(), (tall - up) * 0.5 - along.abs() * 0.9 + 0.02), up)
        shard = canvas.edge(body) * solid(amount)
        out = paint(out, torch.lerp(c[colour], c["dark"], 0.42), shard)
        out = paint(out, c[colour], canvas.edge(torch.minimum(body, along + 0.25 * wide)) * solid(amount) * 0.9)
        lit = canvas.edge(torch.minimum(body, along - 0.45 * wide)) * solid(amount)
        out = paint(out, torch.lerp(c[colour], torch.ones_like(c[colour]), 0.55), lit)
        out = paint(out, torch.ones_like(c["accent"]), canvas.edge(0.004 - body.abs()) * solid(amount) * 0.8)
    return shed(out, c["accent"], canvas.glow(0.5, 0.45, 0.75) * 0.45 * solid(amount))


def retrowave(canvas: Canvas, picture: torch.Tensor, c: Colours, amount: torch.Tensor) -> torch.Tensor:
    """A striped sun between mountains of wire, over a grid that runs to the horizon."""
    horizon, there = 0.60, solid(amount)
    out = _covered(picture, c["sky"], c["sky_low"], (canvas.y / horizon) ** 1.5, amount)
    out = shed(out, c["accent"], stars(canvas, 0.75) * there * (1 - canvas.y * 1.8).clamp(0.0, 1.0))
    out = shed(out, c["far"], canvas.glow(0.5, 0.40, 0.62) * 0.75 * there)
    sun = canvas.disc(0.5, 0.36, 0.25 * amount)
    bar = canvas.edge(torch.remainder(canvas.y * 22, 1) * 0.045 - (canvas.y - 0.27).clamp(0.0, 1.0) * 0.10)
    warm = torch.lerp(c["middle"][..., None, None], c["far"][..., None, None], ((canvas.y - 0.15) * 2.4).clamp(0, 1))
    out = paint(out, warm, sun * bar * there)
    side = ((canvas.x - 0.5).abs() - 0.17).clamp_min(0.0)
    peak = 0.35 + 0.65 * zigzag(canvas.x * 4.0 + 0.15)
    tall = (side * 1.1).clamp_max(0.42) * peak * amount
    inside = torch.minimum(canvas.y - horizon + tall, horizon - canvas.y)
    out = paint(out, c["near"], canvas.edge(inside) * there)
    up = (horizon - canvas.y) / tall.clamp_min(1e-3)
    wire = torch.minimum((within(up, 0.25).abs() * tall), within(canvas.x + 0.5 * (canvas.y - horizon), 0.0625).abs())
    out = paint(out, c["ground"], canvas.edge(0.0028 - wire) * canvas.edge(inside) * there * 0.9)
    out = paint(
        out, c["far"], canvas.edge(0.005 - (canvas.y - horizon + tall).abs()) * canvas.edge(side - 0.01) * there
    )
    depth = (canvas.y - horizon).clamp_min(0.0)
    near = 1 / (depth + 0.05)
    floor = canvas.edge(canvas.y - horizon) * there
    out = paint(out, c["ground_low"], floor)
    out = shed(out, c["far"], floor * canvas.glow(0.5, horizon, 0.55) * 0.9)
    rail = within((canvas.x - 0.5) * near * 0.7 + 0.5, 1.0).abs() / (0.7 * near)
    tie = within(0.45 * near + 0.14 * canvas.field(FLOW, 6.0), 1.0).abs() / (0.45 * near**2)
    away = torch.minimum(rail, tie)
    out = shed(out, c["accent"], (1 - away * 40).clamp(0.0, 1.0) ** 2 * floor * (depth * 9).clamp(0.0, 0.6))
    out = paint(out, c["accent"], canvas.edge(0.0042 - away) * floor * (depth * 9).clamp(0.0, 1.0))
    return shed(out, c["far"], (1 - (canvas.y - horizon).abs() * 30).clamp(0.0, 1.0) ** 2 * there)
