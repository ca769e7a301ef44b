"""What a `pocket` picture can show: the scene vector, and its spelling as conditioning tokens.

A scene is 28 place weights, 14 condition strengths and a colour tint. The text encoder writes scenes from
prompts, MAP writes them from sound, the world draws them, the denoiser reads them as tokens.
"""

from __future__ import annotations

from functools import cache

import torch

PLACES = (
    "beach", "mountains", "forest", "desert", "city", "park", "garden", "volcano", "lake", "waterfall",
    "fountain", "deep_sea", "meadow", "campfire", "tunnel", "ink", "galaxy", "neon", "temple", "sunken_city", "canyon",
    "ice_cave", "street", "rooftop", "laser", "mandala", "crystal", "retrowave",
)  # fmt: skip
CONDITIONS = (
    "fire", "rain", "thunder", "snow", "wind", "waves", "fog", "sunset", "night", "sunny",
    "bubbles", "explosion", "splash", "aurora",
)  # fmt: skip
PAINTED = (
    "snow", "sunset", "sunny", "night", "aurora", "thunder", "waves", "fire", "explosion", "splash", "bubbles", "fog",
    "wind", "rain",
)  # fmt: skip
"""The conditions in the order they are laid over a place: ground and sky first, what blows before all of it last."""
TINT = ("red", "green", "blue")

SCENE_SIZE = len(PLACES) + len(CONDITIONS) + len(TINT)
PLACE = slice(0, len(PLACES))
CONDITION = slice(PLACE.stop, PLACE.stop + len(CONDITIONS))
TINTS = slice(CONDITION.stop, SCENE_SIZE)

TOKENS = 2 + len(CONDITIONS) + 1  # start, place, one per condition, tint
TOKEN_SIZE = 32


def scene(
    places: dict[str, float] | None = None,
    conditions: dict[str, float] | None = None,
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> torch.Tensor:
    """One scene vector, shape (SCENE_SIZE,); names as in PLACES and CONDITIONS, strengths 0..1, tint -1..1."""
    s = torch.zeros(SCENE_SIZE)
    for name, weight in (places or {}).items():
        s[PLACE.start + PLACES.index(name)] = weight
    for name, strength in (conditions or {}).items():
        s[CONDITION.start + CONDITIONS.index(name)] = strength
    s[TINTS] = torch.tensor(tint)
    return s


def _cosines(n: int) -> torch.Tensor:
    """The orthonormal DCT-II matrix (n, n): a basis that is the same on every machine."""
    k = torch.arange(n, dtype=torch.float64)
    rows = torch.cos(torch.pi / n * k[:, None] * (k[None, :] + 0.5)) * (2 / n) ** 0.5
    rows[0] /= 2**0.5
    return rows.float()


_ROWS = _cosines(TOKEN_SIZE)
BASIS = torch.cat([_ROWS[: len(PLACES)], _ROWS[: len(CONDITIONS) + len(TINT)]])
"""(SCENE_SIZE, TOKEN_SIZE): the unit row that spells each entry of a scene; orthogonal within a token."""
START = _ROWS[-1]


def to_tokens(scenes: torch.Tensor) -> torch.Tensor:
    """Scenes (..., SCENE_SIZE) to tokens (..., TOKENS, TOKEN_SIZE); linear but for the constant start token.

    The empty scene is the encoding of "", the unconditional branch.
    """
    basis = BASIS.to(scenes)
    start = START.to(scenes).expand(*scenes.shape[:-1], 1, TOKEN_SIZE)
    place = (scenes[..., PLACE] @ basis[PLACE]).unsqueeze(-2)
    conditions = scenes[..., CONDITION].unsqueeze(-1) * basis[CONDITION]
    tint = (scenes[..., TINTS] @ basis[TINTS]).unsqueeze(-2)
    return torch.cat([start, place, conditions, tint], dim=-2)


def from_tokens(tokens: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_tokens`: (..., TOKENS, TOKEN_SIZE) to (..., SCENE_SIZE)."""
    return tokens.flatten(-2) @ _reading(tokens.device, tokens.dtype)


@cache
def _reading(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """(TOKENS * TOKEN_SIZE, SCENE_SIZE) that reads a scene; kept, since a CUDA graph must not copy from the host."""
    with torch.inference_mode(False):  # networks that learn may read, too
        rows = to_tokens(torch.eye(SCENE_SIZE)) - to_tokens(torch.zeros(SCENE_SIZE))
        return rows.flatten(1).T.to(device, dtype)
