"""The soundtrack of a show played aloud through a real sound system, recorded there and compared with the file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sounddevice as sd
import soundfile as sf
from virtual_audio import VirtualMixer

from engine.audio import SAMPLE_RATE
from engine.audio.capture import Capture
from engine.audio.inputs import open_source
from engine.audio.output_buffer import OutputBuffer
from engine.audio.playback import Playback, PlaybackState, open_playback
from engine.audio.portaudio import Direction, find_device, list_devices
from engine.audio.sources import FileSource
from tpos_models.errors import DeviceError

pytestmark = pytest.mark.realtime


def noise(seconds: float, rate: int = SAMPLE_RATE, channels: int = 2) -> np.ndarray:
    """Sound that is like itself at no other time."""
    return np.random.default_rng(5).uniform(-0.5, 0.5, (round(seconds * rate), channels)).astype(np.float32)


def saved(folder: Path, samples: np.ndarray, rate: int = SAMPLE_RATE) -> Path:
    sf.write(folder / "set.wav", samples, rate, subtype="FLOAT")
    return folder / "set.wav"


class Ear:
    """Records the mixer's monitor: every block with the time of its end on the wall's clock."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.ends: list[float] = []
        self._stream = sd.InputStream(
            samplerate=SAMPLE_RATE, channels=2, blocksize=512, latency=0.05, device="default", callback=self._callback
        )

    def _callback(self, samples, frames, times, status) -> None:
        now_s = time.monotonic()
        self.blocks.append(samples.copy())
        self.ends.append(now_s - (times.currentTime - times.inputBufferAdcTime) + frames / SAMPLE_RATE)

    def __enter__(self) -> Ear:
        self._stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.stop()
        self._stream.close()

    def sound(self) -> tuple[np.ndarray, float]:
        """All of it, and when its first sample was captured."""
        counts = np.cumsum([len(block) for block in self.blocks])
        start_s = float(np.median(np.array(self.ends) - counts / SAMPLE_RATE))
        return np.concatenate(self.blocks), start_s


def where(heard: np.ndarray, played: np.ndarray) -> tuple[int, float]:
    """Offset of `played` in `heard` by cross-correlation, and how alike they are there, 0..1."""
    size = 1 << (len(heard) + len(played)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size)), size)
    offset = int(np.argmax(np.abs(product[: len(heard)])))
    part = heard[offset : offset + len(played)]
    if len(part) < len(played) or not part.std():
        return offset, 0.0
    return offset, float(np.corrcoef(part, played)[0, 1])


def lateness(path: Path) -> list[float]:
    """Seconds from what analysis saw of a file to what was heard of it, at the moments that are found again."""
    source = FileSource(path)
    playback = open_playback(source)
    assert playback is not None
    capture = Capture(source)
    with Ear() as ear:
        playback.start()
        with capture:
            while not capture.ended:
                time.sleep(0.02)
            seen, first = capture.raw(0)
            seen_s = capture.time_of(first)
        time.sleep(0.4)
        playback.close()
    heard, heard_s = ear.sound()
    late_s = []
    for at_s in np.arange(0.5, 2.5, 0.2):
        at = round(at_s * SAMPLE_RATE)
        offset, alike = where(heard[:, 0], seen[at : at + SAMPLE_RATE // 5, 0])
        if alike > 0.7:
            late_s.append(heard_s + offset / SAMPLE_RATE - (seen_s + at_s))
    return late_s


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1)])
def test_what_is_heard_at_a_time_is_what_analysis_sees_then(
    virtual_mixer: VirtualMixer, tmp_path: Path, rate: int, channels: int
) -> None:
    path = saved(tmp_path, noise(3.0, rate, channels), rate)
    plays = (lateness(path) for _ in range(3))
    late_s = next((found for found in plays if len(found) >= 4), [])
    assert late_s, "a busy machine may cost moments of the sound, not most of it three times"
    assert abs(np.median(late_s)) < 0.02


def test_a_device_that_wakes_slowly_has_not_vanished(virtual_mixer: VirtualMixer, tmp_path: Path) -> None:
    """A null sink whose monitor was heard renders two seconds at once, and then asks for nothing for as long."""
    source = FileSource(saved(tmp_path, noise(0.5)))
    with virtual_mixer.slow_sink():
        with Capture(open_source("default")) as capture:
            wait_for(lambda: capture.counters().samples > SAMPLE_RATE)
        playback = Playback(source, find_device("default", Direction.OUTPUT))
        with Ear(), Capture(source) as capture:
            playback.start()
            wait_for(lambda: capture.ended)
        counters, state = playback.counters(), playback.state
        playback.close()
    assert state is PlaybackState.PLAYING
    assert counters.losses == 0


def test_a_driver_that_hangs_does_not_keep_a_show_from_ending(
    virtual_mixer: VirtualMixer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    monkeypatch.setattr("engine.audio.playback.GIVE_UP_S", 0.2)
    monkeypatch.setattr(Playback, "_watch_over", lambda self: back.wait(20))
    playback = Playback(FileSource(saved(tmp_path, noise(0.5))), find_device("default", Direction.OUTPUT))
    playback.start()
    start_s = time.monotonic()
    playback.close()
    assert time.monotonic() - start_s < 10
    back.set()
    playback.close()


class Notes:
    """A monitor that notes when it got what."""

    def __init__(self) -> None:
        self.pushed: list[tuple[float, float, np.ndarray]] = []

    def begin(self) -> float:
        return 0.3

    def push(self, block: np.ndarray, end_s: float) -> None:
        self.pushed.append((time.monotonic(), end_s, block))


def test_blocks_come_early_enough_from_the_first_on_and_are_captured_when_they_are_heard(tmp_path: Path) -> None:
    source, notes = FileSource(saved(tmp_path, noise(1.0))), Notes()
    source.monitor = notes
    captured = []
    with source:
        wait_for(lambda: source.state == "ended")
        while (block := source.ring.read()) is not None:
            captured.append((block.captured_s, block.samples))
    assert [end_s for _, end_s, _ in notes.pushed] == pytest.approx([end_s for end_s, _ in captured], abs=1e-9)
    assert np.array_equal(np.concatenate([sound for *_, sound in notes.pushed]), noise(1.0))
    assert np.array_equal(np.concatenate([sound for _, sound in captured]), noise(1.0))
    early_s = [end_s - len(sound) / SAMPLE_RATE - at_s for at_s, end_s, sound in notes.pushed]
    assert min(early_s[:20]) > 0.2
    assert float(np.median(early_s)) == pytest.approx(0.3, abs=0.05)


def test_a_source_that_is_stopped_and_started_again_loses_nothing(tmp_path: Path) -> None:
    source = FileSource(saved(tmp_path, noise(1.0)))
    source.monitor = Notes()
    source.start()
    wait_for(lambda: source.ring.written > 20)
    source.stop()
    source.start()
    wait_for(lambda: source.state == "ended")
    source.close()
    captured = []
    while (block := source.ring.read()) is not None:
        captured.append(block.samples)
    assert np.array_equal(np.concatenate(captured), noise(1.0))


class Hand:
    """A device turned by hand: it takes `rate_hz` frames a second of a clock that stands still by itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rate_hz: float) -> None:
        self.buffer = OutputBuffer(SAMPLE_RATE, 2)
        self.now_s, self._called_s, self._rate_hz = 1000.0, 1000.0, rate_hz
        self.out, self.ahead_s = [np.zeros((0, 2), np.float32)], 0.1
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)

    def turn(self, seconds: float, frames: int = 1024) -> None:
        """Let time pass."""
        until_s = self.now_s + seconds
        while self._called_s <= until_s:
            self.now_s = self._called_s
            self.out.append(np.empty((frames, 2), np.float32))
            self.buffer.take(self.out[-1], self.ahead_s)
            self._called_s += frames / self._rate_hz
        self.now_s = until_s


@pytest.mark.parametrize("slip_s", [-0.2, 0.2])
def test_a_device_that_slips_loses_the_slip_and_no_more(monkeypatch: pytest.MonkeyPatch, slip_s: float) -> None:
    """From one buffer to the next it plays 0.2 s later, or sooner; what waits for it moves along."""
    hand = Hand(monkeypatch, SAMPLE_RATE)
    hand.ahead_s = 0.3
    hand.turn(0.2)
    sound, step = noise(3.0), 256 / SAMPLE_RATE
    start_s = hand.now_s + 0.7
    for k in range(len(sound) // 256):
        if k == 200:
            hand.ahead_s = 0.3 + slip_s
        hand.buffer.put(sound[k * 256 : k * 256 + 256], start_s + k * step)
        hand.turn(step)
    assert hand.buffer.underruns == 0
    assert hand.buffer.dropped == pytest.approx(max(slip_s, 0.0) * SAMPLE_RATE, abs=64)
    heard = np.concatenate(hand.out)[:, 0]
    for at_s, told_s in ((0.2, 0.3), (1.5, 0.3 + slip_s), (2.0, 0.3 + slip_s)):
        at = round(at_s * SAMPLE_RATE)
        offset, alike = where(heard, sound[at : at + SAMPLE_RATE // 5, 0])
        assert alike > 0.9, at_s
        assert offset / SAMPLE_RATE + told_s == pytest.approx(0.9 + at_s, abs=0.005)


@pytest.mark.parametrize("drift", [-0.001, 0.001])
def test_a_device_whose_clock_drifts_is_followed_without_a_click(monkeypatch: pytest.MonkeyPatch, drift: float) -> None:
    """A thousandth fast or slow: 30 ms apart after 30 s if nobody cared."""
    hand = Hand(monkeypatch, SAMPLE_RATE * (1 + drift))
    hand.turn(0.2)
    blocks, step = 30 * SAMPLE_RATE // 256, 256 / SAMPLE_RATE
    wave = 0.5 * np.sin(2 * np.pi * 100 * np.arange(blocks * 256) / SAMPLE_RATE).astype(np.float32)
    offsets_ms = []
    for k in range(blocks):
        block = np.repeat(wave[k * 256 : k * 256 + 256, None], 2, axis=1)
        hand.buffer.put(block, hand.now_s + 0.25)
        hand.turn(step)
        offsets_ms.append(1000 * hand.buffer.offset_s)
    assert np.abs(offsets_ms).max() < 5.0
    assert hand.buffer.corrected == pytest.approx(30 * SAMPLE_RATE * drift, abs=200)
    assert hand.buffer.underruns == hand.buffer.dropped == 0
    heard = np.concatenate(hand.out)[SAMPLE_RATE : 29 * SAMPLE_RATE, 0]
    steepest = 0.5 * 2 * np.pi * 100 / SAMPLE_RATE
    assert np.abs(np.diff(heard)).max() < 1.05 * steepest
    assert np.abs(heard).max() > 0.49


def test_a_feed_that_is_held_up_costs_silence_and_then_is_in_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Hand(monkeypatch, SAMPLE_RATE)
    hand.turn(0.2)
    sound, step = noise(4.0), 256 / SAMPLE_RATE
    start_s = hand.now_s + 0.25
    for k in range(len(sound) // 256):
        if k == 200:
            hand.turn(1.0)  # the blocks of this second come at once, most of them too late
        hand.buffer.put(sound[k * 256 : k * 256 + 256], start_s + k * step)
        hand.turn(max(0.0, start_s - 0.25 + (k + 1) * step - hand.now_s))
    assert hand.buffer.underruns == 1
    assert hand.buffer.dropped == pytest.approx(0.85 * SAMPLE_RATE, rel=0.1)
    heard = np.concatenate(hand.out)[:, 0]
    offset, alike = where(heard, sound[3 * SAMPLE_RATE : -SAMPLE_RATE // 2, 0])
    assert alike > 0.999
    assert offset / SAMPLE_RATE == pytest.approx(0.2 + 0.25 + 3.0 - 0.1, abs=0.03)


def test_a_device_that_vanishes_leaves_the_show_alone_and_is_found_again(
    virtual_mixer: VirtualMixer, tmp_path: Path
) -> None:
    source = FileSource(saved(tmp_path, noise(8.0)))
    playback = Playback(source, find_device("default", Direction.OUTPUT))
    capture = Capture(source)
    playback.start()
    try:
        with capture:
            started_s = time.monotonic()
            wait_for(lambda: capture.counters().samples > SAMPLE_RATE)
            virtual_mixer.stop()
            wait_for(lambda: playback.state is PlaybackState.LOST)
            assert "vanished; the show goes on unheard" in playback.trouble
            virtual_mixer.start()
            wait_for(lambda: playback.state is PlaybackState.PLAYING)
            assert playback.trouble == ""
            wait_for(lambda: capture.ended)
            took_s = time.monotonic() - started_s
        assert np.array_equal(capture.raw(0)[0], noise(8.0))
        assert took_s < 11.0
        assert playback.counters().losses == 1
    finally:
        playback.close()


def wait_for(what: Callable[[], bool], patience_s: float = 30.0) -> None:
    until_s = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_a_device_that_will_not_open_leaves_the_show_unheard(virtual_mixer: VirtualMixer, tmp_path: Path) -> None:
    source = FileSource(saved(tmp_path, noise(0.2)))
    playback = Playback(source, find_device("default", Direction.OUTPUT))
    playback.device = replace(playback.device, name="Gone Card")
    playback.start()
    assert playback.state is PlaybackState.LOST
    assert playback.trouble == "Gone Card: not there any more"
    capture = Capture(source)
    with capture:
        wait_for(lambda: capture.ended)
    playback.close()
    playback.close()


def test_outputs_are_found_by_name_number_and_default(virtual_mixer: VirtualMixer) -> None:
    outputs = list_devices(Direction.OUTPUT)
    mixer = find_device("MIXER", Direction.OUTPUT)
    assert mixer.pulse_name == "mixer"
    assert find_device(str(mixer.index), Direction.OUTPUT) == mixer
    assert find_device("default", Direction.OUTPUT).name == "default"
    assert len({device.index for device in outputs}) == len(outputs)
    with pytest.raises(DeviceError, match=r"no audio output 'no such'; .* would be accepted"):
        find_device("no such", Direction.OUTPUT)


def test_what_is_not_played_aloud(virtual_mixer: VirtualMixer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = FileSource(saved(tmp_path, noise(0.1)))
    assert open_playback(file, mute=True) is None
    assert open_playback(open_source("default")) is None
    monkeypatch.setattr(sd, "query_devices", lambda: sd.DeviceList())
    assert open_playback(file) is None
    with pytest.raises(DeviceError, match="no audio output 'speakers': this machine has none"):
        open_playback(file, "speakers")
