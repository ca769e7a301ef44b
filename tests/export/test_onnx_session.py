"""How a CPU's cores are shared out between frames, networks and the display."""

from __future__ import annotations

import pytest

from export import onnx_session


@pytest.mark.parametrize(
    ("cores", "frames", "beside_display", "threads", "alone"),
    [(1, 1, 1, 1, 1), (2, 2, 1, 1, 2), (3, 2, 2, 1, 2), (4, 2, 2, 1, 3), (8, 2, 2, 3, 7), (64, 2, 2, 3, 7)],
)
def test_a_core_is_left_to_the_display(monkeypatch, cores, frames, beside_display, threads, alone):
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    assert onnx_session.frames_at_once(beside_display=False) == frames
    assert onnx_session.frames_at_once(beside_display=True) == beside_display
    assert onnx_session.threads() == threads
    assert onnx_session.threads_alone() == alone


def test_a_gpu_samples_one_frame_at_a_time(monkeypatch):
    monkeypatch.setattr(onnx_session, "providers", lambda: [("CUDAExecutionProvider", {}), "CPUExecutionProvider"])
    assert onnx_session.frames_at_once(beside_display=False) == 1
