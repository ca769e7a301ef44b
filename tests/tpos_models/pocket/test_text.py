"""The text space on its shipped weights: what prompts mean, and that no text breaks it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import tpos_models.pocket as pocket
from tpos_models.errors import InputError, ModelError
from tpos_models.pocket.scene import (
    CONDITION,
    CONDITIONS,
    PLACE,
    PLACES,
    SCENE_SIZE,
    TINTS,
    TOKEN_SIZE,
    TOKENS,
    from_tokens,
    to_tokens,
)
from tpos_models.pocket.text import (
    JOINT_SIZE,
    MAX_WORDS,
    PADDING,
    PocketText,
    Vocabulary,
    scenes_of,
    split_words,
)
from tpos_models.training.text.text import evaluate_text, shown

WEIGHTS = Path(pocket.__file__).parent / "weights"
VOCABULARY = Vocabulary(["", "beach", "city", "fire", "skyscraper", "storm", "thunder", "##ier", "zz"], ["thunder"])


@pytest.fixture(scope="module")
def text() -> PocketText:
    return PocketText.load(WEIGHTS)


def strength(text: PocketText, prompt: str, condition: str) -> float:
    return float(text.scenes([prompt])[0, CONDITION.start + CONDITIONS.index(condition)])


def weight(text: PocketText, prompt: str, place: str) -> float:
    return float(text.scenes([prompt])[0, PLACE.start + PLACES.index(place)])


def test_empty_prompt_is_exactly_the_unconditional_branch(text: PocketText) -> None:
    for prompt in ("", "   ", "\n\t"):
        assert torch.equal(text.encode([prompt]).tokens[0], to_tokens(torch.zeros(SCENE_SIZE)))


def test_shapes_and_ranges(text: PocketText) -> None:
    answer = text.encode(["a beach in the rain", "", "red forest", "neon city"])
    assert answer.tokens.shape == (4, TOKENS, TOKEN_SIZE)
    assert answer.joint.shape == (4, JOINT_SIZE)
    torch.testing.assert_close(answer.joint.norm(dim=-1), torch.ones(4))
    scenes = from_tokens(answer.tokens)
    torch.testing.assert_close(scenes, text.scenes(["a beach in the rain", "", "red forest", "neon city"]))
    assert float(scenes[:, : CONDITION.stop].min()) > -1e-5
    assert float(scenes[:, PLACE].sum(-1).max()) < 1.0001
    assert text.encode([]).tokens.shape == (0, TOKENS, TOKEN_SIZE)


def test_held_out_prompts(text: PocketText) -> None:
    measured = evaluate_text(text)
    bars = {"place": 0.9, "conditions": 0.9, "place_test": 0.9, "conditions_test": 0.9, "negation": 0.9}
    assert {name: measured[name] for name, bar in bars.items() if measured[name] < bar} == {}
    assert measured["paraphrase"] >= 0.85


@pytest.mark.parametrize("place", PLACES)
def test_every_place_has_its_name(text: PocketText, place: str) -> None:
    assert shown(text.scenes([place.replace("_", " ")])[0])[0] == place


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_has_its_name(text: PocketText, condition: str) -> None:
    assert condition in shown(text.scenes([condition])[0])[1]
    assert condition in shown(text.scenes([f"mountains, {condition}"])[0])[1]


def test_plain_prompts_stay_clean(text: PocketText) -> None:
    scene = text.scenes(["a beach"])[0]
    assert int((scene != 0).sum()) == 1
    assert weight(text, "a beach", "beach") == pytest.approx(1.0)


@pytest.mark.parametrize("condition", ["rain", "snow", "wind", "fog", "fire"])
def test_light_is_less_than_heavy(text: PocketText, condition: str) -> None:
    light, plain, heavy = (strength(text, f"{word} {condition}".strip(), condition) for word in ("light", "", "heavy"))
    assert 0 < light < plain < heavy


@pytest.mark.parametrize(
    ("prompt", "absent"),
    [
        ("a city with no rain", "rain"),
        ("forest without fire", "fire"),
        ("mountains, no snow", "snow"),
        ("not snow but rain", "snow"),
        ("a lake without any fog", "fog"),
        ("the park, neither wind nor rain", "wind"),
        ("a forest, fireless", "fire"),
        ("a fog-free city", "fog"),
        ("a lake, less fog", "fog"),
        ("the beach, everything but rain", "rain"),
        ("stop the rain", "rain"),
        ("remove the fire", "fire"),
        ("dont show fire", "fire"),
        ("I don’t want snow", "snow"),
    ],
)
def test_negation(text: PocketText, prompt: str, absent: str) -> None:
    assert strength(text, prompt, absent) == 0.0
    assert strength(text, absent, absent) > 0.4


@pytest.mark.parametrize("prompt", ["no fog, rain or snow", "without rain and fog", "a city with no rain, fog or fire"])
def test_of_what_is_listed_as_absent_nothing_shows(text: PocketText, prompt: str) -> None:
    assert shown(text.scenes([prompt])[0])[1] == frozenset()


@pytest.mark.parametrize(
    ("prompt", "conditions"),
    [("nothing but rain", {"rain"}), ("more fog", {"fog"}), ("rain, fog or snow", {"rain", "fog", "snow"})],
)
def test_what_only_looks_like_a_negation_shows(text: PocketText, prompt: str, conditions: set[str]) -> None:
    assert shown(text.scenes([prompt])[0])[1] == conditions


def test_not_this_but_that_keeps_that(text: PocketText) -> None:
    assert strength(text, "not snow but rain", "rain") > 0.4


def test_word_order_does_not_matter_where_it_should_not(text: PocketText) -> None:
    for prompt in ("fire on the beach", "beach on fire", "a burning beach"):
        assert shown(text.scenes([prompt])[0]) == ("beach", {"fire"})


@pytest.mark.parametrize(
    ("prompt", "conditions"),
    [("tsunami", {"waves"}), ("blizzard", {"snow"}), ("inferno", {"fire"}), ("monsoon", {"rain"}), ("🔥", {"fire"})],
)
def test_unknown_words_and_emoji_land_near_known_ones(text: PocketText, prompt: str, conditions: set[str]) -> None:
    assert conditions <= shown(text.scenes([prompt])[0])[1]


@pytest.mark.parametrize(
    ("prompt", "place"),
    [
        ("skyscrapers", "city"),
        ("🌋", "volcano"),
        ("montains", "mountains"),
        ("liquid metal", "ink"),
        ("acid tunnel", "tunnel"),
    ],
)
def test_places_by_other_names(text: PocketText, prompt: str, place: str) -> None:
    assert shown(text.scenes([prompt])[0])[0] == place


def test_colours_tint(text: PocketText) -> None:
    red, _, blue = text.scenes(["a beach in crimson light"])[0, TINTS].tolist()
    assert red > 0.3 > blue
    assert text.scenes(["a beach"])[0, TINTS].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("prompt", "place", "strongest"),
    [
        ("red forest", "forest", "red"),
        ("a blue galaxy", "galaxy", "blue"),
        ("a green neon tunnel", "tunnel", "green"),
        ("red ink swirling at night", "ink", "red"),
        ("red", "", "red"),
        ("all blue", "", "blue"),
    ],
)
def test_a_colour_tints_what_it_stands_before(text: PocketText, prompt: str, place: str, strongest: str) -> None:
    scene = text.scenes([prompt])[0]
    tint = dict(zip(("red", "green", "blue"), scene[TINTS].tolist(), strict=True))
    assert shown(scene)[0] == place
    assert max(tint, key=lambda name: tint[name]) == strongest
    assert tint[strongest] > 0.4 > 0 > min(tint.values())


@pytest.mark.parametrize("prompt", ["a blue ice cave", "a green meadow", "a red car in the city", "white mountains"])
def test_what_has_its_colour_anyway_is_not_tinted(text: PocketText, prompt: str) -> None:
    assert text.scenes([prompt])[0, TINTS].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("prompt", "place"), [("vapor wave", "retrowave"), ("synth wave", "retrowave"), ("heaven", "")]
)
def test_words_that_sound_like_others_are_read_as_themselves(text: PocketText, prompt: str, place: str) -> None:
    found, conditions = shown(text.scenes([prompt])[0])
    assert (found, conditions & {"waves", "fire"}) == (place, frozenset())


@pytest.mark.parametrize(
    "prompt",
    [
        "beach " * 10_000,
        "word" * 20_000,
        "海辺の火",
        "пляж ночью",
        "\x00\x07\u202e\ufeff",
        "😀" * 500,
        "\ud800",
        "%s{}{0}",
        "1 2 3",
        "a" * 64,
    ],
    ids=[
        "10000 words",
        "one long word",
        "japanese",
        "cyrillic",
        "control",
        "emoji",
        "surrogate",
        "format",
        "digits",
        "a",
    ],
)
def test_any_text_is_answered(text: PocketText, prompt: str) -> None:
    answer = text.encode([prompt])
    assert torch.isfinite(answer.tokens).all()
    torch.testing.assert_close(answer.joint.norm(dim=-1), torch.ones(1))


def test_ten_thousand_words_of_one_place_show_it(text: PocketText) -> None:
    assert weight(text, "beach " * 10_000, "beach") > 0.5


def test_unrelated_prompts_show_nothing(text: PocketText) -> None:
    for prompt in ("a cup of coffee", "tax form", "two cats on a sofa"):
        assert shown(text.scenes([prompt])[0]) == ("", frozenset())


def test_a_prompt_does_not_depend_on_its_neighbours(text: PocketText) -> None:
    fresh = PocketText.load(WEIGHTS)
    together = fresh.encode(["rain", "a very long prompt about a beach with fire and wind", "night"])
    assert torch.equal(together.tokens[2], text.encode(["night"]).tokens[0])
    assert torch.equal(together.joint[2], text.encode(["night"]).joint[0])


def test_padding_changes_nothing(text: PocketText) -> None:
    short, padded = text.vocabulary.batch(["rain"]), text.vocabulary.batch(["rain", "one two three four"])[:1]
    torch.testing.assert_close(scenes_of(text.net(short)), scenes_of(text.net(padded)), rtol=1e-4, atol=1e-4)


def test_the_ten_names_and_paraphrases_in_the_joint_space(text: PocketText) -> None:
    names = [
        "baby cry",
        "chainsaw",
        "clock tick",
        "dog bark",
        "fire crackling",
        "helicopter",
        "rain",
        "rooster",
        "sea waves",
        "sneeze",
    ]
    joint = text.joint(names)
    between = joint @ joint.T - 2 * torch.eye(len(names))
    assert float(between.max()) < 0.75
    others = ["barking dog", "campfire", "someone sneezing", "heavy rain"]
    nearest = (text.joint(others) @ joint.T).argmax(-1).tolist()
    assert [names[i] for i in nearest] == ["dog bark", "fire crackling", "sneeze", "rain"]


def test_words_are_split() -> None:
    assert split_words("Don't STOP, the rain's café; 4k") == [
        "do",
        "not",
        "stop",
        ",",
        "the",
        "rain",
        "cafe",
        ",",
        "4k",
    ]
    assert split_words("🌊") == ["water", "wave"]
    assert split_words("dont, couldn’t, wont") == ["do", "not", ",", "could", "not", ",", "wont"]


@pytest.mark.parametrize(
    ("word", "entries"),
    [
        ("skyscrapers", ["skyscraper"]),
        ("thunfer", []),
        ("thunderr", ["thunder"]),
        ("firestorm", ["fire", "storm"]),
        ("cityier", ["city", "##ier"]),
        ("qqq", []),
    ],
)
def test_unknown_words_fall_back(word: str, entries: list[str]) -> None:
    assert [VOCABULARY.entries[i] for i in VOCABULARY.ids(word)] == entries


def test_ids_are_bounded() -> None:
    assert len(VOCABULARY.ids("beach " * 500)) == MAX_WORDS
    assert VOCABULARY.batch(["", "beach city"]).tolist() == [[PADDING, PADDING], [1, 2]]


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        PocketText.load(tmp_path)
    for file in ("text.safetensors", "text.json"):
        shutil.copy(WEIGHTS / file, tmp_path)
    record = json.loads((tmp_path / "text.json").read_text())
    (tmp_path / "text.json").write_text(json.dumps({**record, "vocabulary": "two words"}))
    with pytest.raises(ModelError, match="weights do not fit"):
        PocketText.load(tmp_path)
    (tmp_path / "text.json").write_text(json.dumps({"sha256": record["sha256"]}))
    with pytest.raises(ModelError, match="vocabulary"):
        PocketText.load(tmp_path)
