"""Every example runs as it is, in a process of its own: against a show that plays, from a file, by its sounds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import soundfile as sf

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.options import LookOptions
from engine.control import presets
from engine.inference.loading import open_model
from export.media.reading import read_video_info
from tpos_models.pocket.synth.sounds import synthesise

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
STORM = EXAMPLES / "storm.toml"
RATE = 44_100


def start(example: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / example), *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def test_the_client_plays_a_running_show_and_hears_its_reports():
    open_model("pocket")  # its networks are built before the show starts
    options = LiveOptions(
        LookOptions(), "synth", headless=True, size=(64, 64), mute=True, osc=OscOptions(port=0), seconds=120.0
    )
    ended = threading.Event()
    said: list[str] = []

    def beside(live: Live) -> None:
        while live.tally.first_frame_s is None:
            time.sleep(0.02)
        port = live.engine.osc.address[1]
        client = start("osc_client.py", "--port", port, "--seconds", 6, "--prompt", "a lake under an aurora")
        said.extend(client.communicate(timeout=60))
        ended.set()

    with open_live(options) as live:
        client = threading.Thread(target=beside, args=(live,))
        client.start()
        live.run(ended)
        client.join()
    out, trouble = said
    assert trouble == ""
    assert [prompt.text for prompt in live.show.state.prompts] == ["a lake under an aurora"]
    assert 0 <= live.show.state.motion <= 1
    assert live.show.state.motion != presets.to_state(presets.load("default")).motion
    assert "prompt   a lake under an aurora" in out
    assert float(re.findall(r"frames +([\d.]+)", out)[-1]) > 0
    assert "error" not in out


def test_a_film_is_made_from_python_with_the_example_preset(tmp_path):
    sound, film = tmp_path / "rain.wav", tmp_path / "film.mp4"
    sf.write(sound, synthesise("rain", 1.0, 3), RATE)
    process = start("make_film.py", sound, film, "--preset", STORM, "--seconds", 0.5)
    out, trouble = process.communicate(timeout=240)
    assert process.returncode == 0, trouble
    assert out == f"{film}: 15 frames, 0.5 s\n"
    info = read_video_info(film)
    assert (info.width, info.height, info.frames) == (512, 512, 15)


@pytest.mark.parametrize(
    ("sound", "hear"), [("rain", "rain"), ("thunder", "thunder"), ("wind", "wind"), ("beat", "dance music")]
)
def test_the_rules_of_the_preset_answer_their_sounds(sound, hear):
    look = presets.load(str(STORM)).look
    rules = [str(rule.hear) for rule in look.rules]
    model = open_model("pocket")
    samples = synthesise(sound, 4.0, 5)
    embedding = model.audio.hear(samples, len(samples), 4.0)
    weights = model.audio.score(embedding, model.text.encode(rules).joint)
    assert rules[weights.argmax()] == hear
    assert weights.max() > 0.4


def test_its_cues_have_names():
    assert [cue.name for cue in presets.load(str(STORM)).cues] == ["dusk", "night", "storm over the club"]
