"""The beats' benchmark on a metronome: everything is found, and a folder without labels is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.bench import BenchOptions, run_bench
from tpos_models.errors import MissingFileError


def test_a_metronome_is_followed_from_the_tenth_second_on(tmp_path: Path) -> None:
    t, rng = np.arange(16 * 44_100) / 44_100, np.random.default_rng(0)
    beats_s = np.arange(0.2, 16, 0.5)
    sound = 0.2 * rng.standard_normal(len(t)) * np.exp(-((t - 0.2) % 0.5) / 0.01)
    soundfile.write(tmp_path / "metronome.flac", sound, 44_100)
    (tmp_path / "metronome.json").write_text(json.dumps({"beats_s": beats_s.tolist(), "downbeats_s": []}))
    said: list[str] = []
    report, lines = run_bench(BenchOptions(beats=(tmp_path,)), said.append)
    of = report[tmp_path.name]
    assert of["beat_f"] == pytest.approx(1, abs=0.05)  # one may fall upon the border of the tenth second
    assert (of["has_tempo"], of["octave_errors"], of["recordings"]) == (1, 0, 1)
    assert said[0].startswith("metronome: beats ")
    assert any("time with a tempo" in line and "reached" in line for line in lines)
    json.dumps(report, allow_nan=False)
    with pytest.raises(MissingFileError, match="no sounds whose beats are known"):
        run_bench(BenchOptions(beats=(tmp_path / "none",)))
