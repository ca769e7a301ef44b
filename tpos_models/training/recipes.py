"""`tpos train`: the stages of `pocket` by name, and the table of its model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpos_models.errors import InputError
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.weights import read_record

if TYPE_CHECKING:
    from tpos_models.contracts import TextSpace
    from tpos_models.pocket.audio_networks import AudioEncoderNet
    from tpos_models.training.audio.hearing import Heard

STAGES = ("text", "hearing", "pictures", "field")
"""In the order that depends on each other: sounds are compared with phrases in the text's joint space."""
BY_TEACHERS = ("corpus", "mixtures")


def train(
    stage: str,
    runs: Path,
    weights: Path,
    sounds: Path | None = None,
    steps: int | None = None,
    held_out: Sequence[str] = (),
    corpus: Path | None = None,
) -> dict[str, Any]:
    """Train one stage in `runs`, resuming what is there; write its weights and return what was measured."""
    if stage == "text":
        from tpos_models.training.text.text import train_text

        return dict(train_text(runs / "text", weights, steps or 2000))
    if stage == "hearing":
        from tpos_models.training.audio.hearing import Heard

        return _train_audio_encoder(runs / "hearing", weights, Heard(sounds, corpus, tuple(held_out)), steps)
    if stage == "pictures":
        return _train_pictures(runs / "pictures", weights, steps)
    if stage == "field":
        from dataclasses import replace

        from tpos_models.training.pictures.sketches import FIELD, train_field

        train_field(runs / "field", weights, replace(FIELD, steps=steps) if steps else FIELD)
        return read_record(weights / "field.json")
    raise InputError(
        f"stage {stage}: {', '.join(STAGES)}, corpus, mixtures, sections, beats, tpos or evaluate would be accepted"
    )


def train_sections(runs: Path, out: Path | None, sounds: Sequence[Path], steps: int | None) -> dict[str, Any]:
    """Train the section network on renders in `sounds`; sound files there without sections are music without any."""
    from dataclasses import replace

    from tpos_models.sections.network import WEIGHTS
    from tpos_models.training.music import sections

    recipe = replace(sections.RECIPE, steps=steps) if steps else sections.RECIPE
    return dict(sections.train_sections(runs / "sections", out or WEIGHTS, sounds, recipe))


def train_for_stable_diffusion(
    model: str,
    runs: Path,
    out: Path | None,
    sounds: Sequence[Path],
    steps: int | None,
    batch: int,
    workers: int | None = None,
    imagenet: Path | None = None,
) -> dict[str, Any]:
    """Train the paper's encoder on labelled `sounds` against a model's text encoder; `out` is then an `--ear`."""
    from dataclasses import replace

    from tpos_models.stable_diffusion import open_text
    from tpos_models.training.audio.tpos import RECIPE, train_tpos

    if not sounds or out is None:
        raise InputError(
            "train tpos: --sounds FOLDER, VGGSound's or holding LABEL/NAME.wav, and --out FOLDER are needed"
        )
    recipe = replace(RECIPE, steps=steps) if steps else RECIPE
    trained = train_tpos(
        sounds, open_text(model), runs / "tpos", out, recipe, batch=batch, workers=workers, imagenet=imagenet
    )
    return {"ear": str(out), **trained}


def listen(
    stage: str,
    sounds: Sequence[Path],
    teachers: Path | None,
    out: Path | None,
    count: int | None = None,
    held_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Let teachers listen to every sound of some folders, or to mixtures of them: what hearing learns from.

    Of the folders of mixtures the first holds recordings by label.
    """
    if not sounds or out is None or teachers is None:
        raise InputError(f"train {stage}: --sounds FOLDER, --teachers FILE.py and --out FOLDER are needed")
    from tpos_models.training.audio.corpus import Teachers, collect
    from tpos_models.training.audio.mixtures import COUNT, collect_mixtures

    heard = Teachers.load(teachers)
    if stage == "mixtures":
        return {"mixtures": collect_mixtures(sounds, out, heard, count or COUNT, held_out)}
    return {folder.name: collect(folder, out / folder.name, heard) for folder in sounds}


def train_beats(
    runs: Path,
    out: Path | None,
    sounds: Sequence[Path],
    beatless: Sequence[Path],
    steps: int | None,
    held_out: Sequence[str],
) -> dict[str, Any]:
    """Train the beat network on folders of `sounds` whose beats are known and of `beatless` ones."""
    from dataclasses import replace

    from tpos_models.beats.network import WEIGHTS as SHIPPED
    from tpos_models.training.beats import beats

    if not sounds or not beatless:
        raise InputError(
            "train beats: --sounds FOLDER, renders or loops whose beats are known, and --beatless FOLDER are needed"
        )
    recipe = replace(beats.RECIPE, steps=steps) if steps else beats.RECIPE
    beats.train_beats(runs / "beats", out or SHIPPED, sounds, beatless, held_out, recipe)
    return read_record((out or SHIPPED) / "beats.json")


def evaluate(weights: Path = WEIGHTS, sounds: Path | None = None, music: Path | None = None) -> dict[str, Any]:
    """The numbers of the model card, from seeds, recordings and music held out of training."""
    from tpos_models.pocket.audio_networks import load_net
    from tpos_models.pocket.codec import load_codec
    from tpos_models.pocket.denoiser import load_denoiser
    from tpos_models.pocket.field import load_field
    from tpos_models.pocket.model import load
    from tpos_models.pocket.noise_features import Plane, cells_across
    from tpos_models.pocket.text import PocketText
    from tpos_models.pocket.world.world import World
    from tpos_models.training.evaluate_show import evaluate_show
    from tpos_models.training.pictures import evaluation as pictures
    from tpos_models.training.text.text import evaluate_text

    text, codec, world = PocketText.load(weights), load_codec(weights), World()
    denoiser = load_denoiser(weights)
    field = load_field(weights)
    draw, by_field = pictures.in_one_step(denoiser, codec.decoder), pictures.by_field(field)
    return {
        **pictures.codec_fidelity(codec, world),
        **pictures.one_step_fidelity(draw, world),
        **pictures.few_steps_fidelity(denoiser, codec.decoder, world),
        **pictures.conditions_shown(draw, world),
        **pictures.motion_error_ratio(draw, world),
        **pictures.field_fidelity(field),
        **{f"field_{name}": value for name, value in pictures.conditions_shown(by_field, world).items()},
        **pictures.places_told_apart(
            pictures.by_field(field, (160, 90)), World(Plane.of(160, 90), cells_across(16, 9))
        ),
        **_evaluate_audio_encoder(load_net(weights), weights, text, sounds, music),
        **evaluate_show(load(folder=weights), world),
        **evaluate_text(text),
    }


def _train_audio_encoder(runs: Path, weights: Path, heard: Heard, steps: int | None) -> dict[str, Any]:
    from tpos_models.pocket.text import PocketText
    from tpos_models.training.audio.hearing import RECIPES, train_audio_encoder

    text = PocketText.load(weights if (weights / "text.json").exists() else WEIGHTS)
    net = train_audio_encoder(runs, weights, text, heard, RECIPES.of(steps) if steps else RECIPES)
    return _evaluate_audio_encoder(net, weights, text, heard.recordings)


def _evaluate_audio_encoder(
    net: AudioEncoderNet, weights: Path, text: TextSpace, sounds: Path | None, music: Path | None = None
) -> dict[str, Any]:
    """The hearing rows; of `sounds` only the recordings that the network was not trained on."""
    from tpos_models.training.audio.encoder import joint_of
    from tpos_models.training.audio.evaluation import evaluate_audio_encoder, evaluate_music, never_trained_on

    unheard = never_trained_on(read_record(weights / "hearing.json"), sounds) if sounds else []
    numbers = evaluate_audio_encoder(net, joint_of(text), unheard)
    return numbers | evaluate_music(net, joint_of(text), music) if music else numbers


def _train_pictures(runs: Path, weights: Path, steps: int | None) -> dict[str, Any]:
    from dataclasses import replace

    from tpos_models.training.pictures.pictures import CODEC, DRAWING, FINISH, SKETCH, train_pictures

    codec, sketch, drawing, finish = (replace(r, steps=steps) if steps else r for r in (CODEC, SKETCH, DRAWING, FINISH))
    train_pictures(runs, weights, (codec, sketch, drawing, finish))
    return {"steps": [recipe.steps for recipe in (codec, sketch, drawing, finish)]}
