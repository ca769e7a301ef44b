"""The procedural world that `pocket` learns: noise z and a scene in, a picture out.

It exists for training and evaluation only. Its pictures are printed a little soft: an eighth of a cell is as fine as
latents of four numbers per 8 x 8 pixels can place an edge.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.noise_features import CELLS, FLOW, SKY, TERRAIN, NoiseFeatures, Plane
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PAINTED, PLACE, TINTS
from tpos_models.pocket.world.canvas import Canvas, Colours, blob, paint, shed, zigzag
from tpos_models.pocket.world.geometry import Geometry
from tpos_models.pocket.world.looks import stars
from tpos_models.pocket.world.places import AMOUNTS, COLOURS, amount_table, colour_table
from tpos_models.pocket.world.shapes import LIGHTS, SHAPES
from tpos_models.pocket.world.weather import CONDITION_PAINTERS

PRINT_PX = 256
"""The size at which pictures are learned."""
VISIBLE = 1e-3
"""Amounts below this are not painted."""


def shown(strength: torch.Tensor) -> torch.Tensor:
    """Strength 0..1.5 to what is painted, 0..1: half of it at 0.35, saturating."""
    c = strength.clamp(0.0, 1.5)
    return (1 - torch.exp(-2.0 * c)) / (1 - math.exp(-3.0))


class World(nn.Module):
    """Draws scenes from noise, deterministically and on any device.

    `world(z, scenes)`: z (B, 4, CELLS, cells) unit Gaussian, scenes (B, SCENE_SIZE) -> RGB (B, 3, rows, columns) in
    0..1, the pixels of a plane; by default a square's.
    Place weights mix palettes and shapes; what they leave below 1 is the calm place of the empty scene.
    """

    colours: torch.Tensor
    amounts: torch.Tensor

    def __init__(self, plane: Plane | int = PRINT_PX, cells: int = CELLS) -> None:
        super().__init__()
        self.features = NoiseFeatures(Plane.of(plane, plane) if isinstance(plane, int) else plane, cells)
        self.register_buffer("colours", colour_table(), persistent=False)
        self.register_buffer("amounts", amount_table(), persistent=False)

    @torch.no_grad()
    def forward(self, z: torch.Tensor, scenes: torch.Tensor) -> torch.Tensor:
        canvas = Canvas(self.features, z)
        colours, amounts = self.blend(scenes)
        picture, geometry = landscape(canvas, colours, amounts)
        for name, shape in SHAPES.items():
            rows = (amounts[name].flatten() > VISIBLE).nonzero().flatten()
            if len(rows):
                some, own = canvas.of(rows), {key: value[rows] for key, value in colours.items()}
                before = picture[rows]
                picture[rows] = shape(some, before, own, amounts[name][rows])
                now = geometry.of(rows).covered((picture[rows] - before).abs().amax(1))
                for old, new in zip(geometry.maps, now.maps, strict=True):
                    old[rows] = new
                if name in LIGHTS:
                    geometry.lights[rows] = LIGHTS[name](some, amounts[name][rows])
        for name in PAINTED:
            strength = shown(scenes[:, CONDITION.start + CONDITIONS.index(name)])[:, None, None]
            rows = (strength.flatten() > VISIBLE).nonzero().flatten()
            if len(rows):
                picture[rows] = CONDITION_PAINTERS[name](
                    canvas.of(rows), picture[rows], geometry.of(rows), strength[rows]
                )
        return printed(tinted(picture, scenes[:, TINTS]).clamp(0.0, 1.0))

    def blend(self, scenes: torch.Tensor) -> tuple[Colours, dict[str, torch.Tensor]]:
        """Colours by name (B, 3) and amounts by name (B, 1, 1) for the place weights of each scene."""
        weights = scenes[:, PLACE].clamp_min(0.0)
        total = weights.sum(1, keepdim=True)
        weights = torch.cat([(1 - total).clamp_min(0.0), weights], 1) / total.clamp_min(1.0)
        colours = torch.einsum("bp,pcd->cbd", weights, self.colours)
        amounts = (weights @ self.amounts).T[:, :, None, None]
        return dict(zip(COLOURS, colours, strict=True)), dict(zip(AMOUNTS, amounts, strict=True))


def tinted(picture: torch.Tensor, tint: torch.Tensor) -> torch.Tensor:
    """Push colours towards a tint (B, 3) in -1..1, keeping the lights and darks."""
    luma = picture.mean(1, keepdim=True)
    push = tint.clamp(-1.0, 1.0)[..., None, None]
    amount = push.abs().amax(1, keepdim=True) * 0.5
    return torch.lerp(picture, (luma * (1 + 0.9 * push)).clamp(0.0, 1.0), amount)


def printed(picture: torch.Tensor) -> torch.Tensor:
    """Blur by a pixel (binomial, 5 taps, each way), as ink spreads in paper; small pictures are coarse as they are."""
    if picture.shape[-2] < PRINT_PX:
        return picture
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]).to(picture) / 16
    flat = F.pad(picture, (2, 2, 2, 2), mode="replicate").flatten(0, 1)[:, None]
    flat = F.conv2d(F.conv2d(flat, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))
    return flat.view_as(picture)


def landscape(canvas: Canvas, c: Colours, a: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Geometry]:
    """Sky, sun, clouds, two ridges, ground or water, near ground: what every place stands on."""
    horizon = a["horizon"] + 0.02 * canvas.mood(FLOW) * (1 - a["own"])
    picture = _sky(canvas, c, a, horizon)
    picture, far, sky, depth = _ridges(canvas, picture, c, a, horizon)
    picture, ground = _ground(canvas, picture, c, a, horizon, far)
    line = a["near_line"] + a["near_swing"] * canvas.smooth(3, 3.0) + 0.008 * canvas.field(FLOW, 6.0)
    picture = _layer(canvas, picture, c["near"], c["ground_low"], line)
    near = canvas.edge(canvas.y - line)
    sky = sky * (1 - ground) * (1 - near)
    below = (1 - (canvas.y - horizon) * 2.2).clamp(0.0, 1.0)
    depth = torch.maximum(sky, depth * (1 - ground)) + ground * below * 0.75
    flat = torch.maximum(ground * (1 - 0.7 * a["water"]), near)
    wet = ground * a["water"] * (1 - near)
    dark = torch.zeros_like(wet)
    return picture, Geometry(sky, depth * (1 - near), flat, wet, dark, c, {**a, "horizon": horizon})


def _layer(
    canvas: Canvas, picture: torch.Tensor, colour: torch.Tensor, rim: torch.Tensor, line: torch.Tensor
) -> torch.Tensor:
    """One sheet of paper below a line: its shadow on what lies behind, its lighter edge."""
    away = line - canvas.y
    picture = picture * (1 - 0.16 * ((1 - away / 0.05).clamp(0.0, 1.0) * canvas.edge(away))[:, None])
    picture = paint(picture, colour, canvas.edge(-away))
    lit = torch.lerp(colour if colour.ndim > 2 else colour[..., None, None], rim[..., None, None], 0.5)
    return paint(picture, lit, canvas.edge(0.0035 - (away + 0.0035).abs()) * 0.7)


def _sky(canvas: Canvas, c: Colours, a: dict[str, torch.Tensor], horizon: torch.Tensor) -> torch.Tensor:
    height = (canvas.y / horizon).clamp(0.0, 1.0) * 5 + 0.16 * canvas.field(SKY, 6.0)
    stair = height.floor() + ((height - height.floor() - 0.5) * 6 + 0.5).clamp(0.0, 1.0)
    tone = (0.4 * stair + 0.6 * height).clamp(0.0, 5.0)[:, None] / 5
    picture = torch.lerp(c["sky"][..., None, None], c["sky_low"][..., None, None], tone)
    sun_x, sun_y = a["sun_x"] + 0.1 * canvas.mood(TERRAIN), a["sun_y"]
    away = canvas.distance(sun_x, sun_y)
    lit = (a["sun"] > VISIBLE).to(picture)
    picture = shed(picture, c["sky_low"], (1 - away * 2).clamp(0.0, 1.0) ** 2 * 0.8 * lit)
    picture = paint(picture, c["accent"], canvas.edge(a["sun"] - away) * lit)
    shape = canvas.field(SKY, 3.0) * 0.35 + canvas.field(SKY, 1.0, 6.0) * 0.9 + 0.22 * canvas.field(SKY, 1.5)
    threshold = 1.7 - 1.6 * a["cloud"] + (0.1 - a["cloud"]).clamp_min(0.0) * 40 + (canvas.y - 0.22).abs() * 3
    body = torch.lerp(c["sky_low"], torch.ones_like(c["sky_low"]), 0.35)
    picture = paint(picture, torch.lerp(body, c["sky"], 0.35), blob(shape, threshold - 0.12, 6) * 0.6)
    picture = paint(picture, body, blob(shape, threshold + 0.15, 5) * 0.75)
    picture = paint(picture, torch.ones_like(body), blob(shape, threshold + 0.60, 5) * 0.65)
    return paint(picture, c["accent"], stars(canvas, 0.9) * a["stars"])


def _ridges(
    canvas: Canvas, picture: torch.Tensor, c: Colours, a: dict[str, torch.Tensor], horizon: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    soft = 0.75 * canvas.smooth(0, 6.0) + 0.5 * canvas.smooth(0, 3.0)
    peaks = 0.9 - 1.15 * canvas.smooth(0, 3.0).abs() + 0.45 * (0.8 - canvas.smooth(1, 1.5).abs())
    far = horizon - a["far_rise"] - a["far_swing"] * torch.lerp(soft, peaks, a["sharp"])
    middle = (
        horizon - a["middle_rise"] - a["middle_swing"] * (0.8 * canvas.smooth(2, 3.0) + 0.4 * canvas.smooth(2, 6.0))
    ) + 0.004 * canvas.field(FLOW, 6.0)
    far_mask, middle_mask = canvas.edge(canvas.y - far), canvas.edge(canvas.y - middle)
    haze = ((canvas.y - far) * 2.4).clamp(0.0, 0.7)
    body = torch.lerp(c["far"][..., None, None], c["sky_low"][..., None, None], haze[:, None])
    picture = _layer(canvas, picture, body, c["sky_low"], far)
    shade = canvas.edge((canvas.y - far) * 0.5 - 0.012 - 0.022 * (canvas.smooth(1, 1.5) + 1) * a["caps"]) * far_mask
    snow_line = horizon - 0.72 * a["far_rise"] + 0.022 * canvas.smooth(2, 1.5) + 0.035 * zigzag(canvas.x * 9)
    snow_line = canvas.edge(snow_line - canvas.y) * far_mask
    picture = paint(picture, c["accent"], snow_line * a["caps"])
    picture = paint(picture, c["middle"], shade * 0.22 * a["sharp"])
    picture = _layer(canvas, picture, c["middle"], c["sky_low"], middle)
    mist = (1 - (canvas.y - horizon).abs() * 9).clamp(0.0, 1.0) * torch.maximum(far_mask, middle_mask)
    picture = paint(picture, c["sky_low"], mist * 0.30)
    return (
        picture,
        far,
        1 - torch.maximum(far_mask, middle_mask),
        0.8 * far_mask * (1 - middle_mask) + 0.55 * middle_mask,
    )


def _ground(
    canvas: Canvas,
    picture: torch.Tensor,
    c: Colours,
    a: dict[str, torch.Tensor],
    horizon: torch.Tensor,
    far: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    land = horizon + 0.03 + 0.03 * canvas.smooth(1, 3.0)
    top = torch.lerp(land, horizon, a["water"])
    ground = canvas.edge(canvas.y - top)
    down = ((canvas.y - top) * 2.6).clamp(0.0, 1.0)
    colour = torch.lerp(c["ground"][..., None, None], c["ground_low"][..., None, None], down[:, None])
    picture = paint(picture, colour, ground)
    ripple = canvas.field(FLOW, 0.7, 4.0)
    wet = ground * a["water"]
    mirror = canvas.edge((horizon - far) * 0.8 - (canvas.y - horizon) + 0.008 * ripple)
    picture = paint(picture, c["middle"], mirror * wet * 0.6)
    picture = paint(picture, c["ground_low"], blob(ripple, 0.9, 4) * wet * 0.55)
    sparkle = (1 - (canvas.x - a["sun_x"] - 0.1 * canvas.mood(TERRAIN)).abs() * 5).clamp(0.0, 1.0)
    light = blob(ripple, 1.0 - 0.9 * sparkle, 4) * (0.25 + 0.75 * sparkle)
    picture = paint(picture, c["sky_low"], light * wet * 0.6)
    dune = torch.remainder((canvas.y - top) * 7 + 0.35 * canvas.smooth(2, 3.0) + 0.25 * canvas.field(FLOW, 6.0), 1)
    side = ((dune - 0.5) * 12 + 0.5).clamp(0.0, 1.0) * (1 - ((dune - 0.9) * 12 + 0.5).clamp(0.0, 1.0))
    picture = paint(picture, c["ground_low"], side * ground * a["dunes"] * 0.6)
    bank = blob(canvas.field(TERRAIN, 1.5, 1.5) * 0.5 + canvas.smooth(2, 6.0) * 0.6, 0.55, 6)
    dry = ground * (1 - a["water"]) * (1 - a["dunes"])
    return paint(picture, c["ground_low"], bank * dry * 0.45), ground
