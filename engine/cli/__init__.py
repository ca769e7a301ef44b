"""The `tpos` command: `app` and the options commands share, their modules by what they do, and `main`."""

from engine.cli.main import main

__all__ = ["main"]
