"""The import arrows of the packages, also those inside functions, hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "tpos_models": {"tpos_models"},
    "export": {"export", "tpos_models"},
    "engine": {"engine", "export", "tpos_models", "presets"},
}
OURS = {"engine", "export", "tpos_models", "presets", "tests"}


def imports(path: Path) -> set[str]:
    """Top-level names of every module a file imports, anywhere in it; relative imports are refused."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): bad for path in files if (bad := (imports(path) & OURS) - ALLOWED[package])}
    assert not wrong


def test_models_know_nothing_of_the_stage():
    """No threads, windows, sound cards or sockets in the networks' package."""
    stage = {"threading", "pyglet", "sounddevice", "pythonosc", "socket"}
    wrong = {str(path): bad for path in (ROOT / "tpos_models").rglob("*.py") if (bad := imports(path) & stage)}
    assert not wrong


def test_an_arrow_hidden_in_a_function_is_found(tmp_path):
    sneaky = tmp_path / "sneaky.py"
    sneaky.write_text("def f():\n    from engine.app.live import Live\n    return Live\n")
    assert "engine" in imports(sneaky)
