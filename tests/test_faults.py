"""The list of hand-made faults fits the code, and the runner tells a caught fault from a missed one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import faults
import pytest

FAULTS = faults.read_faults(faults.ROOT / faults.LIST)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_can_be_made_and_its_tests_exist(fault: faults.Fault) -> None:
    assert fault.trouble(faults.ROOT) == ""
    for test in fault.tests:
        file, *names = test.split("::")
        assert not names or names[-1].split("[")[0] in (faults.ROOT / file).read_text("utf-8")


CAUGHT = """
[[fault]]
file = "double.py"
old = "2 * x"
new = "3 * x"
tests = ["test_double.py"]
"""
MISSED = CAUGHT.replace("3 * x", "x + x")
ARGUED = MISSED.replace('tests = ["test_double.py"]', 'argued = "the same number"')
BROKEN = CAUGHT.replace("2 * x", "x")
TEST = """
import sys
sys.path.insert(0, '.')
from double import double

def test_it():
    assert double(2) == 4
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with a list of faults."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "double.py").write_text("def double(x):\n    return 2 * x  # x\n")
    (tmp_path / "test_double.py").write_text(TEST)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "faults.toml").write_text(CAUGHT + ARGUED + MISSED + BROKEN)
    return tmp_path


def test_the_runner_tells_them_apart(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.main(["--only", "2"], project) == 0
    assert faults.main([], project) == 1
    out = capsys.readouterr().out
    assert "1 caught, 1 argued, 1 NOT CAUGHT, 1 BROKEN ENTRY" in out
    assert "stands 3 times in double.py" in out
    assert "2 * x" in (project / "double.py").read_text()


def test_tests_that_fail_without_a_fault_tell_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "double.py").write_text("def double(x):\n    return 2 * x + 1  # x\n")
    assert faults.main(["--only", "1"], project) == 2
    assert "fail without any fault" in capsys.readouterr().out
