"""Commands run in the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.cli import main


@pytest.fixture
def tpos(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a command in this process; its JSON."""

    def run(*arguments: object) -> dict[str, Any]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return dict(json.loads(out))

    return run
