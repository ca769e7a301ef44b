"""The command line by hand: one line for bad input and exit 2, JSON alone on stdout, lists that list."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from engine.cli import main
from engine.cli.app import MediaOptions
from engine.recording import run_folder


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def tpos(capsys):
    """Run the command line in this process."""

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.wav").write_text("this is a letter, not a sound\n" * 50)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "film.mp4").write_bytes(b"a film")
    (folder / "broken.toml").write_text('schema = 1\nprompts = ["a beach"]\nmotoin = 0.5\n')
    sf.write(folder / "good.wav", np.zeros(4410, np.float32), 44_100)
    return folder


BAD = [
    (("render", "{}/missing.wav", "-o", "{}/x.mp4"), "missing.wav"),
    (("render", "{}/text.wav", "-o", "{}/x.mp4"), "text.wav"),
    (("render", "{}/empty.wav", "-o", "{}/x.mp4"), "empty.wav"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--size", "big"), "1280x720"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--guidance", "psychic"), "semantic"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--amount", "7"), "0 to 1"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--fps", "0"), "more than 0"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--seconds", "-2"), "more than 0"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--seconds", "nan"), "more than 0"),
    (("render", "{}/film.mp4", "-o", "{}/film.mp4"), "that is the sound itself"),
    (("render", "{}/good.wav", "-o", "{}/nowhere/x.mp4"), "nowhere; one that is there would be accepted"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--model", "no-such-model"), "pocket"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--preset", "beech"), "beach"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--preset", "{}/broken.toml"), "motoin"),
    (("live", "--headless", "--input", "{}/missing.wav"), "missing.wav"),
    (("live", "--headless", "--input", "synth", "--model", "nosuch"), "or a hub id OWNER/NAME would be accepted"),
    (("live", "--headless", "--input", "synth", "--model", "random:nosuch"), "random:nosuch: no such architecture"),
    (("live", "--headless", "--input", "synth", "--lora", "l.safetensors"), "a Stable Diffusion --model"),
    (("live", "--headless", "--channels", "0"), "from 1"),
    (("live", "--headless", "--input", "synth", "--osc-port", "70000"), "70000"),
    (("live", "--headless", "--input", "synth", "--fps", "-1"), "--fps -1: 0 to 1000"),
    (("live", "--headless", "--input", "synth", "--midi-map", "faders"), "with --midi auto"),
    (("live", "--headless", "--input", "synth", "--set", "{}/friday.toml"), "accepted: the path of one"),
    (("demo", "--headless", "--seconds", "-1"), "more than 0"),
    (("doctor", "--osc-port", "70000"), "--osc-port 70000: 0 to 65535"),
    (("doctor", "--hours", "-3"), "more than 0"),
    (("hear", "{}/text.wav"), "text.wav"),
    (("hear", "{}/good.wav", "--channels", "3,4"), "good.wav: has channels 1..1, not 3,4"),
    (("hear", "{}/good.wav", "--seconds", "-1"), "more than 0"),
    (("hear", "{}/good.wav", "--phrases", ","), "--phrases"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--init-image", "{}/text.wav"), "not a readable picture"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--strength", "2"), "0 to 1"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--model-size", "640x64"), "one side up to 4 times the other"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--lora", "{}/l.safetensors"), "a Stable Diffusion --model"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--model", "random:tiny-lcm", "--model-size", "100x64"), "of 8"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--model", "random:tiny-lcm", "--lora", "{}/l.safetensors"), "LoRA"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--model", "random:tiny-lcm", "--ear", "nose"), "clap"),
    (("render", "{}/good.wav", "-o", "{}/x.mp4", "--sampler", "ddim"), "reference"),
    (
        ("render", "{}/good.wav", "-o", "{}/x.mp4", "--steps", "2"),
        "--steps 2: pocket's pictures get worse with more than 1",
    ),
    (("models", "import-tpos", "{}/a.pth", "{}/b.pth", "-o", "{}/t", "--front-end", "ear"), "linear or mel"),
    (("gallery", "--out", "{}/g", "--only", "fountain"), "did you mean fountain_splash"),
    (("gallery", "--out", "{}/g", "--sounds", "{}/nowhere"), "nowhere: no such folder"),
    (("gallery", "--out", "{}/g", "--seconds", "0"), "more than 0"),
    (("evaluate", "{}/missing.mp4"), "missing.mp4"),
    (("evaluate", "missing.mp4"), "missing.mp4: no such file; a video"),
    (("evaluate", "{}/good.wav"), "no pictures"),
    (("evaluate", "{}/text.wav"), "text.wav"),
    (("train", "tpos"), "--sounds"),
    (("sessions", "export", "../../etc", "-o", "{}/x.mp4"), "session"),
    (("liev",), "live"),
    (("sessions", "bogus"), "'tpos sessions --help' lists"),
    (("live", "--bogus"), "'tpos live --help' lists"),
    (("live", "--field", "gpu"), "--field gpu: auto, shader, cpu would be accepted"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a).replace("{}/", "") for a, _ in BAD])
def test_bad_input_is_one_line_and_exit_2(tpos, bad_files, arguments, says):
    done = tpos(*(word.format(bad_files) for word in arguments))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert says in lines[0]
    assert "Traceback" not in done.stderr
    assert not (bad_files / "x.mp4").exists()


def _hears_ctrl_c() -> None:
    """Also where the tests run behind a shell, which leaves its programs deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="a program there is sent no Ctrl-C of its own")
@pytest.mark.parametrize("command", [("render", "{}/good.wav", "-o", "{}/x.mp4"), ("demo", "--headless", "--mute")])
def test_ctrl_c_ends_what_is_still_being_prepared(bad_files, tmp_path, command):
    """On a machine where nothing is prepared yet: soon, with no word of Python's."""
    env = {**os.environ, "TPOS_CACHE": str(tmp_path), "TPOS_RECORDINGS": str(tmp_path / "sets")}
    words = [sys.executable, "-m", "engine.cli", *(word.format(bad_files) for word in command)]
    with subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hears_ctrl_c
    ) as program:
        assert program.stderr is not None
        said = next(line for line in program.stderr if "pocket-denoiser" in line)
        asked_s = time.monotonic()
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
    assert said.strip() == "pocket-denoiser in fp32"
    assert time.monotonic() - asked_s < 20
    assert program.returncode == (130 if command[0] == "render" else 0), err
    assert not err.strip()
    assert ("no frame was shown" in out) == (command[0] == "demo")
    assert not (bad_files / "x.mp4").exists()


def test_debug_shows_the_traceback_in_a_process_of_its_own(bad_files):
    command = [sys.executable, "-m", "engine.cli", "render", f"{bad_files}/missing.wav", "-o", f"{bad_files}/x.mp4"]
    done = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", [("presets",), ("devices",), ("models", "list"), ("sessions", "list")])
def test_json_is_one_object_alone(tpos, command, tmp_path, monkeypatch):
    monkeypatch.setenv("TPOS_RECORDINGS", str(tmp_path))
    done = tpos(*command, "--json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


def test_a_table_in_a_pipe_keeps_each_row_on_a_line(tpos):
    assert any(line.startswith("beach_fire_waves ") and line.endswith("turn to fire") for line in
               tpos("presets").stdout.splitlines())  # fmt: skip


def test_a_command_that_computes_nothing_does_not_wait_for_torch():
    script = "import sys, engine.cli.commands as c\ntry: c.run(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    for words in (["--version"], ["presets"], ["sessions", "list"], ["live", "--help"], ["liev"]):
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
        assert done.stdout.splitlines()[-1] == "False", words


def test_a_home_that_the_shell_left_alone_is_found(monkeypatch, tmp_path):
    """As bash does in --record=~/sets."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert MediaOptions(record=Path("~/sets")).of_show["record"] == tmp_path / "sets"


def test_without_a_home_a_show_has_its_folder_among_temporary_files(monkeypatch, tmp_path):
    (tmp_path / "no home").write_text("")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no home"))
    with run_folder.new() as folder:
        run_folder.replace_file(folder / "state", b"kept")
    assert not folder.exists()


def test_every_command_that_is_listed_explains_itself(tpos):
    listed = tpos("--help").stdout.partition("Commands:")[2]
    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert {"demo", "live", "render", "hear", "devices", "presets", "doctor", "bench", "sessions"} <= set(names)
    for name in names:
        done = tpos(name, "--help")
        assert done.returncode == 0
        assert "Usage:" in done.stdout


def test_doctor_names_every_part(tpos, tmp_path, monkeypatch):
    monkeypatch.setenv("TPOS_RECORDINGS", str(tmp_path))
    done = tpos("doctor", "--json")
    found = json.loads(done.stdout)["findings"]
    findings = {finding["part"]: finding["state"] for finding in found}
    (drawn,) = (finding["words"] for finding in found if finding["part"] == "field of pocket")
    assert drawn.startswith(("painted on the CPU; ", "drawn by the shader, "))
    assert findings["model pocket"] == "ok"
    assert {"audio", "gpu", "extras", "osc port", "disk", "cache"} <= findings.keys()
    assert {"runner of pocket", "runner of Stable Diffusion"} <= findings.keys()
    assert set(findings.values()) <= {"ok", "missing", "wrong"}
