"""CUDA graphs and the frame's way to the host; most tests need a GPU."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from small_networks import small

from export import cuda_graphs
from tpos_models.network import Tensors, max_relative_error, run_in_torch


@pytest.fixture
def run():
    if not torch.cuda.is_available():
        pytest.skip(cuda_graphs.available()[1])
    return cuda_graphs.runner()(small())


@pytest.mark.gpu
def test_a_replay_answers_as_torch_does_at_every_batch_and_leaves_older_answers_alone(run):
    reference = run_in_torch(small())
    examples = [small().example(batch) for batch in (1, 2, 4, 2, 1)]
    answers = [run(*(tensor.cuda() for tensor in example)) for example in examples]
    for answer, example in zip(answers, examples, strict=True):
        assert answer[0].device.type == "cuda"
        assert max_relative_error(tuple(t.cpu() for t in answer), reference(*example)) < 1e-3
    assert run(*examples[0])[0].device.type == "cpu"


@pytest.mark.gpu
def test_a_recorded_call_neither_waits_nor_asks_the_driver_for_memory(run):
    example = tuple(tensor.cuda() for tensor in small().example(2))
    run(*example)
    before = torch.cuda.memory_stats()["segment.all.allocated"]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(100):
            run(*example)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.memory_stats()["segment.all.allocated"] == before


@pytest.mark.gpu
def test_frames_leave_the_gpu_whole_and_keep_what_they_hold(run):
    pictures = [torch.randint(0, 256, (64, 48, 4), dtype=torch.uint8) for _ in range(8)]
    lent, coming = torch.empty_like(pictures[0], device="cuda"), list[Callable[[], np.ndarray]]()
    for picture in pictures:
        lent.copy_(picture)
        coming.append(cuda_graphs.to_host(lent))
    for frame, picture in zip(reversed(coming), reversed(pictures), strict=True):
        np.testing.assert_array_equal(frame(), picture.numpy())


@pytest.mark.gpu
def test_a_show_of_frames_asks_the_driver_for_a_few_pinned_blocks(run):
    picture = torch.zeros(512, 512, 4, dtype=torch.uint8, device="cuda")
    held = deque((cuda_graphs.to_host(picture)() for _ in range(8)), maxlen=4)
    before = torch.cuda.host_memory_stats()["num_host_alloc"]
    for _ in range(100):
        held.append(cuda_graphs.to_host(picture)())
    assert torch.cuda.host_memory_stats()["num_host_alloc"] == before


def test_threads_that_share_one_each_get_their_own_answer():
    """Its inputs and outputs lie at one place: what a thread put there is another's if both are in it."""

    def record(call: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        outputs = call()

        def repeat() -> None:
            time.sleep(0.001)
            outputs[0].copy_(call()[0])
            time.sleep(0.001)

        return repeat, outputs

    replayed = cuda_graphs.Replayed(lambda x: (x + 1,), record, torch.device("cpu"))
    with ThreadPoolExecutor(6) as threads:
        answers = threads.map(lambda number: float(replayed(torch.tensor([float(number)]))[0]), range(60))
    assert list(answers) == [number + 1 for number in range(60)]


def test_threads_record_one_after_the_other():
    """A recording begins with a wait for the whole device, which no other recording survives."""
    inside = threading.Lock()

    def record(call: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        assert inside.acquire(blocking=False), "two threads record at once"
        time.sleep(0.05)
        outputs = call()
        inside.release()
        return lambda: None, outputs

    def play(number: int) -> torch.Tensor:
        replayed = cuda_graphs.Replayed(lambda x: (x + number,), record, torch.device("cpu"))
        return replayed(torch.zeros(2))[0]

    with ThreadPoolExecutor(3) as threads:
        assert [answer.tolist() for answer in threads.map(play, range(3))] == [[0.0] * 2, [1.0] * 2, [2.0] * 2]


def test_a_frame_that_is_on_the_host_already_stays_as_it_is():
    picture = torch.randint(0, 256, (8, 6, 4), dtype=torch.uint8)
    np.testing.assert_array_equal(cuda_graphs.to_host(picture)(), picture.numpy())


@pytest.mark.parametrize("same_every_time", [True, False])
def test_where_films_are_to_be_the_same_no_convolution_is_chosen_by_its_time(monkeypatch, same_every_time):
    monkeypatch.setattr(cuda_graphs, "DEVICE", torch.device("cpu"))
    with torch.backends.cudnn.flags(enabled=True, benchmark=not same_every_time, deterministic=same_every_time):
        cuda_graphs.runner()(small())
        assert torch.backends.cudnn.benchmark is not same_every_time
