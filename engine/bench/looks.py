"""`tpos bench --looks`: music played to the club looks, and how often they draw a weather that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from engine.audio import HOP, SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.resample import mono, read_sound
from engine.audio.sound_file import AudioFile
from engine.bench.report import Bar, Notify
from engine.control import presets
from engine.core.messages import AudioFeatures
from engine.inference.fallback import Backend
from engine.inference.hearing import HEAR_EVERY_S, HeardSound, Listener
from engine.inference.loading import open_on
from engine.inference.slew import SoundSlew, pushed
from tpos_models.contracts import Model
from tpos_models.errors import InputError, MissingFileError
from tpos_models.pocket.scene import CONDITION, CONDITIONS, from_tokens
from tpos_models.registry import POCKET

CLUB = ("tunnel", "galaxy", "neon", "ink", "laser", "mandala", "crystal", "retrowave", "default")
SOUNDS = (".flac", ".ogg", ".wav", ".mp3")
MOST_S = 60.0
"""Of each sound; with its beginning, which is when encoders know least."""
SEEN = 0.2
"""A condition of this strength is a third painted (`tpos_models.pocket.world.world.shown`)."""
NAMED = 0.1
"""Words ask for a condition of which they have this much."""
MOST_UNASKED = 0.03


class Look:
    """A preset, and which conditions nobody asks for in it: neither its prompts, nor its rules for music."""

    def __init__(self, name: str, model: Model) -> None:
        self.name, self.state = name, presets.to_state(presets.load(name))
        self._model, self._null = model, model.text.encode([""]).tokens[0]
        rules = self.state.rules
        nature = (self._named([rule.hear for rule in rules]) > NAMED).any(1).tolist()
        self.is_nature = [of and rule.follow is None for of, rule in zip(nature, rules, strict=True)]
        music = [rule.show for rule, of in zip(rules, self.is_nature, strict=True) if not of]
        words = [prompt.text for prompt in self.state.prompts] + music
        self.unasked = ~(self._named(words) > NAMED).any(0)
        self._slew = SoundSlew()

    def _named(self, words: list[str]) -> torch.Tensor:
        """Strengths (words, 14) of the conditions in phrases."""
        return from_tokens(self._model.text.encode(words).tokens.float())[:, CONDITION]

    def drawn(self, heard: HeardSound, features: AudioFeatures) -> torch.Tensor:
        """Strengths (14,) of the conditions that nobody asked for, as the sound and its rules add them to a frame."""
        terms = self._slew(heard, features, features.time_s, self.state.slew_s, self.state.literal)
        own, rules = terms[:2], terms[2:]
        by_nature = [term for term, of in zip(rules, self.is_nature, strict=True) if of]
        added = torch.zeros_like(self._null)
        for term in pushed((*own, *by_nature), self.state.amount):
            added = added + term.weight * (term.tokens - self._null)
        return from_tokens(added.float())[CONDITION].clamp_min(0.0) * self.unasked


def measure_looks(folder: Path, notify: Notify) -> list[Bar]:
    """Play every sound of a folder and those in it to the looks, a frame whenever the encoder hears (5 Hz).

    A frame counts where the sound's own tokens, and the rules that hear weather, add SEEN of a condition that neither
    prompts nor the rules for music name.
    """
    sounds = sorted(path for path in folder.rglob("*") if path.suffix in SOUNDS)
    if not sounds:
        raise MissingFileError(f"{folder}: no sounds; music as {', '.join(SOUNDS)} would be accepted")
    model = open_on(Backend("onnx"), POCKET)
    drawn: dict[str, list[torch.Tensor]] = {name: [] for name in CLUB}
    for path in sounds:
        looks = [Look(name, model) for name in CLUB]
        own = [torch.stack(frames) for frames in zip(*_frames(path, model, looks), strict=True)]
        if not own:
            notify(f"{path.stem}: too short to hear anything in it")
            continue
        notify(f"{path.stem}: {', '.join(map(_line, looks, own))}")
        for look, frames in zip(looks, own, strict=True):
            drawn[look.name].append(frames)
    if not drawn[CLUB[0]]:
        raise InputError(f"{folder}: no sound of a second or more")
    return [
        Bar(f"{name}: frames of weather that nobody asked for", _share(torch.cat(frames)), "most", MOST_UNASKED, "")
        for name, frames in drawn.items()
    ]


def _frames(path: Path, model: Model, looks: list[Look]) -> Iterator[list[torch.Tensor]]:
    """What each look draws, frame by frame."""
    samples = np.concatenate([mono(block) for block in read_sound(AudioFile(str(path)))])[: round(MOST_S * SAMPLE_RATE)]
    analyser, listener = Analyser(), Listener(model)
    step = HOP * round(HEAR_EVERY_S * SAMPLE_RATE / HOP)
    for end in range(step, len(samples) + 1, step):
        features = analyser.process(samples[end - step : end], end / SAMPLE_RATE)[-1]
        listener.hear(analyser.window(listener.window_s))
        yield [look.drawn(heard, features) for look in looks if (heard := listener.weigh(look.state.rules))]


def _share(frames: torch.Tensor) -> float:
    """Of frames (n, 14), those with something in them."""
    return float((frames > SEEN).any(1).float().mean())


def _line(look: Look, frames: torch.Tensor) -> str:
    worst = int(frames.mean(0).argmax())
    return f"{look.name} {_share(frames):.0%}" + (f" ({CONDITIONS[worst]})" if _share(frames) else "")
