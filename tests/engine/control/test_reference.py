"""The reference says everything that the code knows, once, and the pages that ship say the same."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from engine.control.addresses import ADDRESSES, parse
from engine.control.osc_status import MASK, STATUS, Status, status_values
from engine.control.parameters import PARAMETERS
from engine.control.reference import PARTS, TABLES, marked, osc_tables, parameter_table
from engine.control.show import Show

DOCS = Path(__file__).parents[3] / "docs"


def test_the_table_lists_every_address_and_every_report() -> None:
    lines = osc_tables().splitlines()
    for row in ADDRESSES:
        assert sum(line.startswith(f"| `{row.path}` |") for line in lines) == 1
    for name in (*status_values(Status(), 0), MASK[0]):
        assert sum(line.startswith(f"| `/tpos/status/{name}` |") for line in lines) == 1
    assert [name for name, _, _ in STATUS] == list(status_values(Status(), 0))
    assert all(line.replace("\\|", "").count("|") == 4 for line in lines if line)


def test_every_parameter_is_listed_with_its_default() -> None:
    lines = parameter_table().splitlines()
    for name, parameter in PARAMETERS.items():
        (line,) = (line for line in lines if line.startswith(f"| `{name}` |"))
        assert parameter.address in line
        assert line.replace("\\|", "").count("|") == 8


@pytest.mark.parametrize("name", PARTS)
def test_the_page_is_what_the_code_says(name: str) -> None:
    """`make docs` writes it anew."""
    assert marked((DOCS / f"{name}.md").read_text(encoding="utf-8"), name) == PARTS[name]()


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_for_touchdesigner_are_what_the_code_says(name: str) -> None:
    """`make docs` writes them anew."""
    assert (DOCS.parent / "examples" / "touchdesigner" / name).read_text(encoding="utf-8") == TABLES[name]()


def test_what_the_table_for_touchdesigner_says_can_be_sent() -> None:
    """Every row, as a script in TouchDesigner reads it: its default, its ends and its words are taken."""
    rows = list(csv.DictReader(TABLES["addresses.tsv"]().splitlines(), delimiter="\t"))
    assert {parameter.address for parameter in PARAMETERS.values()} < {row["address"] for row in rows}
    assert len({row["par"] for row in rows}) == len(rows)
    show = Show()
    for row in rows:
        assert re.fullmatch("[A-Z][a-z0-9]*", row["par"])
        kind = {"float": float, "int": int, "text": str, "switch": int, "button": int}[row["type"]]
        for text in filter(None, (row["default"], row["min"], row["max"], *row["choices"].split(","))):
            command, clamped = parse(row["address"], [kind(text)])
            assert not clamped
            if row["group"] != "show":
                show.apply(command)
