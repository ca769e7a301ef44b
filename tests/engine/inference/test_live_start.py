"""Frames that start from live pictures: which, how old they are, and that what moves in them does not boil."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.core.clock import VirtualClock
from engine.core.messages import Prompt, ShowState
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.plan import choose_plan
from engine.inputs.picture import LivePicture
from tpos_models.contracts import Model
from tpos_models.pocket.model import as_field, load

STATE = ShowState(prompts=(Prompt("a beach at sunset"),), strength=0.3, motion=0.0)


class Show:
    """A pipeline without sound, shown one picture after the other."""

    def __init__(self, model: Model) -> None:
        self.clock = VirtualClock()
        self.picture: LivePicture | None = None
        self.pipeline = FramePipeline(model, self.clock, choose_plan(model), pictures=lambda: self.picture)

    def frame(self, image: np.ndarray | None, state: ShowState = STATE):
        self.clock.sleep(1 / 30)
        if image is not None:
            self.picture = LivePicture(image, self.clock.now())
        return self.pipeline.frame(state)


@pytest.fixture(scope="module")
def pocket() -> Model:
    return load()


def plain(*colour: int) -> np.ndarray:
    return np.full((90, 160, 3), colour, np.uint8)


def test_a_frame_starts_from_the_newest_picture_and_says_how_old_it_is(pocket: Model):
    show = Show(pocket)
    before = show.frame(None)
    assert before.picture_time_s == 0
    assert np.array_equal(before.image, FramePipeline(pocket, VirtualClock(), choose_plan(pocket)).frame(STATE).image)
    red = show.frame(plain(200, 30, 30))
    assert red.picture_time_s == show.clock.now()
    blue = show.frame(plain(30, 30, 200))
    means = [frame.image[..., :3].mean((0, 1)) for frame in (red, blue)]
    assert means[0][0] - means[0][2] > 25
    assert means[1][2] - means[1][0] > 25
    assert show.frame(None).picture_time_s == blue.picture_time_s  # frozen: the last one stays


def test_a_frame_of_the_same_picture_is_not_drawn_again(pocket: Model):
    show = Show(pocket)
    show.frame(plain(9, 90, 9))
    assert show.pipeline.begin_changed(STATE) is None
    show.picture = LivePicture(plain(90, 90, 9), show.clock.now())
    assert show.pipeline.begin_changed(STATE) is not None


def test_a_field_shows_the_whole_of_a_picture(pocket: Model):
    image = np.zeros((90, 160, 3), np.uint8)
    image[:, :24], image[:, -24:] = (220, 220, 220), (220, 220, 220)
    drawn = Show(as_field(pocket, (128, 72))).frame(image).image[..., :3].mean((0, 2))
    assert min(drawn[4:12].mean(), drawn[-12:-4].mean()) > drawn[50:78].mean() + 60


def passing() -> list[np.ndarray]:
    """A smooth random scene that goes by, 8 pixels a picture: a cell of the latents."""
    coarse = torch.rand(1, 3, 20, 32, generator=torch.Generator().manual_seed(8))
    scene = F.interpolate(coarse, (512, 820), mode="bicubic", align_corners=False).clamp(0, 1)[0].permute(1, 2, 0)
    whole = (scene.numpy() * 255).astype(np.uint8)
    return [whole[100:356, 100 + 8 * i : 356 + 8 * i] for i in range(5)]


def unsteadiness(frames: list[np.ndarray]) -> float:
    """How much one frame differs from the last, moved along."""
    pairs = itertools.pairwise(frames)
    return float(np.mean([np.abs(b[16:-16, 16:-24] - a[16:-16, 24:-16]).mean() for a, b in pairs]))


def test_what_moves_takes_its_noise_along(pocket: Model, monkeypatch: pytest.MonkeyPatch):
    def redrawn() -> list[np.ndarray]:
        show = Show(pocket)
        return [show.frame(image, replace(STATE, strength=0.6)).image[..., :3].astype(float) for image in passing()]

    along = unsteadiness(redrawn())
    monkeypatch.setattr("tpos_models.diffusion.motion_carry.NoiseCarry.move", lambda self, flow: None)
    assert along < 0.8 * unsteadiness(redrawn())
