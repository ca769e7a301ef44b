"""The benchmark of the club looks: nobody in a club asked for rain, and looks that leave it to rules draw none."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from engine.bench import BenchOptions, run_bench
from engine.bench.looks import CLUB, Look
from engine.inference.fallback import Backend
from engine.inference.loading import open_on
from tpos_models.errors import MissingFileError
from tpos_models.pocket.scene import CONDITIONS
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.registry import POCKET


def test_rain_is_drawn_by_the_default_and_by_no_look_for_a_club(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "rain.wav", synthesise("rain", 5.0, 3), 44_100)
    said: list[str] = []
    report, lines = run_bench(BenchOptions(looks=tmp_path), said.append)
    share = {bar["what"].partition(":")[0]: bar["measured"] for bar in report["bars"]}
    assert share.pop("default") > 0.5
    assert share == dict.fromkeys(CLUB[:-1], 0.0)
    assert "rain" in said[0].partition("default")[2]
    assert sum("MISSED" in line for line in lines) == 1
    with pytest.raises(MissingFileError, match="no sounds"):
        run_bench(BenchOptions(looks=tmp_path / "none"))


def test_what_a_look_asks_for_counts_for_nothing() -> None:
    """A soft evening and the fog of a breakdown are; what rules show for weather that is heard is not."""
    look = Look("default", open_on(Backend("onnx"), POCKET))
    unasked = {name for name, is_so in zip(CONDITIONS, look.unasked.tolist(), strict=True) if is_so}
    assert {"rain", "thunder", "fire", "explosion", "waves"} <= unasked
    assert not {"sunset", "aurora", "fog"} & unasked
