"""The engine as a library: a sound file becomes a film, as `tpos render` makes it.

python examples/make_film.py track.flac film.mp4 --preset examples/storm.toml
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.app.offline import FilmOptions, render_file
from engine.app.options import LookOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sound", type=Path)
    parser.add_argument("film", type=Path)
    parser.add_argument("--preset", default="default", help="a name or a path")
    parser.add_argument("--seconds", type=float, help="stop after this many")
    options = parser.parse_args()

    film = FilmOptions(options.film, size=(512, 512), fps=30.0, seconds=options.seconds)
    look = LookOptions(preset=options.preset, settings={"motion": 0.7})  # any parameter, over the preset's
    summary = render_file(options.sound, film, look, progress=lambda share: None)
    print(f"{summary['output']}: {summary['frames']} frames, {summary['seconds']:.1f} s")


if __name__ == "__main__":
    main()
