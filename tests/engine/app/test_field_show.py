"""Who draws the field of a live show, and a show that the shader draws: OpenGL in software here, at a small size."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from engine.app.builder import OscOptions
from engine.app.field_choice import Drawn, drawn_by, open_field
from engine.app.live import LiveOptions, open_live
from engine.app.options import FieldChoice, LookOptions
from engine.bench.shader import FEW_PX, ShaderTime
from engine.outputs.headless import PlainFrames
from engine.outputs.screens import Screen, open_headless
from engine.render.picture import FieldTiming
from export.media.reading import read_frames
from tpos_models.errors import InputError, RunError
from tpos_models.pocket.field import load_field
from tpos_models.pocket.field_painter import FieldPainter
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.noise_features import CELLS
from tpos_models.pocket.synth.sounds import synthesise

SMALL = LookOptions(model_size="64x64")
MOVING = [f"shader.{name}" for name in ("zoom", "warp", "glow", "colour", "grain", "beat_pulse")] + ["motion"]


@pytest.fixture
def screen() -> Iterator[Screen]:
    with open_headless((64, 64)) as opened:
        yield opened


def test_a_cpu_that_draws_opengl_keeps_the_painter_and_says_so(screen, monkeypatch):
    monkeypatch.setattr("engine.render.gl.is_software", lambda: True)
    drawn = open_field(FieldChoice.AUTO, SMALL, screen)
    assert drawn.by is FieldChoice.CPU
    assert drawn.words.startswith("field: painted on the CPU; ")
    assert drawn.words.endswith(" draws on the CPU")


def test_what_is_asked_for_is_done(screen):
    assert open_field(FieldChoice.CPU, SMALL, screen) == Drawn(FieldChoice.CPU, SMALL)
    drawn = open_field(FieldChoice.SHADER, SMALL, screen)
    assert (drawn.by, drawn.look) == (FieldChoice.SHADER, SMALL)
    assert drawn.words.startswith("field: drawn by the shader, as finely as the screen; 64x64 in ")


def test_a_context_that_cannot_keeps_the_painter_and_says_why(screen, monkeypatch):
    monkeypatch.setattr("engine.render.gl.room", lambda: (16384, 16384))
    drawn = open_field(FieldChoice.SHADER, SMALL, screen)
    assert drawn.by is FieldChoice.CPU
    assert "this OpenGL has uniform blocks of 16384 bytes; the field needs " in drawn.words


def test_without_opengl_nothing_draws_it():
    plain: Any = PlainFrames((64, 64))
    with pytest.raises(RunError, match="no OpenGL"):
        plain.draw_field(None, 1.0)


@pytest.mark.parametrize(
    "look", [LookOptions(model="sd-turbo"), LookOptions(sampler="reference"), LookOptions(init_image="picture.png")]
)
def test_what_has_no_field_is_refused_the_shader_and_else_left_alone(look):
    nowhere: Any = SimpleNamespace()
    with pytest.raises(InputError, match="--field shader: pocket has a field"):
        open_field(FieldChoice.SHADER, look, nowhere)
    assert open_field(FieldChoice.AUTO, look, nowhere) == Drawn(FieldChoice.CPU, look)


@pytest.mark.parametrize(
    ("takes_ms", "drawn", "how"),
    [
        (8.0, True, "as finely as the screen"),
        (9.0, True, "in half"),
        (26.0, True, "in half"),
        (28.0, False, "too slow"),
    ],
)
def test_the_shader_has_half_of_a_redraw(takes_ms, drawn, how):
    """At 60 a second 8.3 ms, 2 of them whatever the size: half as many pixels a side take a quarter of the others."""
    gpu: Any = SimpleNamespace(
        draw_field=lambda _, within_s, asked: FieldTiming((1920, 1080), takes_ms / 1000, within_s, 0.002)
    )
    draws, words = drawn_by(FieldChoice.AUTO, (512, 288), gpu, 60.0)
    assert draws is drawn
    assert how in words
    assert f"1920x1080 in {takes_ms:.1f} ms" in words
    assert drawn_by(FieldChoice.SHADER, (512, 288), gpu, 60.0)[0]


def test_the_benchmark_says_what_it_asks_for():
    """2 x 5,000 operations for each of 124 million pixels a second."""
    line = ShaderTime(FieldTiming(FEW_PX, 0.25, 1.0), 5000).line()
    assert "192x108 in 250.0 ms; 5000 multiply-adds a pixel, 1.24 TFLOP/s at 1920x1080 and 60/s" in line


@pytest.mark.realtime
def test_a_show_that_the_shader_draws_follows_the_sound_and_is_recorded(tmp_path: Path):
    """Two seconds of silence, in which nothing moves, then rain: the film ends with what a painter makes of it."""
    silence = np.zeros(2 * 44_100, np.float32)
    sf.write(tmp_path / "rain.wav", np.concatenate([silence, synthesise("rain", 4.0, 3)]), 44_100)
    look = LookOptions(model_size="32x32", prompt="a city", precision="fp32", settings=dict.fromkeys(MOVING, 0.0))
    options = LiveOptions(
        look, str(tmp_path / "rain.wav"), headless=True, size=(64, 64), mute=True, osc=OscOptions(port=0),
        record=tmp_path / "sets", field=FieldChoice.SHADER,
    )  # fmt: skip
    with open_live(options) as live:
        summary = live.run(threading.Event())
    assert not summary.troubles
    last = live.engine.frames.peek()
    assert last is not None
    assert last.field is not None
    assert last.image.size == 0
    frames = [image.astype(float) for _, image in read_frames(Path(summary.recordings[0].path) / "video.mp4")]
    paint = FieldPainter(load_field(WEIGHTS), (64, 64), CELLS)
    z, prompt = torch.tensor(last.field.z)[None], torch.tensor(last.field.prompt)[None]
    painted = paint(z, prompt)[0].permute(1, 2, 0).numpy() * 255
    before, after = frames[len(frames) // 5], frames[-1]
    assert painted.std() > 10
    assert np.abs(after - before).mean() > 5
    assert np.abs(after - painted).mean() < 0.9 * np.abs(before - painted).mean()
