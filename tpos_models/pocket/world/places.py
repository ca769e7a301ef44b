"""The eighteen places: a palette and a composition each, as frozen records, and the calm one behind the empty scene."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from tpos_models.pocket.scene import PLACES
from tpos_models.pocket.world.canvas import rgb


@dataclass(frozen=True)
class Place:
    """One paper-cut composition: colours back to front, heights as fractions of the picture, amounts 0..1."""

    sky: str = "#86a7b3"
    sky_low: str = "#f1e2c8"
    far: str = "#9fb3ad"
    middle: str = "#7f9c94"
    ground: str = "#6d8c80"
    ground_low: str = "#4f7167"
    near: str = "#35524f"
    accent: str = "#f0c98f"
    dark: str = "#22393c"
    horizon: float = 0.56
    far_rise: float = 0.10
    """How high the far ridge stands above the horizon; below 0 it is hidden."""
    far_swing: float = 0.05
    sharp: float = 0.0
    """0 rolling hills, 1 alpine."""
    middle_rise: float = 0.01
    middle_swing: float = 0.03
    near_line: float = 0.82
    near_swing: float = 0.03
    water: float = 0.0
    cloud: float = 0.45
    sun: float = 0.05
    sun_x: float = 0.68
    sun_y: float = 0.24
    caps: float = 0.0
    dunes: float = 0.0
    blocks: float = 0.0
    pines: float = 0.0
    trunks: float = 0.0
    crowns: float = 0.0
    flowers: float = 0.0
    cactus: float = 0.0
    cone: float = 0.0
    fall: float = 0.0
    jets: float = 0.0
    logs: float = 0.0
    kelp: float = 0.0
    palm: float = 0.0
    tunnel: float = 0.0
    ink: float = 0.0
    galaxy: float = 0.0
    neon: float = 0.0


CALM = Place()
"""What the empty scene shows: hills at dusk."""

_RECORDS = {
    "beach": Place(
        "#4fa3b8", "#fbe3b5", "#5d9aa3", "#4f8f9b", "#2f8a9c", "#67c1bd", "#f0cf94", "#fff3d6", "#3c4a4a",
        horizon=0.47, far_rise=0.0, far_swing=0.02, middle_rise=-0.05, near_line=0.8, near_swing=0.03, water=1.0,
        cloud=0.4, sun=0.06, sun_x=0.66, sun_y=0.25, palm=1.0,
    ),
    "mountains": Place(
        "#3f6f9f", "#f6d9c0", "#7c90b8", "#4c6693", "#3d5a80", "#2f4a68", "#1d3347", "#ffffff", "#12222f",
        horizon=0.66, far_rise=0.27, far_swing=0.11, sharp=1.0, middle_rise=0.07, middle_swing=0.05, near_line=0.87,
        caps=1.0, pines=0.6, cloud=0.35, sun=0.045,
    ),
    "forest": Place(
        "#a9c6a0", "#f3efc9", "#8fb28a", "#5f8f6c", "#3f7252", "#2c5a44", "#17382f", "#f7e27f", "#0f2922",
        horizon=0.62, far_rise=0.16, far_swing=0.05, middle_rise=0.06, near_line=0.86, pines=0.9, trunks=1.0,
        cloud=0.15, sun=0.05, sun_x=0.5, sun_y=0.2,
    ),
    "desert": Place(
        "#e9a35f", "#fbe1a6", "#d98a4e", "#c9713d", "#e0954f", "#c4682f", "#8f4426", "#fff0c4", "#4e2620",
        horizon=0.58, far_rise=0.08, far_swing=0.035, sharp=0.3, middle_rise=0.02, middle_swing=0.05, near_line=0.84,
        near_swing=0.05, dunes=1.0, cactus=1.0, cloud=0.1, sun=0.075, sun_x=0.3, sun_y=0.2,
    ),
    "city": Place(
        "#314a73", "#f3b48f", "#7a7aa0", "#4d4f7c", "#3a3d63", "#2a2c4b", "#1b1c33", "#ffd76a", "#10111f",
        horizon=0.74, far_rise=0.1, far_swing=0.0, middle_rise=-0.05, near_line=0.93, near_swing=0.0, blocks=1.0,
        cloud=0.3, sun=0.06, sun_x=0.34, sun_y=0.3,
    ),
    "park": Place(
        "#7ec4d8", "#e8f4d7", "#9ccf9a", "#79b870", "#8ccb62", "#5aa64e", "#3d8545", "#fff2b3", "#25553a",
        horizon=0.55, far_rise=0.09, far_swing=0.03, middle_rise=0.02, near_line=0.86, crowns=1.0, cloud=0.5, sun=0.05,
    ),
    "garden": Place(
        "#a7d8d0", "#fdeede", "#a8cf9b", "#7fb877", "#5f9f5a", "#3f8050", "#2a6446", "#ffdf94", "#1d4a38",
        horizon=0.46, far_rise=0.07, far_swing=0.03, middle_rise=0.02, near_line=0.72, near_swing=0.03, flowers=1.0,
        crowns=0.45, cloud=0.35, sun=0.05, sun_x=0.25,
    ),
    "volcano": Place(
        "#5c2a3f", "#f2894d", "#7b4150", "#5a3040", "#43242f", "#2f1a24", "#1e1118", "#ff5a1f", "#150c12",
        horizon=0.72, far_rise=0.06, far_swing=0.03, sharp=0.7, middle_rise=0.0, near_line=0.88, near_swing=0.04,
        cone=1.0, cloud=0.3, sun=0.0,
    ),
    "lake": Place(
        "#6f9fc4", "#fde7cf", "#8ba3bd", "#5f86a0", "#5c93b3", "#2d5f80", "#1f4a4a", "#ffffff", "#12302f",
        horizon=0.5, far_rise=0.14, far_swing=0.07, sharp=0.6, middle_rise=0.03, middle_swing=0.02, near_line=0.92,
        near_swing=0.025, water=1.0, cloud=0.3, sun=0.05, sun_x=0.4,
    ),
    "waterfall": Place(
        "#9fd0cf", "#eef6df", "#7fae9c", "#5a8f7f", "#4f9fa8", "#2f7f8c", "#1f4f47", "#f4fffb", "#12342f",
        horizon=0.72, far_rise=0.2, far_swing=0.04, middle_rise=0.05, near_line=0.92, water=0.7, fall=1.0, cloud=0.2,
        sun=0.0,
    ),
    "fountain": Place(
        "#8fb7d9", "#fbead2", "#b9b9c9", "#8fa37f", "#c9b79a", "#a58f77", "#6f6a72", "#f3fbff", "#4a4856",
        horizon=0.6, far_rise=0.1, far_swing=0.02, middle_rise=0.03, middle_swing=0.02, near_line=0.93,
        near_swing=0.01, jets=1.0, crowns=0.3, cloud=0.4, sun=0.04,
    ),
    "deep_sea": Place(
        "#1f8fa8", "#0f4f7a", "#12608a", "#0d4a70", "#0b3a5c", "#082a46", "#061d33", "#ff8f6b", "#04121f",
        horizon=0.78, far_rise=0.08, far_swing=0.05, middle_rise=0.0, near_line=0.9, near_swing=0.04, kelp=1.0,
        cloud=0.0, sun=0.0,
    ),
    "meadow": Place(
        "#6fb7d6", "#f8f3d2", "#b5d18f", "#9cc56b", "#a9cc58", "#6fa845", "#4b8a3d", "#fff06a", "#2c5f38",
        horizon=0.6, far_rise=0.08, far_swing=0.04, middle_rise=0.03, middle_swing=0.05, near_line=0.8,
        near_swing=0.04, flowers=0.5, cloud=0.7, sun=0.055,
    ),
    "campfire": Place(
        "#101d3a", "#3b3f63", "#1c2f45", "#14263a", "#2a2a2e", "#1b1b22", "#0f1319", "#ffe2ae", "#080b12",
        horizon=0.64, far_rise=0.14, far_swing=0.04, middle_rise=0.05, near_line=0.95, pines=1.0, logs=1.0, cloud=0.1,
        sun=0.035, sun_x=0.75, sun_y=0.18,
    ),
    "tunnel": Place(
        "#1a0b3d", "#5d1a8f", "#ff3d81", "#ffb03a", "#2a1466", "#140a33", "#0b0620", "#3df0ff", "#070313",
        horizon=0.5, far_rise=-0.3, middle_rise=-0.3, near_line=1.2, cloud=0.0, sun=0.0, tunnel=1.0,
    ),
    "ink": Place(
        "#f3ead8", "#f3ead8", "#12355b", "#d7263d", "#1b998b", "#f46036", "#2e294e", "#ffffff", "#1b1b2f",
        horizon=0.5, far_rise=-0.3, middle_rise=-0.3, near_line=1.2, cloud=0.0, sun=0.0, ink=1.0,
    ),
    "galaxy": Place(
        "#0a0a24", "#1d1145", "#5b2a8c", "#c2489f", "#ffb36b", "#0a0a24", "#05051a", "#fff4d8", "#03030f",
        horizon=0.5, far_rise=-0.3, middle_rise=-0.3, near_line=1.2, cloud=0.0, sun=0.0, galaxy=1.0,
    ),
    "neon": Place(
        "#12062e", "#7a1f8a", "#2a0f52", "#1d0a3f", "#12062e", "#0b0420", "#080318", "#19f0ff", "#05020f",
        horizon=0.56, far_rise=0.1, far_swing=0.05, sharp=0.8, middle_rise=-0.3, near_line=1.2, cloud=0.0, sun=0.0,
        neon=1.0,
    ),
}  # fmt: skip

COLOURS = tuple(f.name for f in fields(Place) if isinstance(f.default, str))
AMOUNTS = tuple(f.name for f in fields(Place) if isinstance(f.default, float))


def colour_table() -> torch.Tensor:
    """(1 + places, colours, 3); row 0 is the calm place."""
    rows = [CALM, *(_RECORDS[name] for name in PLACES)]
    return torch.stack([torch.stack([rgb(getattr(place, c)) for c in COLOURS]) for place in rows])


def amount_table() -> torch.Tensor:
    """(1 + places, amounts)."""
    rows = [CALM, *(_RECORDS[name] for name in PLACES)]
    return torch.tensor([[getattr(place, a) for a in AMOUNTS] for place in rows])
