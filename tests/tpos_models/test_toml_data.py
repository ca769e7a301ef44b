"""The data files that ship with the models: whole, in the wheel, and refused in one line where they are broken."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import tpos_models
from tpos_models.errors import MissingFileError, ModelError
from tpos_models.pocket.captions import words
from tpos_models.pocket.world import places
from tpos_models.toml_data import read_toml
from tpos_models.training.text import heldout

PACKAGE = Path(tpos_models.__file__).parent
FILES = sorted(PACKAGE.rglob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_data_file_is_toml_and_goes_into_the_wheel(path: Path) -> None:
    assert tomllib.loads(path.read_text(encoding="utf-8"))
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    assert any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)
    assert (path.parent / "__init__.py").is_file(), "setuptools takes data from packages only"


def test_the_files_say_what_they_are_read_as() -> None:
    said = words.CONDITION_WORDS["fog"].nouns
    assert (said["fog"], said["mist"], words.PLACE_WORDS["campfire"][0]) == (0.8, 0.6, ("campfire", {"fire": 0.6}))
    assert words.TINT_WORDS["gold"] == words.TINT_WORDS["yellow"] == (0.6, 0.4, -0.5)
    desert = places.load_places()["desert"]
    assert (desert.colours[0], desert.amounts["dunes"], desert.amounts["palm"]) == ("#e9a35f", 1.0, 0.0)
    assert len(heldout.PROMPTS) == 216
    hurricane = next(row for row in heldout.PROMPTS if row.prompt == "a hurricane hits the coast")
    assert hurricane.places == ("beach",)
    assert (hurricane.conditions, hurricane.tolerated) == ({"wind"}, {"rain", "waves", "thunder"})


BROKEN: list[tuple[Callable[[Path], object], str, str, str]] = [
    (words.load_places, "places.toml", "beach =", "bench ="),
    (words.load_places, "places.toml", "bonfire+fire:0.8", "bonfire+fir:0.8"),
    (words.load_places, "places.toml", "bonfire+fire:0.8", "bonfire+fire:hot"),
    (words.load_conditions, "conditions.toml", "nouns =", "names ="),
    (words.load_conditions, "conditions.toml", "haze=0.5", "haze=thick"),
    (words.load_conditions, "conditions.toml", "[aurora]", "[auroras]"),
    (words.load_phrases, "phrases.toml", "thunder = 0.9", "thundr = 0.9"),
    (words.load_phrases, "phrases.toml", "volcano = 1.0", 'volcano = "much"'),
    (words.load_phrases, "phrases.toml", "styles =", "style ="),
    (places.load_places, "places.toml", "#86a7b3", "#86a7b"),
    (places.load_places, "places.toml", "palm = 1.0", "plam = 1.0"),
    (places.load_places, "places.toml", "[desert]", "[dessert]"),
    (places.load_places, "places.toml", '"#86a7b3", ', ""),
    (heldout.load_prompts, "heldout.toml", '"beach", "waves"', '"baech", "waves"'),
    (heldout.load_prompts, "heldout.toml", '"beach", "waves"', '"beach", "wave"'),
    (heldout.load_prompts, "heldout.toml", '"beach", "waves"', '"beach"'),
]


@pytest.mark.parametrize(("load", "name", "old", "new"), BROKEN)
def test_a_broken_file_is_one_line_that_names_it(
    load: Callable[[Path], object], name: str, old: str, new: str, tmp_path: Path
) -> None:
    folder = {words.__name__: "pocket/captions", places.__name__: "pocket/world", heldout.__name__: "training/text"}
    text = (PACKAGE / folder[load.__module__] / name).read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / name
    broken.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelError, match=f"{name}: ") as caught:
        load(broken)
    assert "\n" not in str(caught.value)


def test_what_is_no_toml_and_what_is_absent_are_told_apart(tmp_path: Path) -> None:
    for data in (b"beach = \xff", b"beach = ["):
        (tmp_path / "a.toml").write_bytes(data)
        with pytest.raises(ModelError, match=r"a\.toml"):
            read_toml(tmp_path / "a.toml", dict[str, str])
    with pytest.raises(MissingFileError, match=r"b\.toml"):
        read_toml(tmp_path / "b.toml", dict[str, str])
