"""What the README promises is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app
from engine.control.osc import osc_table_markdown
from engine.control.presets import available, parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def between(start: str, end: str) -> str:
    return README.partition(start)[2].partition(end)[0]


def test_the_osc_table_is_the_codes_own():
    assert between("tests/test_readme.py -->\n", "\n<!-- end of osc table") == osc_table_markdown().rstrip("\n")


def test_its_preset_is_valid():
    parse(between("```toml\n", "```"), "readme")


@pytest.mark.parametrize("line", re.findall(r"^tpos .*", README, re.MULTILINE))
def test_its_commands_and_options_exist(line):
    words = line.partition("#")[0].split()[1:]
    names = [word for word in words[:2] if word.replace("-", "").isalpha()]
    command = names if names[0] in ("sessions", "models") else names[:1]
    shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=200)
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("-")):
        assert option in shown.output


def test_its_pictures_and_links_are_there():
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_presets_it_names_exist():
    named = set(re.findall(r"--preset (\w+)", README)) - {"NAME"}
    assert named <= set(available())
