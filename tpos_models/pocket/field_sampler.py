"""The field as a `Sampler`: guidance acts on the scene, and the field draws it once, at any size.

A prediction is a scene (`pocket.scene`), which is linear, so that the formulas of `diffusion.guidance` hold as they
stand; amount = 0 is the prompt's own scene, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch.nn import functional as F

from tpos_models.diffusion.guidance import Tier, warmup_steps
from tpos_models.diffusion.local_mask import acting
from tpos_models.diffusion.prediction import GuidedPrediction, follow
from tpos_models.diffusion.sampler import Numbers, Sampled, Sampler, SampleRequest
from tpos_models.diffusion.step import to_rgba
from tpos_models.pocket.field_painter import FieldPainter, prepare
from tpos_models.pocket.hypernetwork import Hypernetwork, prompt_features
from tpos_models.pocket.noise_features import CELLS
from tpos_models.pocket.scene import from_tokens, to_tokens

MASK_CELL_PX = 16
NO_PIXELS = torch.empty(0, 0, 4, dtype=torch.uint8)
LAST = 999


class FieldSampler:
    """Draws frames of one size; those that start from a picture, which a field cannot, are `otherwise` drawn.

    `otherwise` samples latents of the square, and `decoder` draws them; that is stretched.
    """

    concurrent = True

    def __init__(
        self,
        field: Hypernetwork,
        size: tuple[int, int],
        cells: int,
        otherwise: Sampler,
        decoder: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        prepare()
        self._paint = FieldPainter(field, size, cells)
        self._sketch = FieldPainter(field, (size[0] // MASK_CELL_PX, size[1] // MASK_CELL_PX), cells)
        self._size, self._otherwise, self._decoder = size, otherwise, decoder

    def __call__(self, request: SampleRequest) -> Sampled:
        """Sample the request's frame: `Sampled.pixels`, or where none are wanted `numbers` that say it.

        Its latents are those of a grey picture.
        """
        side = (request.noise.shape[-1] - CELLS) // 2
        if request.start is not None:
            square = replace(request, noise=request.noise[..., side : side + CELLS])
            sampled = self._otherwise(square)
            return replace(
                sampled, pixels=to_rgba(stretched(self._decoder(sampled.x0), self._size))[0], request=request
            )
        scenes: list[torch.Tensor] = []

        def evaluate(_x_t: torch.Tensor, _t: int, tokens: list[torch.Tensor]) -> list[torch.Tensor]:
            scenes.extend(from_tokens(one)[None, :, None, None] for one in tokens)
            return scenes[-len(tokens) :]

        predict = GuidedPrediction(request.tier, request.guidance)
        guided = warmup_steps(request.guidance, 1) == 0
        scene = follow(predict(request.noise, LAST, request.at(0), guided), evaluate)
        prompt = _features(scene)
        pixels, numbers = NO_PIXELS, None
        if request.pixels:
            pixels = to_rgba(self._paint(request.noise, prompt))[0]
        else:
            numbers = Numbers(request.noise, prompt, self._size)
        mask = None
        if request.masked:
            plain = scenes[1] if request.tier is Tier.REFERENCE else scenes[0]
            with_sound, without = (self._sketch(request.noise, _features(one)) for one in (scene, plain))
            mask = acting(with_sound - without, request.guidance.quantile)
        return Sampled(torch.zeros_like(request.noise[..., :CELLS]), len(scenes), request, pixels, mask, numbers)


def _features(scene: torch.Tensor) -> torch.Tensor:
    """A scene (1, SCENE_SIZE, 1, 1) as prompt features (1, PROMPT_SIZE)."""
    return prompt_features(to_tokens(scene.flatten(1)), torch.tensor([LAST], device=scene.device))


def stretched(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A picture (1, 3, h, w) as large as a size (width, height), whatever its shape."""
    return F.interpolate(picture, size[::-1], mode="bicubic", antialias=True).clamp(0, 1)
