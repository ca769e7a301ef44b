"""Faults made by hand, and the tests that must see them: `python tests/support/faults.py [--only N ...]`.

`tests/faults.toml` lists them. Each is put into a copy of the tree, and the tests named beside it are run there: one
that fails has caught the fault. A list of faults is a test of the tests; it is run by whoever changes either.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path("tests/faults.toml")
_LONGEST_S = 300.0
_NO_CACHE = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
"""Compiled files are told apart by second and size: too coarse for faults that come and go."""
_PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:rerunfailures")
"""No second try, and nothing that takes longer to start than most tests to run."""
_TESTS_FAILED = 1  # pytest's exit codes; others are about the run, not about the code
_ALL_PASSED = 0


@dataclass(frozen=True)
class Fault:
    """One change of one file: `old`, which stands there exactly once, becomes `new`; `tests` are pytest's node ids.

    `argued` says why no test can tell the difference, where that is so.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    argued: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {_short(self.old)} -> {_short(self.new)}"

    def trouble(self, root: Path) -> str:
        """What is wrong with this entry for the tree at `root`, empty if nothing."""
        path = root / self.file
        count = path.read_text("utf-8").count(self.old) if path.is_file() else 0
        if count != 1:
            return f"{self.old!r} stands {count} times in {self.file}; once is accepted"
        if bool(self.tests) == bool(self.argued):
            return "either tests or a reason in 'argued' is accepted"
        missing = [test for test in self.tests if not (root / test.split("::")[0]).is_file()]
        return f"no such test file: {', '.join(missing)}" if missing else ""


class Verdict(Enum):
    """What became of a fault."""

    CAUGHT = "caught"
    ARGUED = "argued"
    MISSED = "NOT CAUGHT"
    BROKEN = "BROKEN ENTRY"


def read_faults(path: Path) -> list[Fault]:
    """The faults of a TOML file, in order; TypeError for keys that are none of `Fault`'s."""
    entries = tomllib.loads(path.read_text("utf-8")).get("fault", [])
    return [Fault(**{**entry, "tests": tuple(entry.get("tests", ()))}) for entry in entries]


def judge(fault: Fault, tree: Path) -> tuple[Verdict, str]:
    """Make the fault in `tree`, run its tests there, undo it; the verdict and the line that explains it."""
    if trouble := fault.trouble(tree):
        return Verdict.BROKEN, trouble
    if fault.argued:
        return Verdict.ARGUED, fault.argued
    with _made(fault, tree):
        code, output = run_tests(fault.tests, tree)
    if code == _TESTS_FAILED:
        return Verdict.CAUGHT, next((line for line in output.splitlines() if line.startswith("FAILED")), output[-200:])
    if code == _ALL_PASSED:
        return Verdict.MISSED, f"all of {', '.join(fault.tests)} passed"
    return Verdict.BROKEN, output[-500:]


def run_tests(tests: tuple[str, ...], tree: Path) -> tuple[int, str]:
    """pytest's exit code and output for some tests of `tree`, up to the first failure; one that hangs has failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", *_PLAIN, *tests]
    try:
        run = subprocess.run(
            command, cwd=tree, env=_NO_CACHE, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return _TESTS_FAILED, f"FAILED by taking more than {_LONGEST_S:.0f} s"
    return run.returncode, run.stdout + run.stderr


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy of every file at `root` that git tracks or would track, in a folder that is removed afterwards."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="tpos-faults-") as folder:
        for name in filter(None, listed.stdout.split("\0")):
            if (root / name).is_file():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, target)
        yield Path(folder)


@contextmanager
def _made(fault: Fault, tree: Path) -> Iterator[None]:
    path = tree / fault.file
    whole = path.read_text("utf-8")
    path.write_text(whole.replace(fault.old, fault.new), "utf-8")
    try:
        yield
    finally:
        path.write_text(whole, "utf-8")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """0 if every fault was caught or argued, 1 if not, 2 where the tests fail without any fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="these faults, counted from 1")
    only = parser.parse_args(arguments).only
    faults = [(n, fault) for n, fault in enumerate(read_faults(root / LIST), 1) if only is None or n in only]
    verdicts: list[Verdict] = []
    with copied(root) as tree:
        tests = tuple(dict.fromkeys(test for _, fault in faults for test in fault.tests))
        code, output = run_tests(tests, tree) if tests else (_ALL_PASSED, "")
        if code != _ALL_PASSED:
            say(f"{output}\nthe tests fail without any fault: they can tell nothing")
            return 2
        for number, fault in faults:
            verdict, why = judge(fault, tree)
            verdicts.append(verdict)
            say(f"{number:3} {verdict.value:12} {fault}\n{'':17}{why}")
    counts = {verdict: verdicts.count(verdict) for verdict in Verdict}
    say(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count) or "no faults")
    return 1 if counts[Verdict.MISSED] or counts[Verdict.BROKEN] else 0


if __name__ == "__main__":
    sys.exit(main())
