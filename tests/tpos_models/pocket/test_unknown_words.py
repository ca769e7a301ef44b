"""Words that `pocket` does not know are named, with the nearest thing that it draws; what it knows is not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch

import presets
from tpos_models.contracts import UnknownWord
from tpos_models.errors import ModelError
from tpos_models.pocket import unknown_words
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.scene import CONDITIONS, PLACES
from tpos_models.pocket.text import PocketText
from tpos_models.stable_diffusion import open_text

DRAWABLE = {name.replace("_", " ") for name in (*PLACES, *CONDITIONS)}


@pytest.fixture(scope="module")
def text() -> PocketText:
    return PocketText.load(WEIGHTS)


def shipped_prompts() -> list[str]:
    """Every prompt, and every `show` of a rule, of the shipped presets."""
    found: list[str] = []

    def collect(value: object, key: str = "") -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                collect(inner, name)
        elif isinstance(value, list):
            for inner in value:
                collect(inner, key)
        elif isinstance(value, str) and key in ("prompts", "text", "show"):
            found.append(value)

    for path in sorted(Path(presets.__file__).parent.glob("*.toml")):
        collect(tomllib.loads(path.read_text(encoding="utf-8")))
    return found


def test_a_cat_is_named_with_something_that_is_drawn(text: PocketText) -> None:
    (found,) = text.unknown("a cat")
    assert found.word == "cat"
    assert found.nearest in DRAWABLE
    assert found.line("pocket") == f'pocket does not draw "cat"; nearest: "{found.nearest}"'
    assert UnknownWord("xyzzy", "").line("pocket") == 'pocket does not draw "xyzzy"'


def test_words_of_other_languages_are_translated(text: PocketText) -> None:
    assert text.unknown("ein Wald im Nebel") == (UnknownWord("wald", "forest"), UnknownWord("nebel", "fog"))
    assert text.unknown("Die Straße bei Nacht") == (UnknownWord("strasse", "city"), UnknownWord("nacht", "night"))
    assert text.unknown("sous la pluie") == (UnknownWord("pluie", "rain"),)
    assert text.unknown("Am See, bei der Höhle") == (UnknownWord("see", "lake"), UnknownWord("hohle", "ice cave"))
    assert text.unknown("in my dream see a cave") == ()


def test_no_word_of_another_language_is_guessed_at(text: PocketText) -> None:
    prompt = "una fuente en el bosque, una azotea, tormenta y el río"
    hints = {"fuente": "fountain", "bosque": "forest", "azotea": "rooftop", "tormenta": "thunder", "rio": "lake"}
    assert {one.word: one.nearest for one in text.unknown(prompt)} == hints
    assert not text.scenes(["una fuente en el bosque, una azotea, tormenta"]).any()
    assert not text.scenes(["Höhle"]).any()


def test_no_english_word_that_is_drawn_counts_as_foreign(text: PocketText) -> None:
    assert unknown_words.foreign_words() & set(text.vocabulary.domain) == set()
    assert text.unknown("the summer, an ocean, a prairie, Rio de Janeiro") == ()


@pytest.mark.parametrize(
    ("prompt", "nearest"),
    [("a horse", "meadow"), ("an airport", "city"), ("a whale and a train", "city"), ("kitchenware", None)],
)
def test_the_nearest_is_near_in_meaning(text: PocketText, prompt: str, nearest: str | None) -> None:
    found = text.unknown(prompt)
    assert found[-1].nearest == nearest if nearest else {one.nearest for one in found} <= DRAWABLE | {""}


@pytest.mark.parametrize(
    "prompt",
    [
        "a beach at sunset",
        "heavy rain over a city at night",
        "forrest in the fogg",  # misspelt is understood
        "New York in the rain",  # each word alone may mean nothing
        "a dog park",  # a phrase of the vocabulary, though a dog is nothing
        "an oil painting of a beautiful quiet forest, 4k, cinematic, by van gogh",
        "no rain, but never without wind",
        "two slowly drifting red clouds",
        "the of in a",
        "",
        "🔥🌊",
        "猫",
        "12345 , , ;",
    ],
)
def test_what_is_understood_or_is_no_thing_is_not_named(text: PocketText, prompt: str) -> None:
    assert text.unknown(prompt) == ()


def test_a_word_is_named_once_in_its_order_beside_what_is_known(text: PocketText) -> None:
    found = text.unknown("a robot in the rain, a cat in the forest, the robot")
    assert [one.word for one in found] == ["robot", "cat"]


def test_the_shipped_presets_ask_for_nothing_that_is_not_drawn(text: PocketText) -> None:
    prompts = shipped_prompts()
    assert len(prompts) > 100
    assert {prompt: found for prompt in prompts if (found := text.unknown(prompt))} == {}


@pytest.mark.parametrize(
    "prompt",
    ["a cat in a forest at night", "a house by the lake", "a violin on the beach", "lonely wizard in deep snow"],
)
def test_every_named_word_leaves_the_picture_as_it_is(text: PocketText, prompt: str) -> None:
    """By the scene itself: what is said not to be drawn may be left out of the prompt."""
    found = {one.word for one in text.unknown(prompt)}
    rest = " ".join(word for word in prompt.split() if word not in found)
    shown, left = (text.scenes([said])[0] >= 0.2 for said in (prompt, rest))
    assert torch.equal(shown, left)


def test_nothing_in_a_prompt_makes_it_fail(text: PocketText) -> None:
    for prompt in ("x" * 5000, "cat " * 500, "\x00\ud800", "##uer ##ne", "'" * 40, "A-B-C/D_e"):
        assert isinstance(text.unknown(prompt), tuple)


def test_stable_diffusion_is_taken_to_know_every_word() -> None:
    assert open_text("random:tiny-sd15").unknown("a cat, ein Wald") == ()


def test_a_translation_of_something_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "hints.toml"
    broken.write_text(unknown_words.FILE.read_text(encoding="utf-8").replace("\nforest =", "\nforrest ="), "utf-8")
    with pytest.raises(ModelError, match=r"hints\.toml: no such name: forrest"):
        unknown_words.load_hints(broken)
