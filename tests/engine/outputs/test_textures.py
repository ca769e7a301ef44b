"""Spout and Syphon cannot run here: every call is held to the signatures of the packages themselves, by stand-ins."""

from __future__ import annotations

import ast
import inspect
import sys
import time
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pyglet import gl as opengl
from render_scenes import CONTEXT, STILL, frame, picture

from engine.core.hud_info import HudInfo
from engine.core.messages import SILENCE
from engine.outputs import spout
from engine.outputs.headless import HeadlessOutput, PlainFrames
from engine.outputs.outlets import Outlets
from engine.outputs.registry import OUTPUTS, OutputSettings, open_further
from engine.outputs.screens import Screen
from engine.outputs.spec import parse_output
from engine.outputs.texture import TextureOutput
from engine.render.renderer import Renderer
from tpos_models.errors import MissingPart

SPOUT = """
class SpoutSender:
    def __init__(self, /) -> None: ...
    def setSenderName(self, name: str, /) -> None: ...
    def sendTexture(self, texture: int, target: int, width: int, height: int, invert: bool, fbo: int, /) -> bool: ...
    def setFrameSync(self, name: str, /) -> None: ...
    def releaseSender(self, /) -> None: ...
"""
"""SpoutGL 0.1.1: pybind11 signatures in _spoutgl.cp311-win_amd64.pyd; no argument has a name or a default there."""
SYPHON = """
class SyphonOpenGLServer:
    def __init__(self, name: str, cgl_context_obj: object = None, *, is_private: bool = False,
        antialias_sample_count: int = 0, depth_buffer_resolution: int = 0, stencil_buffer_resolution: int = 0): ...
    def publish_frame_texture(self, texture: int, region: tuple = None, size: tuple = None, is_flipped: bool = False,
        target: int = 3553): ...
    def stop(self): ...
"""
"""syphon-python 0.2.0: syphon/server.py in the wheel for macOS 12."""
SIZE = (96, 54)


class Calls(list):
    """What was called, and the picture of each texture as it was then, first row first."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[np.ndarray] = []
        self.refuse = False


def stand_in(module: str, text: str, calls: Calls) -> ModuleType:
    """A module whose classes take what the signatures in `text` take, by count, name and type, and note it down."""
    made = ModuleType(module)
    space: dict[str, Any] = {}
    exec(text, space)
    for node in ast.parse(text).body:
        assert isinstance(node, ast.ClassDef)
        real = space[node.name]
        methods = {name: _noting(name, getattr(real, name), calls) for name in vars(real) if callable(vars(real)[name])}
        setattr(made, node.name, type(node.name, (), methods))
    return made


def _noting(name: str, real: Any, calls: Calls) -> Any:
    signature = inspect.signature(real)

    def called(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for key, value in bound.arguments.items():
            wanted = signature.parameters[key].annotation
            kinds = {"str": str, "int": int, "bool": bool, "tuple": tuple}
            if wanted in kinds:
                assert type(value) is kinds[wanted], f"{name}: {key}={value!r}"
        calls.append((name, {key: value for key, value in bound.arguments.items() if key != "self"}))
        if "texture" in bound.arguments:
            if calls.refuse:
                return False
            calls.pictures.append(pixels_of(bound.arguments["texture"]))
        return None if name == "__init__" else True

    return called


def pixels_of(texture: int) -> np.ndarray:
    """The texture that the current context knows by this number, RGBA, row 0 first."""
    assert opengl.glIsTexture(texture)
    pixels = np.empty((SIZE[1], SIZE[0], 4), np.uint8)
    opengl.glBindTexture(opengl.GL_TEXTURE_2D, texture)
    opengl.glPixelStorei(opengl.GL_PACK_ALIGNMENT, 1)
    opengl.glGetTexImage(opengl.GL_TEXTURE_2D, 0, opengl.GL_RGBA, opengl.GL_UNSIGNED_BYTE, pixels.ctypes.data)
    return pixels


@pytest.fixture(params=[("spout", "SpoutGL", SPOUT), ("syphon", "syphon", SYPHON)], ids=lambda p: p[0])
def kind(request, monkeypatch):
    name, module, text = request.param
    calls = Calls()
    monkeypatch.setitem(sys.modules, module, stand_in(module, text, calls))
    monkeypatch.setitem(OUTPUTS, name, replace(OUTPUTS[name], missing=lambda: ""))
    return name, calls


def test_a_texture_is_shared_the_right_way_up_in_calls_that_the_package_takes(kind):
    name, calls = kind
    drawing = Renderer(CONTEXT, (128, 72))
    spec = parse_output(f"{name}:name=Wall,size=96x54,rate=240")
    outlets = Outlets(drawing, [spec], partial(open_further, OutputSettings()))
    outlets.open()
    screen = Screen(HeadlessOutput((128, 72), CONTEXT), drawing, (128, 72), outlets)
    screen.show(frame(picture()))
    for _ in range(3):
        screen.redraw(lambda: SILENCE, STILL, 1.0, HudInfo(message="not for the audience"), False)
        time.sleep(0.01)
    screen.film_size = SIZE
    composed = screen.render(lambda: SILENCE, STILL, 1.0)
    assert np.abs(calls.pictures[-1][..., :3].astype(int) - composed).max() <= 1
    assert calls[0] == ("__init__", {} if name == "spout" else {"name": "Wall"})
    said = dict(calls)
    if name == "spout":
        assert said["setSenderName"] == {"name": "Wall"}
        sent = said["sendTexture"]
        assert (sent["target"], sent["width"], sent["height"], sent["invert"]) == (0x0DE1, 96, 54, False)
    else:
        assert said["publish_frame_texture"]["size"] == SIZE
        assert said["publish_frame_texture"]["is_flipped"] is True
    outlets.close()
    assert calls[-1][0] in ("releaseSender", "stop")


def test_a_share_that_breaks_is_said_and_tried_again(kind, monkeypatch):
    drawing = Renderer(CONTEXT, SIZE)
    outlets = Outlets(
        drawing, [parse_output(f"{kind[0]}:size=96x54,rate=240")], partial(open_further, OutputSettings())
    )
    outlets.open()
    (output,) = outlets.outputs
    assert isinstance(output, TextureOutput)
    screen = Screen(HeadlessOutput(SIZE, CONTEXT), drawing, SIZE, outlets)
    monkeypatch.setattr(output, "_open_share", breaking := Breaking(output._open_share))
    screen.redraw(lambda: SILENCE, STILL, 1.0, HudInfo(), False)
    assert output.health.trouble == "broke: OSError('no driver')"
    time.sleep(0.01)
    screen.redraw(lambda: SILENCE, STILL, 1.0, HudInfo(), False)
    assert breaking.tried == 1, "it is not tried at every redraw"
    output._retry_s = 0.0
    time.sleep(0.01)
    screen.redraw(lambda: SILENCE, STILL, 1.0, HudInfo(), False)
    assert (output.health.trouble, output.health.sent) == ("", 1)
    outlets.close()


class Breaking:
    """Fails the first time."""

    def __init__(self, then: Any) -> None:
        self.then, self.tried = then, 0

    def __call__(self) -> Any:
        self.tried += 1
        if self.tried == 1:
            raise OSError("no driver")
        return self.then()


def test_spout_that_refuses_the_texture_says_what_it_needs(kind):
    name, calls = kind
    if name != "spout":
        pytest.skip("Syphon's call returns nothing")
    calls.refuse = True
    share = spout.SpoutShare("Wall")
    with pytest.raises(RuntimeError, match="a GPU with OpenGL-DirectX interop would be accepted"):
        share.send(1, SIZE)


def test_without_opengl_a_texture_output_says_so_and_the_show_goes_on(kind):
    drawing = PlainFrames(SIZE)
    outlets = Outlets(drawing, [spec := parse_output(kind[0])], partial(open_further, OutputSettings()))
    outlets.open()
    screen = Screen(HeadlessOutput(SIZE, None), drawing, SIZE, outlets)
    screen.redraw(lambda: SILENCE, STILL, 1.0, HudInfo(), False)
    outlets._look()
    assert outlets.trouble == f"{spec.name}: there is no OpenGL here"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="one of them is at home here")
def test_what_is_for_another_system_is_said_in_a_line():
    for name, system in (("spout", "Windows"), ("syphon", "macOS")):
        assert OUTPUTS[name].missing() == f"{name.title()} is for {system}"
        with pytest.raises(MissingPart, match=f"output {name}: {name.title()} is for {system}"):
            open_further(OutputSettings(), parse_output(name))
