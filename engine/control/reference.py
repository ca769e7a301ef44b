"""The reference of what can be sent, set and read back: `python -m engine.control.reference docs` writes it.

`docs/osc.md` and `docs/parameters.md` hold the tables as Markdown between two markers, `examples/touchdesigner` has
the same for a Table DAT; a test compares them with the code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from engine.control.addresses import ADDRESSES, Address
from engine.control.osc_status import ERROR, MASK, PREFIX, STATUS
from engine.control.parameters import PARAMETERS, to_control
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


def sent_table() -> str:
    """Every address that takes one value or is a button, for TouchDesigner: tab-separated, `par` names its parameter.

    Default and range are as OSC carries them. Rows of a number N are there once, for N = 1.
    """
    lines = [["par", "address", "type", "min", "max", "default", "choices", "group", "doc"]]
    for row in ADDRESSES:
        if "NAME" in row.path or sum(not argument.optional for argument in row.arguments) > 1:
            continue
        path, argument = row.at(1), row.arguments[0]
        parameter = _BY_ADDRESS.get(row.path)
        default = "" if parameter is None else to_control(parameter, parameter.default)
        bounds = [f"{argument.low:g}", f"{argument.high:.12g}"] if argument.kind in (Kind.FLOAT, Kind.INT) else ["", ""]
        kind = "button" if row.is_button else _WORDS[argument.kind]
        group = parameter.group if parameter else "show"
        told = int(default) if isinstance(default, bool) else default
        lines.append([_par(path), path, kind, *bounds, str(told), ",".join(argument.choices), group, row.doc])
    return "".join("\t".join(line) + "\n" for line in lines)


def reported_table() -> str:
    """Every report, for TouchDesigner: tab-separated, `channel` is the first one's name in an OSC In CHOP."""
    lines = [["channel", "address", "tags", "doc"]]
    lines += [[f"{PREFIX}{name}".strip("/"), f"{PREFIX}{name}", tags, doc] for name, tags, doc in (*STATUS, MASK)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _par(path: str) -> str:
    """A custom parameter's name in TouchDesigner: a capital, then small letters and digits only."""
    return "".join(letter for letter in path.removeprefix("/tpos/") if letter.isalnum()).capitalize()


_WORDS = {Kind.FLOAT: "float", Kind.INT: "int", Kind.TEXT: "text", Kind.SWITCH: "switch"}
_BY_ADDRESS = {parameter.address: parameter for parameter in PARAMETERS.values()}

PARTS: dict[str, Callable[[], str]] = {"osc": osc_tables, "parameters": parameter_table}
"""Name of the marker, and what stands behind it."""


TABLES: dict[str, Callable[[], str]] = {"addresses.tsv": sent_table, "reports.tsv": reported_table}
"""Files in examples/touchdesigner, and what they hold."""


def marked(text: str, name: str) -> str:
    """What stands between the marker of that name and the end; ValueError without them."""
    begin, end = _between(text, name)
    return text[begin:end]


def write(folder: Path) -> None:
    """Write every part anew into the page of its name, DOCS/NAME.md, and the tables beside DOCS."""
    for name, part in PARTS.items():
        page = folder / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        begin, end = _between(text, name)
        page.write_text(text[:begin] + part() + text[end:], encoding="utf-8")
    for name, table in TABLES.items():
        (folder.parent / "examples" / "touchdesigner" / name).write_text(table(), encoding="utf-8", newline="\n")


def _between(text: str, name: str) -> tuple[int, int]:
    marker = f"<!-- generated:{name} -->\n"
    begin = text.index(marker) + len(marker)
    return begin, text.index(END, begin)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
