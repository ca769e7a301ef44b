"""What frames start from while live pictures come: the newest, and of the last frame what moved along with it."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from engine.core.messages import ShowState
from engine.inputs.picture import LivePicture, LivePictures
from tpos_models.contracts import Model
from tpos_models.diffusion.motion_carry import NoiseCarry, PictureMotion, kept, picture_motion
from tpos_models.diffusion.noise_motion import LEAST_STRENGTH, Start
from tpos_models.image import fit_picture

FINE_CELLS = 48
"""Up to so many cells a side motion is looked for twice as finely."""


def encode_picture(model: Model, picture: np.ndarray) -> torch.Tensor:
    """RGB uint8 (H, W, 3) as the model's latents (1, C, h, w), its middle filling them."""
    return model.encoder(_fitted(model, picture))


def _fitted(model: Model, picture: np.ndarray) -> torch.Tensor:
    height, width = (side * model.spec.scale for side in model.spec.sample_size)
    return fit_picture(picture, (width, height))


class LiveStart:
    """Follows `pictures`; owned by the thread that begins frames."""

    def __init__(self, model: Model, pictures: LivePictures) -> None:
        self._model, self._pictures = model, pictures
        self._cells = model.spec.sample_size
        fine = 2 if max(self._cells) <= FINE_CELLS else 1
        self._fine = (fine * self._cells[0], fine * self._cells[1])
        self._still = PictureMotion(torch.zeros(1, 2, *self._cells), torch.ones(1, 1, *self._cells))
        self._carry = NoiseCarry(self._cells)
        self._picture: LivePicture | None = None
        self._latents = self._grey = torch.empty(0)

    def blank(self) -> torch.Tensor:
        """Latents of a black picture: what is captured before the show."""
        return encode_picture(self._model, np.zeros((16, 16, 3), np.uint8))

    def __call__(
        self, state: ShowState, noise: torch.Tensor, last_x0: torch.Tensor | None
    ) -> tuple[Start, float] | None:
        """What the next frame starts from, and when that was captured; None before the first picture.

        With feedback so much of the last frame stays in the picture as `feed_back` keeps of it at most.
        """
        newest = self._pictures()
        if newest is None:
            return None
        motion = self._still if newest is self._picture else self._take(newest)
        latents = self._latents
        if state.feedback > 0 and last_x0 is not None:
            latents = kept(latents, last_x0, motion, (1 - LEAST_STRENGTH) * state.feedback)
        return Start(latents, self._carry.carried(noise), state.strength), newest.time_s

    def _take(self, newest: LivePicture) -> PictureMotion:
        """Encode a new picture, and follow what moved since the last."""
        image = _fitted(self._model, newest.image)
        grey = F.interpolate(image.mean(1, keepdim=True), self._fine, mode="area")[:, 0]
        motion = self._still
        if self._picture is not None:
            motion = picture_motion(self._grey, grey, self._cells)
            self._carry.move(motion.flow)
        self._picture, self._grey, self._latents = newest, grey, self._model.encoder(image)
        return motion
