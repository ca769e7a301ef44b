"""The house holds: imports point down (those inside functions too), no files in a circle, nothing grows too large.

`docs/architecture.md` draws what is written here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("tpos_models", "export", "engine", "presets")
FLOORS = (
    ("tpos_models",),
    ("export",),
    ("presets",),
    ("engine.core",),
    ("engine.audio", "engine.inputs"),
    ("engine.render", "engine.inference", "engine.control"),
    ("engine.outputs", "engine.recording", "engine.remote"),
    ("engine.app",),
    ("engine.bench",),
    ("engine.cli",),
)
"""From the ground up; a room imports from floors below it, and rooms of one floor do not know each other."""
MOST_FILES, MOST_LINES, MOST_FUNCTION_LINES = 20, 350, 50


def modules(folder: Path = ROOT) -> dict[str, Path]:
    """Every module of the packages by its name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((folder / package).rglob("*.py")):
            name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Every module of ours that a file imports, anywhere in it; relative imports are refused."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known or node.module in known:
                    yield whole if whole in known else str(node.module)


def room(module: str) -> str:
    """The room a module lies in: a package, or one of the engine's folders."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "engine" and len(parts) > 1 else parts[0]


def climbs(module: str, imported: str) -> bool:
    """Whether an import points up, or across to a neighbour."""
    here, there = room(module), room(imported)
    if "engine" in (here, there):
        return here == "engine" and there != "engine"  # the package itself holds the version, and knows no room
    floor = {name: number for number, rooms in enumerate(FLOORS) for name in rooms}
    return here != there and floor[there] >= floor[here]


def graph(folder: Path = ROOT) -> dict[str, set[str]]:
    known = modules(folder)
    return {name: set(imports(path, known)) - {name} for name, path in known.items()}


def test_no_import_climbs():
    assert not [(name, other) for name, found in graph().items() for other in found if climbs(name, other)]


def test_no_files_lie_in_a_circle():
    TopologicalSorter(graph()).prepare()


def test_every_room_of_the_engine_has_its_floor():
    rooms = {path.name for path in (ROOT / "engine").iterdir() if (path / "__init__.py").exists()}
    assert {f"engine.{name}" for name in rooms} == {name for floor in FLOORS for name in floor if "engine." in name}


def test_models_know_nothing_of_the_stage():
    """No threads, windows, sound cards or sockets in the networks' package."""
    stage = {name: ROOT for name in ("threading", "pyglet", "sounddevice", "pythonosc", "socket")}
    wrong = {str(path): bad for path in (ROOT / "tpos_models").rglob("*.py") if (bad := set(imports(path, stage)))}
    assert not wrong


def written() -> list[Path]:
    """Every Python file that is ours, tests and examples included."""
    tops = (*PACKAGES, "tests", "examples")
    return [path for top in tops for path in sorted((ROOT / top).rglob("*.py"))]


def test_files_are_read_in_a_few_screens():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in written()}
    assert not {path: lines for path, lines in lengths.items() if lines > MOST_LINES}


def test_a_function_does_one_thing():
    long = {}
    for path in written():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert not long


def test_a_folder_tells_its_story():
    folders = {path for top in (*PACKAGES, "tests", "docs", "examples") for path in (ROOT / top).rglob("*")}
    folders = {path for path in folders if path.is_dir() and "__pycache__" not in path.parts}
    counts = {str(folder.relative_to(ROOT)): sum(p.is_file() for p in folder.iterdir()) for folder in folders}
    assert not {folder: count for folder, count in counts.items() if count > MOST_FILES}


def test_the_drawing_of_the_house_names_every_file_and_no_other():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = re.sub(r"\([^)]*\)|\S*/", " ", page.partition("## Rooms")[2].split("```")[1])
    files = {path.stem for name, path in modules().items() if not path.stem.startswith("__")}
    assert set(re.findall(r"\w+", drawing)) == files


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("engine/core/a.py", "def f():\n    from engine.audio import b\n    return b\n"),
        ("engine/audio/b.py", "from engine.core import a\n"),
    ],
)
def test_an_arrow_hidden_in_a_function_is_found(tmp_path: Path, file: str, line: str):
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    for name in ("core/a.py", "audio/b.py"):
        path = tmp_path / "engine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line if f"engine/{name}" == file else "")
    found = [(name, other) for name, others in graph(tmp_path).items() for other in others if climbs(name, other)]
    assert bool(found) == (file == "engine/core/a.py")


def test_a_circle_is_found(tmp_path: Path):
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / "export" / "a.py").write_text("from export import b\n")
    (tmp_path / "export" / "b.py").write_text("def f():\n    import export.a\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph(tmp_path)).prepare()
