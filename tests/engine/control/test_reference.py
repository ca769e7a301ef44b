"""The reference says everything that the code knows, once, and the pages that ship say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.control.addresses import ADDRESSES
from engine.control.osc_status import MASK, STATUS, Status, status_values
from engine.control.parameters import PARAMETERS
from engine.control.reference import PARTS, marked, osc_tables, parameter_table

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
