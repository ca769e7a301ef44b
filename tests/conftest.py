"""Fixtures that several packages' tests share."""

from virtual_audio import virtual_mixer

__all__ = ["virtual_mixer"]
