"""The reference of what can be sent, set and read back, as Markdown: `python -m engine.control.reference` writes it.

`docs/osc.md` and `docs/parameters.md` hold the tables between two markers; a test compares them with the code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from engine.control.addresses import ADDRESSES, Address
from engine.control.osc_status import ERROR, MASK, PREFIX, STATUS
from engine.control.parameters import PARAMETERS
from engine.core.parameters import Kind, Parameter

END = "<!-- end -->"


def osc_tables() -> str:
    """Everything that can be sent, and everything that is reported."""
    bar = "\\|"
    rows = ["| Send | Arguments | What it does |", "|---|---|---|"]
    rows += [f"| `{row.path}` | {_arguments(row)} | {row.doc.replace('|', bar)} |" for row in ADDRESSES]
    rows += ["", "| Reported ten times a second | Arguments | What it says |", "|---|---|---|"]
    rows += [f"| `{PREFIX}{name}` | `{tags}` | {doc} |" for name, tags, doc in (*STATUS, MASK)]
    rows += [f"| `{ERROR}` | `s s s` | On trouble, to the sender: address, what is wrong, what is accepted. |"]
    return "\n".join(rows) + "\n"


def _arguments(row: Address) -> str:
    cells = []
    for a in row.arguments:
        text = f"{a.kind} {a.name}"
        if a.choices:
            text += " " + "\\|".join(a.choices)
        elif a.words:
            text += f" {','.join(a.words)}"
        elif a.kind in (Kind.FLOAT, Kind.INT):
            text += f" {a.low:g}..{a.high:.12g}"
        cells.append(f"`[{text}]`" if a.optional else f"`{text}`")
    return " ".join(cells)


def parameter_table() -> str:
    """Every parameter: its values, its default, and where it can be set."""
    rows = [
        "| Parameter | Values | Default | Preset key | Option | OSC | What it does |",
        "|---|---|---|---|---|---|---|",
    ]
    for parameter in PARAMETERS.values():
        preset = "" if not parameter.preset else "also in cues" if parameter.cue else "yes"
        option = f"`--{parameter.flag}`" if parameter.option else ""
        cells = (
            f"`{parameter.name}`",
            _values(parameter),
            _spelled(parameter.default),
            preset,
            option,
            f"`{parameter.address}`",
            parameter.doc,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _values(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(parameter.choices)
    if parameter.words:
        return f"some of {','.join(parameter.words)}"
    if parameter.kind in (Kind.SWITCH, Kind.TEXT):
        return "on, off" if parameter.kind is Kind.SWITCH else "text"
    return f"{parameter.low:g}..{parameter.high:.12g} {parameter.unit}".rstrip()


def _spelled(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:g}" if isinstance(default, float) else str(default)


PARTS: dict[str, Callable[[], str]] = {"osc": osc_tables, "parameters": parameter_table}
"""Name of the marker, and what stands behind it."""


def marked(text: str, name: str) -> str:
    """What stands between the marker of that name and the end; ValueError without them."""
    begin, end = _between(text, name)
    return text[begin:end]


def write(folder: Path) -> None:
    """Write every part anew into the page of its name, DOCS/NAME.md."""
    for name, part in PARTS.items():
        page = folder / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        begin, end = _between(text, name)
        page.write_text(text[:begin] + part() + text[end:], encoding="utf-8")


def _between(text: str, name: str) -> tuple[int, int]:
    marker = f"<!-- generated:{name} -->\n"
    begin = text.index(marker) + len(marker)
    return begin, text.index(END, begin)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
