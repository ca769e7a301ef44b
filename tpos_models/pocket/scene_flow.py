"""How `pocket`'s noise moves with the scene it draws."""

from __future__ import annotations

import torch

from tpos_models.diffusion.flow import Flow
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, from_tokens


def scene_flow(tokens: torch.Tensor) -> Flow:
    """Wind drives the sky, waves the water, flames and bubbles rise, rain and snow fall; ink and galaxies change shape.

    `tokens` (TOKENS, TOKEN_SIZE). The four channels of z draw terrain, sky, flow and life; the first never moves, so
    that a place keeps its composition.
    """
    scene = from_tokens(tokens.float().cpu()).clamp(0, 1.5)
    s = dict(zip(CONDITIONS, scene[CONDITION].tolist(), strict=True))
    place = dict(zip(PLACES, scene[PLACE].tolist(), strict=True))
    gale = s["wind"] + 0.4 * s["thunder"]
    rising = (
        2.6 * max(s["fire"], 0.7 * place["campfire"]) + 1.2 * s["bubbles"] + 1.5 * s["explosion"] + 0.8 * s["splash"]
    )
    falling = 5.0 * s["rain"] + 1.3 * s["snow"] + 2.5 * place["waterfall"] * (1 - min(1.0, rising))
    sky = (0.35 + 2.6 * gale, 0.0)
    liquid = place["ink"] + 0.5 * place["galaxy"]
    flow = (0.3 + 1.5 * s["waves"] + 0.5 * gale + 0.4 * liquid, 0.25 * s["waves"])
    life = (-2.5 * s["rain"] + 0.8 * gale * s["snow"], falling - rising if falling or rising else -0.3)
    return Flow(((0.0, 0.0), sky, flow, life), (0.0, 0.03, 0.1 * liquid, 0.12))
