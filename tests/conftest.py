"""Fixtures that several packages' tests share, and how many threads a test process takes."""

from __future__ import annotations

import os

import pytest
from virtual_audio import virtual_mixer

__all__ = ["virtual_mixer"]


TRIES = 3
"""How often a test that a clock hurries may be tried: a shared machine stops a process for longer than a beat."""


def pytest_configure() -> None:
    """Beside other test processes each keeps to a core of its own."""
    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) > 1:
        import torch  # which the process that only deals out the tests does not need

        torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if item.get_closest_marker("realtime"):
                item.add_marker(pytest.mark.flaky(reruns=TRIES - 1, reruns_delay=1.0))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Networks are built into a cache of the run's own, in float32 unless TPOS_PRECISION says otherwise.

    Processes side by side share it: what one has built the other need not. No test reads the user's folders.
    """
    mine = tmp_path_factory.getbasetemp()
    shared = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TPOS_CACHE", str(shared / "cache"))
        patch.setenv("XDG_STATE_HOME", str(mine / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(mine / "config"))
        patch.setenv("TPOS_RECORDINGS", str(mine / "recordings"))
        patch.setenv("PULSE_RUNTIME_PATH", str(mine / "pulse"))
        if "TPOS_PRECISION" not in os.environ:
            patch.setenv("TPOS_PRECISION", "fp32")
        yield


@pytest.fixture(autouse=True)
def shows_after_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has drawn films goes on drawing as they need it, to its end; a test's own end is one."""
    from export import onnx_session

    monkeypatch.setattr(onnx_session, "_films", False)
