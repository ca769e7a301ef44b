"""NDI on this machine: what is composed is what another program receives, whatever either side does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import pytest
from ndi_here import clear_up, ndi_here
from render_scenes import CONTEXT, STILL, flat, frame, picture

from engine.audio import SAMPLE_RATE
from engine.bench.ndi_receiver import NdiReceiver
from engine.core.hud_info import HudInfo
from engine.core.messages import SILENCE
from engine.outputs.headless import HeadlessOutput
from engine.outputs.ndi import NdiSink
from engine.outputs.outlets import Outlets
from engine.outputs.registry import OutputSettings, open_further
from engine.outputs.screens import Screen
from engine.outputs.sound_tap import SoundTap
from engine.outputs.spec import parse_output
from engine.outputs.stream import StreamOutput
from engine.render.renderer import Renderer
from tpos_models.errors import RunError

pytestmark = pytest.mark.realtime
SIZE = (320, 180)
CALLED: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with ndi_here(tmp_path_factory.mktemp("ndi")):
        yield
    for called in CALLED:
        clear_up(called)


def own_name() -> str:
    """A source's, that nothing else is called."""
    CALLED.append(f"test {os.getpid()} {len(CALLED)}")
    return CALLED[-1]


class Stage:
    """A show of one still picture at 320x180 with an NDI output, redrawn whenever somebody waits for it."""

    def __init__(self, said: str = "", tap: SoundTap | None = None) -> None:
        self.called = own_name()
        spec = parse_output(f"ndi:name={self.called},size=320x180,{said}")
        settings = OutputSettings(sound=tap or SoundTap())
        drawing = Renderer(CONTEXT, SIZE)
        self.outlets = Outlets(drawing, [spec], partial(open_further, settings))
        self.outlets.open()
        self.screen = Screen(HeadlessOutput(SIZE, CONTEXT), drawing, SIZE, self.outlets)
        self.name = spec.name
        self.screen.show(frame(picture(180, 320)))
        self.longest_s = 0.0

    def redraw(self, time_s: float = 0.0) -> None:
        began_s = time.monotonic()
        heard, hud = replace(SILENCE, time_s=time_s), HudInfo(message="not for the audience")
        self.screen.redraw(lambda: heard, STILL, began_s, hud, False)
        self.longest_s = max(self.longest_s, time.monotonic() - began_s)

    def received(self, receiver: NdiReceiver, wanted: int) -> list[np.ndarray]:
        got: list[np.ndarray] = []
        until_s = time.monotonic() + 15
        while len(got) < wanted and time.monotonic() < until_s:
            self.redraw()
            got += islice(receiver.pictures(0.03), wanted - len(got))
        assert len(got) == wanted, f"{len(got)} of {wanted}: {self.outlets.states}"
        return got


@pytest.fixture
def stage() -> Iterator[Stage]:
    one = Stage()
    yield one
    one.outlets.close()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_another_program_receives_what_is_composed_without_text(stage):
    receiver = NdiReceiver(stage.called)
    received = stage.received(receiver, 3)[-1]
    composed = stage.screen.render(lambda: SILENCE, STILL, time.monotonic())
    assert received.shape == (180, 320, 4)
    assert psnr(received[..., :3], composed) >= 35
    assert psnr(received[::-1, :, :3], composed) < 25, "upside down it would look the same"
    assert psnr(received[..., 2::-1], composed) < 25, "with red for blue it would look the same"
    receiver.close()


def test_nobody_watches_nothing_is_read_and_who_comes_back_sees_the_picture_again(stage):
    for _ in range(5):
        stage.redraw()
        time.sleep(0.05)
    (health,) = [output.health for output in stage.outlets.outputs]
    assert (health.sent, health.watchers) == (0, 0)
    for _ in range(2):
        receiver = NdiReceiver(stage.called)
        began_s = time.monotonic()
        stage.received(receiver, 2)
        assert time.monotonic() - began_s < 3
        receiver.close()
    (health,) = [output.health for output in stage.outlets.outputs]
    assert health.sent >= 4
    assert health.trouble == ""


def test_light_is_transparent_where_it_is_dark():
    stage = Stage("alpha")
    shown = np.zeros((180, 320, 3), np.uint8)
    shown[:, 160:] = (200, 100, 50)
    stage.screen.show(frame(shown, 1, 1.0))
    receiver = NdiReceiver(stage.called)
    received = stage.received(receiver, 4)[-1].astype(int)
    dark, bright = received[90, 40], received[90, 280]
    assert dark[3] == 0
    assert abs(bright[3] - 200) <= 4
    over_black = bright[:3] * bright[3] / 255
    assert np.abs(over_black - (200, 100, 50)).max() <= 8
    receiver.close()
    stage.outlets.close()


class Tone:
    """The input's newest second: a tone of 441 Hz, louder on the left, whose newest sample is of `now_s`."""

    channels, now_s = 2, 1.0

    def raw(self, since: int) -> tuple[np.ndarray, int]:
        n = np.arange(since, round(self.now_s * SAMPLE_RATE))
        wave = np.sin(2 * np.pi * n / 100)[:, None] * [0.5, 0.25]
        return wave.astype(np.float32), since

    def time_of(self, sample: int) -> float:
        return sample / SAMPLE_RATE


def test_the_sound_comes_with_the_picture_that_it_shaped():
    tap = SoundTap()
    tap.sound = tone = Tone()
    stage = Stage(tap=tap)
    receiver = NdiReceiver(stage.called, sound=True)
    stage.received(receiver, 1)
    heard = []
    for _ in range(40):
        tone.now_s += 1 / 30
        stage.redraw(tone.now_s)
        heard.append(receiver.sound(SAMPLE_RATE, 2, 1 / 30))
    left, right = np.concatenate(heard, -1)
    loud = np.abs(left) > 0
    assert loud.sum() > SAMPLE_RATE / 4
    assert abs(np.sqrt((left[loud] ** 2).mean()) - 0.5 / np.sqrt(2)) < 0.05
    assert abs(np.sqrt((right[loud] ** 2).mean()) - 0.25 / np.sqrt(2)) < 0.03
    spectrum = np.abs(np.fft.rfft(left))
    assert abs(int(spectrum.argmax()) * SAMPLE_RATE / len(left) - 441) < 5
    receiver.close()
    stage.outlets.close()


def test_a_sender_that_breaks_is_said_and_comes_back_while_the_show_goes_on():
    broken = [False]

    class Breaking(NdiSink):
        def send(self, pixels, time_s):
            if broken[0]:
                self.close()
            super().send(pixels, time_s)

    called = own_name()
    stage = Stage()
    output = StreamOutput("ndi:b", SIZE, 30.0, lambda: Breaking(called, SIZE, 30.0, False, None))
    stage.outlets.close()
    stage.outlets.add(output)
    receiver = NdiReceiver(called)
    stage.received(receiver, 2)
    broken[0] = True
    until_s = time.monotonic() + 5
    while not output.health.trouble and time.monotonic() < until_s:
        stage.redraw()
        time.sleep(0.03)
    assert output.health.trouble == "the sender is closed"
    broken[0] = False
    began_s = time.monotonic()
    fresh = NdiReceiver(called)
    stage.received(fresh, 2)
    assert time.monotonic() - began_s < 3
    assert output.health.trouble == ""
    fresh.close()
    receiver.close()
    stage.outlets.close()


def test_an_output_that_hangs_is_said_and_holds_nothing_up():
    class Hanging:
        def watchers(self) -> int:
            return 1

        def send(self, pixels: np.ndarray, time_s: float) -> None:
            time.sleep(2.5)

        def close(self) -> None:
            pass

    stage = Stage()
    stage.outlets.close()
    output = StreamOutput("ndi:h", SIZE, 30.0, Hanging)
    stage.outlets.add(output)
    stage.redraw()
    stage.longest_s = 0.0
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2.4:
        stage.redraw()
        time.sleep(0.03)
    assert output.health.trouble == "hangs"
    assert output.health.sent == 0
    assert stage.longest_s < 1
    time.sleep(0.5)
    stage.redraw()
    assert output.health.dropped > 20
    stage.outlets.close()


def test_it_is_switched_off_and_on_while_the_show_plays(stage):
    assert stage.outlets.switch(stage.name, False) == f"output {stage.name} off"
    assert [one.state for one in stage.outlets.states] == ["off"]
    with pytest.raises(RunError, match="no NDI source is called"):
        NdiReceiver(stage.called + " other")
    assert stage.outlets.switch(stage.name, None) == f"output {stage.name} on"
    receiver = NdiReceiver(stage.called)
    stage.received(receiver, 1)
    receiver.close()


def test_the_newest_picture_wins_and_frames_differ(stage):
    receiver = NdiReceiver(stage.called)
    stage.received(receiver, 1)
    for index, value in enumerate((30, 220), 2):
        stage.screen.show(frame(flat(value, 180, 320), index, float(index)))
        until_s = time.monotonic() + 10  # it fades in
        while abs(stage.received(receiver, 1)[0][..., :3].mean() - value) > 4:
            assert time.monotonic() < until_s
    receiver.close()
