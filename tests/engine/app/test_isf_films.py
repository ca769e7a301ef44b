"""Users' effects in ISF from the command line to the film, live and rendered again, though their files are gone."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.offline import FilmOptions, render_file, render_session
from engine.app.options import LookOptions, ModelOptions
from engine.inference.loading import open_model
from engine.recording.session import open_session
from export.media.reading import read_frames
from tpos_models.errors import MediaError, PresetError

LEVEL = """/*{ "INPUTS": [{"NAME": "level", "TYPE": "float", "DEFAULT": 0.2}] }*/
void main() { gl_FragColor = vec4(vec3(%s), 1.0); }
"""


@pytest.fixture
def effect(tmp_path: Path) -> Path:
    path = tmp_path / "flat.fs"
    path.write_text(LEVEL % "level")
    return path


def levels(path: Path) -> np.ndarray:
    """Mean and largest deviation of each picture of a film, in code values."""
    return np.array([(image.mean(), np.ptp(image)) for _, image in read_frames(path)])


@pytest.mark.realtime
def test_a_recorded_set_plays_its_effects_again_with_what_was_set(tmp_path: Path, effect: Path) -> None:
    open_model("pocket")  # its networks are built before the show starts
    look = LookOptions(isf=[str(effect)], settings={"flash_limiter": False, "shader.grain": 0.0})
    options = LiveOptions(
        look, "synth", headless=True, size=(64, 64), mute=True, osc=OscOptions(port=0), record=tmp_path / "sets"
    )
    ended = threading.Event()
    seen: list[str] = []

    def beside(live: Live) -> None:
        while live.tally.first_frame_s is None or live.recording.status.seconds < 0.5:
            time.sleep(0.02)
        live.show.command("/tpos/isf/flat/level", (0.8,))
        effect.write_text(LEVEL % "wrong")
        while not (live.tally.troubles and live.recording.status.seconds > 2.0):
            time.sleep(0.02)
        seen.extend(live.tally.troubles)
        ended.set()

    with open_live(options) as live:
        operator = threading.Thread(target=beside, args=(live,))
        operator.start()
        summary = live.run(ended)
        operator.join()
    assert live.show.state.isf[0].file.source == LEVEL % "level", "the state says what plays"
    effect.unlink()
    assert any(f"{effect}, line 2: " in line and "wrong" in line for line in seen)
    folder = Path(summary.recordings[0].path)
    live_levels = levels(folder / "video.mp4")
    session = open_session(folder)
    render_session(session, FilmOptions(tmp_path / "again.mp4"), ModelOptions(precision="fp32"), lambda share: None)
    again = levels(tmp_path / "again.mp4")
    for film in (live_levels, again):
        assert film[:, 1].max() <= 4, "one grey all over"
        before = film[: np.argmax(film[:, 0] > 128), 0]  # black until the effect's first picture, on a busy machine
        assert before[before > 0][:-1] == pytest.approx(51, abs=3)
        assert film[-1, 0] == pytest.approx(204, abs=3)
    turned = [int(np.argmax(film[:, 0] > 128)) for film in (live_levels, again)]
    assert abs(turned[0] - turned[1]) <= 4, "frames, of 30 a second"


def test_a_log_without_the_effect_s_text_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text(
        json.dumps({"started": "", "pid": 1, "size": [8, 8], "fps": 30, "sample_rate": 44100, "channels": 1})
    )
    state = {"isf": [{"file": {"name": "flat", "path": "flat.fs", "digest": "abc"}}]}
    (tmp_path / "control.jsonl").write_text(json.dumps({"time_s": 0.0, "kind": "state", "data": state}) + "\n")
    with pytest.raises(MediaError, match="has no effect flat abc"):
        open_session(tmp_path)


def test_a_film_is_the_same_twice_and_a_broken_effect_ends_it_in_a_line(tmp_path: Path, effect: Path) -> None:
    sound = tmp_path / "hum.wav"
    sf.write(sound, 0.2 * np.sin(np.arange(22_050) / 20.0), 44_100)
    moving = "0.5 + 0.4 * sin(9.0 * TIME + 20.0 * isf_FragNormCoord.x)"
    effect.write_text(LEVEL % moving)
    films = []
    for name in ("one", "two"):
        film = FilmOptions(tmp_path / f"{name}.mp4", (64, 64), 10.0)
        render_file(sound, film, LookOptions(isf=[str(effect)]), lambda share: None)
        films.append(np.stack([image for _, image in read_frames(film.output)]))
    assert np.array_equal(films[0], films[1])
    assert films[0].std(axis=0).max() > 20, "it moves"
    effect.write_text(LEVEL % "wrong")
    with pytest.raises(PresetError, match=r"flat\.fs, line 2: .*wrong"):
        render_file(sound, FilmOptions(tmp_path / "none.mp4"), LookOptions(isf=[str(effect)]), lambda share: None)
    with (
        pytest.raises(PresetError, match=r"flat\.fs, line 2: .*wrong"),
        open_live(
            LiveOptions(LookOptions(isf=[str(effect)]), "synth", headless=True, mute=True, osc=OscOptions(port=0))
        ),
    ):
        pass
