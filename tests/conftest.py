"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os

import pytest
from virtual_audio import virtual_mixer

__all__ = ["virtual_mixer"]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Networks are built into a cache of the session's own, in float32 unless TPOS_PRECISION says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TPOS_CACHE", str(tmp_path_factory.mktemp("cache")))
        if "TPOS_PRECISION" not in os.environ:
            patch.setenv("TPOS_PRECISION", "fp32")
        yield
