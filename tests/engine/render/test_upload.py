"""Frames on their way into a texture: through a pixel buffer, and from CUDA's memory, as far as a CPU can say."""

from __future__ import annotations

import gc
import inspect
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import strict_cuda
from render_scenes import CONTEXT, STILL, flat, frame, opaque, picture

from engine.core.messages import SILENCE, Frame
from engine.render import gl
from engine.render.renderer import Renderer
from engine.render.upload import FrameUpload


class OnGpu:
    """Pixels in what stands for a GPU's memory."""

    def __init__(self, rgb: np.ndarray) -> None:
        self._pixels = opaque(rgb)
        self.nbytes = self._pixels.nbytes

    def data_ptr(self) -> int:
        return self._pixels.ctypes.data


def on_gpu(rgb: np.ndarray, on_host: np.ndarray | None = None) -> Frame:
    """A frame in both memories; another picture on the host tells which way it went."""
    return replace(frame(np.zeros_like(rgb) if on_host is None else on_host), on_gpu=OnGpu(rgb))


def shown(rgb: Frame, size: tuple[int, int], upload: FrameUpload) -> np.ndarray:
    """What a shader reads of it, pixel by pixel."""
    target = gl.Target(size)
    upload(rgb, target.texture)
    return target.read()


@pytest.fixture
def cuda(monkeypatch) -> ModuleType:
    CONTEXT.switch_to()
    core = strict_cuda.library()
    package = ModuleType("cuda")
    package.__dict__["core"] = core
    monkeypatch.setitem(sys.modules, "cuda", package)
    monkeypatch.setitem(sys.modules, "cuda.core", core)
    return core


@pytest.mark.parametrize("size", [(128, 72), (33, 7), (1, 1)])
def test_frames_pass_the_pixel_buffer_unchanged(size):
    CONTEXT.switch_to()
    upload, rng = FrameUpload(), np.random.default_rng(1)
    for _ in range(3):
        image = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        assert np.array_equal(shown(frame(image), size, upload), image)


def test_a_buffer_that_is_filled_anew_leaves_alone_what_was_uploaded_from_it():
    CONTEXT.switch_to()
    buffer, targets = gl.UploadBuffer((64, 36)), [gl.Target((64, 36)) for _ in range(8)]
    for value, target in enumerate(targets):
        buffer.fill(opaque(flat(value)))
        target.texture.upload_from(buffer)
    assert [target.read().mean() for target in targets] == list(range(8))
    with pytest.raises(ValueError, match=r"\(36, 64, 3\): \(36, 64, 4\) are accepted"):
        buffer.fill(flat(0))


def test_frames_on_the_gpu_that_draws_never_see_the_host(cuda):
    upload = FrameUpload()
    for image in (picture(), 255 - picture(), flat(7), picture(64, 64)):
        size = (image.shape[1], image.shape[0])
        assert np.array_equal(shown(on_gpu(image), size, upload), image)
    first, second, third = cuda.GraphicsResource.registered
    assert (first.closed, second.closed, third.closed) == (True, True, False), "one for each size, one at a time"
    assert [stream.closed for stream in cuda.Device.streams] == [True, True, False]


def test_what_is_being_copied_is_held_until_it_was(cuda):
    upload = FrameUpload()
    for value in range(4):
        shown(on_gpu(flat(value)), (64, 36), upload)
        gc.collect()
    (stream,) = cuda.Device.streams
    assert len(stream.under_way) == 1, "and no longer: earlier ones were let go"
    stream.sync()


def test_a_gpu_that_is_lost_leaves_frames_that_come_from_the_host(cuda):
    upload, size = FrameUpload(), (64, 36)
    shown(on_gpu(flat(1)), size, upload)
    assert np.array_equal(shown(frame(flat(2)), size, upload), flat(2))
    assert np.array_equal(shown(on_gpu(flat(3)), size, upload), flat(3)), "and back"


@pytest.mark.parametrize("step", ["set_current", "from_gl_buffer", "map", "copy_from"])
def test_where_cuda_cannot_it_is_said_once_and_frames_come_from_the_host(cuda, monkeypatch, capsys, step):
    def fail(*arguments: object, **named: object) -> None:
        raise Exception("CUDA_ERROR_OPERATING_SYSTEM: OS call failed")  # as the library does: no class of its own

    owner = {"set_current": cuda.Device, "copy_from": strict_cuda.Mapped}.get(step, cuda.GraphicsResource)
    monkeypatch.setattr(owner, step, fail)
    upload = FrameUpload()
    for value in range(3):
        assert np.array_equal(shown(on_gpu(flat(0), flat(value)), (64, 36), upload), flat(value))
    said = capsys.readouterr().err.splitlines()
    assert said == ["frames come to the screen by way of the host: CUDA_ERROR_OPERATING_SYSTEM: OS call failed"]


def test_without_cuda_core_the_line_names_the_command_that_adds_it(monkeypatch, capsys):
    CONTEXT.switch_to()
    monkeypatch.setitem(sys.modules, "cuda", None)
    assert np.array_equal(shown(on_gpu(flat(0), flat(9)), (64, 36), FrameUpload()), flat(9))
    assert "pip install 'tpos-live[cuda-gl]'" in capsys.readouterr().err


def test_a_show_draws_frames_from_the_gpu(cuda):
    image = picture()
    renderer = Renderer(CONTEXT, (128, 72))
    renderer.show(on_gpu(image))
    renderer.redraw(lambda: SILENCE, STILL, 0.0)
    assert np.array_equal(renderer.read(), image)


def test_the_stand_in_is_called_as_the_library_is():
    core = pytest.importorskip("cuda.core", reason="cuda-core is an extra")
    for owner, name in (
        (strict_cuda.Device, "set_current"), (strict_cuda.Device, "create_stream"), (strict_cuda.Buffer, "from_handle"),
        (strict_cuda.Mapped, "copy_from"), (strict_cuda.GraphicsResource, "from_gl_buffer"),
        (strict_cuda.GraphicsResource, "map"), (strict_cuda.GraphicsResource, "close"), (strict_cuda.Stream, "sync"),
        (strict_cuda.Stream, "close"),
    ):  # fmt: skip
        real = getattr(core, "Buffer" if owner is strict_cuda.Mapped else owner.__name__)
        mine, theirs = (inspect.signature(getattr(one, name)).parameters.values() for one in (owner, real))
        assert [(p.name, p.kind, p.default) for p in mine] == [(p.name, p.kind, p.default) for p in theirs], name
