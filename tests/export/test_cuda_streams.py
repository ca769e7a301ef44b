"""How tensors pass between streams, on streams that only note what they are asked; a CPU has none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from export.cuda_streams import Turns, handed_over, nothing, own_stream


@dataclass
class Stream:
    """Notes its orders."""

    name: str
    log: list[tuple[str, ...]]

    def record_event(self, event: str | None = None) -> str:
        self.log.append((self.name, "records"))
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self.log.append((self.name, "waits for", event))

    def wait_stream(self, other: Stream) -> None:
        self.log.append((self.name, "waits for", other.name))


@dataclass
class OnGpu:
    """A tensor on a GPU, as far as handing it over goes."""

    log: list[tuple[str, ...]]
    device: torch.device = field(default_factory=lambda: torch.device("cuda"))

    def record_stream(self, stream: Stream) -> None:
        self.log.append(("kept for", stream.name))


def test_the_stream_that_takes_waits_for_the_one_that_gave_and_the_memory_for_both(monkeypatch):
    log: list[tuple[str, ...]] = []
    current = [Stream("hearing", log)]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[0])
    tensors: Any = [OnGpu(log), torch.ones(2)]
    take = handed_over(tensors)
    assert log == [("hearing", "records")]
    current[0] = Stream("inference", log)
    take()
    assert log[1:] == [("inference", "waits for", "event of hearing"), ("kept for", "inference")]


def test_a_thread_of_its_own_stream_begins_behind_what_was_begun_before(monkeypatch):
    log: list[tuple[str, ...]] = []
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("inference", log))
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("hearing", log))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    own: Any = own_stream(torch.device("cuda"))
    assert own.name == "hearing"
    assert log == [("hearing", "waits for", "inference")]


def test_what_callers_of_one_graph_enqueue_waits_for_the_caller_before(monkeypatch):
    log: list[tuple[str, ...]] = []
    current = [Stream("hearing", log)]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[0])
    turns = Turns(torch.device("cuda"))
    for name in ("hearing", "inference"):
        current[0] = Stream(name, log)
        with turns:
            log.append((name, "replays"))
    assert log == [
        ("hearing", "replays"), ("hearing", "records"),
        ("inference", "waits for", "event of hearing"), ("inference", "replays"), ("inference", "records"),
    ]  # fmt: skip


def test_on_a_cpu_there_is_nothing_to_do():
    assert handed_over([torch.ones(2)]) is nothing
    with own_stream(torch.device("cpu")) as stream:
        assert stream is None
