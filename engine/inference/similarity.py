"""What needs no sampling: a frame of the same request is the same frame, bit for bit.

StreamDiffusion (Kodaira et al. 2023) skips a frame with a probability that grows with its input's cosine similarity to
the last one's. Here nothing is drawn by lot, and nothing that differs is skipped.
"""

from __future__ import annotations

import torch

from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.sampler import SampleRequest


def same_frame(a: SampleRequest, b: SampleRequest) -> bool:
    """Whether two requests ask for the same frame, whatever their metadata.

    On a GPU only a tensor itself counts as the same: a look into two would wait until the frame before is drawn.
    """
    return (
        (a.tier, a.guidance, a.steps, a.strength, a.mask) == (b.tier, b.guidance, b.steps, b.strength, b.mask)
        and _same(a.noise, b.noise)
        and _same(a.start, b.start)
        and _same_conditions(a, b)
    )


def _same_conditions(a: SampleRequest, b: SampleRequest) -> bool:
    one, other = a.conditions, b.conditions
    if not (isinstance(one, Conditions) and isinstance(other, Conditions)):
        return one is other
    return (
        [term.weight for term in one.sounds] == [term.weight for term in other.sounds]
        and all(_same(x.tokens, y.tokens) for x, y in zip(one.sounds, other.sounds, strict=True))
        and _same(one.text, other.text)
        and _same(one.uncond, other.uncond)
        and _same(one.null, other.null)
    )


def _same(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    return a is b or (a is not None and b is not None and a.device.type == "cpu" and torch.equal(a, b))
