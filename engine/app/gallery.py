"""`tpos gallery`: the scenes and sounds of The Power of Sound's project page, each beside its plain prompt.

A folder that stands alone: a film and a strip of stills for every example, a contact sheet of the strips, one page.
"""

from __future__ import annotations

import html
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from engine.app.offline import OfflineShow, Pictures, first_seconds, open_film_model, play, write
from engine.app.options import LookOptions, ModelOptions
from engine.audio import SAMPLE_RATE
from engine.audio.resample import read_sound
from engine.audio.sound_file import AudioFile
from engine.control.schema import near
from engine.core import console
from engine.core.console import Progress
from engine.core.messages import ShowState
from engine.outputs.screens import open_headless
from engine.render.picture import Size
from engine.render.text import fitted, font
from export.media.video import VideoWriter
from export.media.writing import writing
from tpos_models.contracts import Model
from tpos_models.errors import InputError, MissingFileError
from tpos_models.pocket.synth.sounds import STRENGTH_RANGE_DB, synthesise
from tpos_models.registry import POCKET
from tpos_models.toml_data import read_toml

FILE = Path(__file__).with_name("gallery.toml")
SEED = 6
"""Of the synthesised sounds: takes that the built-in encoder is sure of from beginning to end."""
RISE = 0.7
"""Share of a synthesised sound over which it rises from `STRENGTH_RANGE_DB` below its own level."""
STILLS = (0.25, 0.5, 0.75, 1.0)
"""Shares of a film at whose ends the contact sheet shows it, after the plain prompt at its end."""
STILL_PX, CAPTION_PX, GAP_PX = 192, 20, 8
SHEET, PAGE = "contact_sheet.png", "index.html"


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scene and its sound: a preset, with a prompt of its own where one is given.

    `seen` is what one should see. `made` names what is synthesised for `sound`, one after the other; where there is
    none a recording is needed. `amount` is for `pocket` alone.
    """

    name: str
    preset: str
    sound: str
    seen: str
    made: tuple[str, ...] = ()
    prompt: str | None = None
    amount: float = 1.0


class Examples(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """gallery.toml."""

    example: tuple[Example, ...]


@dataclass(frozen=True)
class GalleryOptions:
    """Where it goes, whose recordings it takes (NAME.wav and so on), and how large its films are, each of two halves.

    `only` is one example's name; `resume` leaves alone what the folder has already.
    """

    out: Path
    sounds: Path | None = None
    only: str | None = None
    resume: bool = False
    size: Size = (320, 320)
    fps: float = 12.0
    seconds: float = 8.0
    steps: int | None = None


@dataclass(frozen=True)
class Scene:
    """An example as it plays: its show's state, a recording of its sound if any, and why it cannot be made, if so."""

    example: Example
    look: LookOptions
    state: ShowState
    recording: Path | None
    refusal: str

    @property
    def prompt(self) -> str:
        """The scene in words."""
        return " + ".join(prompt.text for prompt in self.state.prompts if prompt.weight > 0)


def load_examples() -> dict[str, Example]:
    """The examples by name, in their order."""
    return {example.name: example for example in read_toml(FILE, Examples).example}


def make_gallery(options: GalleryOptions, models: ModelOptions, progress: Progress) -> dict[str, Any]:
    """Make every example, or the one asked for; returns which were made, and why others were not.

    The sheet and the page show all that the folder has by then. Raises `InputError` for a name that no example has.
    """
    examples = load_examples()
    if options.only is not None and options.only not in examples:
        guesses = near(options.only, examples)
        hint = f"did you mean {' or '.join(guesses)}? " if guesses else ""
        raise InputError(f"--only {options.only}: no such example; {hint}accepted: {', '.join(examples)}")
    if options.sounds is not None and not options.sounds.is_dir():
        raise MissingFileError(f"--sounds {options.sounds}: no such folder; one of recordings would be accepted")
    with writing(options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    model = open_film_model(models)
    scenes = [_scene(example, model, options, models) for example in examples.values()]
    asked = [scene for scene in scenes if options.only in (None, scene.example.name)]
    for done, scene in enumerate(asked):
        if scene.refusal:
            console.notify(f"tpos: {scene.example.name}: {scene.refusal}")
        elif not (options.resume and _strip(options.out, scene).exists()):
            _make(scene, model, options, lambda share, done=done: progress((done + share) / len(asked)))
        progress((done + 1) / len(asked))
    shown = [scene for scene in scenes if scene.refusal or _strip(options.out, scene).exists()]
    with writing(options.out):
        _sheet(shown, options.out).save(options.out / SHEET)
        (options.out / PAGE).write_text(_page(shown, model.spec.name), encoding="utf-8")
    return {
        "page": str(options.out / PAGE),
        "made": [scene.example.name for scene in asked if not scene.refusal],
        "refused": {scene.example.name: scene.refusal for scene in asked if scene.refusal},
    }


def _scene(example: Example, model: Model, options: GalleryOptions, models: ModelOptions) -> Scene:
    chosen = {field.name: getattr(models, field.name) for field in fields(ModelOptions)}
    asked = {"amount": example.amount if models.name == POCKET else None, "steps": options.steps}
    settings = {name: value for name, value in asked.items() if value is not None}
    look = LookOptions(**chosen, preset=example.preset, prompt=example.prompt, settings=settings)
    found = sorted(options.sounds.glob(f"{example.name}.*")) if options.sounds else []
    scene = Scene(example, look, look.build_show()[0].state, found[0] if found else None, "")
    unknown = [word.line(model.spec.name) for word in model.text.unknown(scene.prompt)]
    if not (unknown or found or example.made):
        unknown = [f"{example.sound} cannot be synthesised; a recording {example.name}.wav in --sounds would be taken"]
    return replace(scene, refusal="; ".join(unknown))


def _sound(scene: Scene, seconds: float) -> np.ndarray:
    """(n, channels) at 44.1 kHz: the recording from its beginning, or what is made, each part rising from silence."""
    if scene.recording is not None:
        return np.concatenate(list(first_seconds(read_sound(AudioFile(scene.recording)), seconds)))
    parts = []
    for name in scene.example.made:
        part = synthesise(name, seconds / len(scene.example.made), SEED)
        rise_db = STRENGTH_RANGE_DB * np.minimum(np.linspace(-1, 1 / RISE - 1, len(part)), 0)
        parts.append(part * (10 ** (rise_db / 20)).astype(np.float32))
    return np.concatenate(parts)[:, None]


def _make(scene: Scene, model: Model, options: GalleryOptions, progress: Progress) -> None:
    """The film of one example; its strip, written last, says that it is whole."""
    out, fps, look = options.out, options.fps, scene.look
    sound = _sound(scene, options.seconds)
    _strip(out, scene).unlink(missing_ok=True)
    with ExitStack() as stack:

        def half(state: ShowState) -> Pictures:
            show = OfflineShow(model, reference_steps=look.reference_steps if look.is_reference else 0)
            return play(show, iter([sound]), lambda _: state, stack.enter_context(open_headless(options.size)), fps)

        plain, heard = half(replace(scene.state, amount=0.0)), half(scene.state)
        size = (2 * options.size[0] + GAP_PX, options.size[1])
        video = stack.enter_context(VideoWriter(_film(out, scene), size, fps, SAMPLE_RATE, sound.shape[1]))
        pairs: list[tuple[np.ndarray, np.ndarray]] = []
        write(_beside(plain, heard, pairs), video, lambda done_s: progress(done_s * SAMPLE_RATE / len(sound)))
    stills = [pairs[-1][0], *(pairs[max(0, round(share * len(pairs)) - 1)][1] for share in STILLS)]
    with writing(out):
        _captioned([f"{scene.example.name}: {scene.prompt} + {scene.example.sound}"], stills).save(_strip(out, scene))


def _beside(plain: Pictures, heard: Pictures, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Pictures:
    """Both as one picture with a gap between; small ones of both go to `pairs`."""
    for (moment, left), (_, right) in zip(plain, heard, strict=True):
        pairs.append((_small(left), _small(right)))
        gap = np.zeros((len(left), GAP_PX, 3), np.uint8)
        yield moment, np.concatenate([left, gap, right], axis=1)


def _small(picture: np.ndarray) -> np.ndarray:
    """At most `STILL_PX` a side."""
    image = Image.fromarray(picture)
    image.thumbnail((STILL_PX, STILL_PX))
    return np.asarray(image)


def _captioned(captions: list[str], stills: list[np.ndarray]) -> Image.Image:
    """Stills in a row of `STILL_PX` each, under captions that share its width."""
    width = (1 + len(STILLS)) * STILL_PX
    strip = Image.new("RGB", (width, CAPTION_PX + max((len(still) for still in stills), default=0)))
    pen, cell = ImageDraw.Draw(strip), width // len(captions)
    for column, caption in enumerate(captions):
        line = fitted(caption, CAPTION_PX - 7, cell - 8)
        pen.text((column * cell + 4, 2), line, font=font(CAPTION_PX - 7), fill="white")
    for column, still in enumerate(stills):
        strip.paste(Image.fromarray(still), (column * STILL_PX, CAPTION_PX))
    return strip


def _sheet(scenes: list[Scene], out: Path) -> Image.Image:
    """The strips below each other; what is refused is a line."""
    strips = [_captioned(["plain prompt", *(f"with the sound, {share:.0%}" for share in STILLS)], [])]
    for scene in scenes:
        refused = _captioned([f"{scene.example.name}: {scene.refusal}"], [])
        strips.append(refused if scene.refusal else Image.open(_strip(out, scene)))
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
    for index, strip in enumerate(strips):
        sheet.paste(strip, (0, sum(above.height for above in strips[:index])))
    return sheet


def _page(scenes: list[Scene], model: str) -> str:
    return _HTML.format(model=html.escape(model), sheet=SHEET, examples="".join(map(_section, scenes)))


def _section(scene: Scene) -> str:
    words = {"prompt": scene.prompt, "sound": scene.example.sound, "seen": scene.example.seen, "refusal": scene.refusal}
    escaped = {key: html.escape(value) for key, value in words.items()}
    film = _REFUSED if scene.refusal else _FILM
    return _SECTION.format(film=film.format(name=scene.example.name, **escaped), **escaped)


def _film(out: Path, scene: Scene) -> Path:
    return out / f"{scene.example.name}.mp4"


def _strip(out: Path, scene: Scene) -> Path:
    return out / f"{scene.example.name}.png"


_FILM = """<video controls loop preload="metadata" poster="{name}.png" src="{name}.mp4"></video>
<p>To be seen: {seen}.</p>"""
_REFUSED = "<p>Not made: {refusal}.</p>"
_SECTION = """<section>
<h2>{prompt} + {sound}</h2>
{film}
</section>
"""
_HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>TPoS gallery</title>
<style>
body {{ font: 16px sans-serif; max-width: 60rem; margin: 2rem auto; background: #111; color: #ddd }}
video, img {{ width: 100% }}
</style>
<h1>Scenes and sounds of The Power of Sound, drawn by {model}</h1>
<p>Left the plain prompt, right the same with the sound.</p>
{examples}<a href="{sheet}"><img src="{sheet}" alt="Each plain prompt, then four moments of its sound"></a>
</html>
"""
