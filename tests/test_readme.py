"""What the README and the pages of docs/ promise is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.commands import app
from engine.control.midi import maps
from engine.control.presets import available, parse
from engine.outputs.venue import venue

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (README, ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*.md")))
}
LONGEST_README = 130
COMMANDS = [
    pytest.param(line, id=f"{page}: {' '.join(line.partition('#')[0].split())}")
    for page, text in PAGES.items()
    for line in re.findall(r"^tpos .*", text, re.MULTILINE)
]


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", PAGES)
def test_presets_midi_maps_and_venues_in_it_are_valid(page):
    for text in re.findall(r"```toml\n(.*?)```", PAGES[page], re.DOTALL):
        if page == "docs/midi.md":
            maps.parse(text, page)
        elif "[outputs." in text:
            venue.parse(text, page)
        else:
            parse(text, page, folder=ROOT / "examples")


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_and_their_options_exist(line):
    words = line.partition("#")[0].split()[1:]
    names = [word for word in words[:2] if word.replace("-", "").isalpha()]
    command = names if names[0] in ("sessions", "models") else names[:1]
    shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=200)
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", shown.output), option


@pytest.mark.parametrize("page", PAGES)
def test_its_pictures_and_links_are_there(page):
    text = PAGES[page]
    for target, anchor in re.findall(r"\]\(((?!http)[^)#]*)(#[^)]*)?\)", text):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor.lstrip("#") in _anchors(path), f"{target}{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_files_it_names_are_there(page):
    named = re.findall(r"`((?:engine|export|tpos_models|tests|presets|docs|examples)/[\w/.]+)`", PAGES[page])
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_reachable_from_the_readme():
    linked = set(re.findall(r"\((docs/[\w-]+\.md)", PAGES["README.md"]))
    assert {page for page in PAGES if page.startswith("docs/")} == linked


@pytest.mark.parametrize("page", PAGES)
def test_presets_it_names_exist(page):
    named = re.findall(r"--preset ([\w./]+)", PAGES[page])
    known = {*available(), "NAME", "lake"}  # lake is the reader's own
    assert [name for name in named if name not in known and not (ROOT / name).is_file()] == []


def _anchors(path: Path) -> set[str]:
    """What a Markdown page's headings can be linked by."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
