"""What the tests of the inference thread share: a show's parts without a model or a sound."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from engine.core.mailbox import Mailbox
from engine.core.messages import SILENCE, AudioFeatures, Frame, Rule, ShowState, SoundWindow
from engine.inference.hearing import HeardSound, SoundSource


class Ear:
    """A microphone in a silent room."""

    def latest(self) -> AudioFeatures:
        return replace(SILENCE, time_s=time.monotonic())

    def window(self, seconds: float) -> SoundWindow:
        return SoundWindow(np.zeros(round(seconds * 44_100), np.float32), 0, time.monotonic())


class Encoder:
    """Something to listen with, and to be let go."""


class Deaf:
    """A listener that has nothing to say."""

    encoder: Any
    device = torch.device("cpu")
    heard: HeardSound | None = None

    def __init__(self) -> None:
        self.encoder = Encoder()

    def listen(self, source: SoundSource, rules: tuple[Rule, ...]) -> bool:
        return False


class Stage:
    """Frames without a model, every second one of them slow; raises when told to."""

    def __init__(self, trouble: list[Exception], at_once: int) -> None:
        self.trouble, self.side_by_side, self.begun = trouble, at_once, 0
        self.listener = Deaf()

    hears_apart = False
    patience_s = float("inf")
    queued = False

    def at_once(self, state: ShowState) -> int:
        return self.side_by_side

    def follow(self, heard: HeardSound | None) -> None:
        pass

    def begin_changed(self, state: ShowState, features: AudioFeatures) -> Callable[[], Frame] | None:
        self.begun += 1
        return partial(self.draw, self.begun, state.revision, features.time_s)

    def hold(self) -> None:
        pass

    def draw(self, index: int, revision: int, audio_time_s: float) -> Frame:
        if self.trouble:
            raise self.trouble.pop()
        time.sleep(0.002 if index % 2 else 0.006)
        image = np.zeros((4, 4, 4), np.uint8)
        return Frame(index, image, audio_time_s, time.monotonic(), revision, "", (), 0, 2)


class Kept(Mailbox[Frame]):
    """A mailbox that keeps every frame."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Frame] = []

    def put(self, item: Frame) -> None:
        self.all.append(item)
        super().put(item)
