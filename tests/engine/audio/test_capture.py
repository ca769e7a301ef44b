"""Sound through a real (virtual) sound card: PulseAudio, ALSA, PortAudio, the ring, the analysis thread."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from virtual_audio import RATE, VirtualMixer

from engine.audio import SAMPLE_RATE
from engine.audio.capture import Capture
from engine.audio.devices import DeviceSource, will_not_open
from engine.audio.inputs import open_source
from engine.audio.portaudio import find_device, list_devices, portaudio
from engine.core.messages import ShowState
from engine.core.stems import Stem
from tpos_models.errors import DeviceError, MissingPart

pytestmark = pytest.mark.realtime


def wait_for(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline_s = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline_s, "it never happened"
        time.sleep(0.02)


def tone(seconds: float, hz: float = 440.0, amplitude: float = 0.3, rate: int = RATE) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def hears(capture: Capture, hz: float, stem: str = "") -> bool:
    """Whether the last half second is mainly this pitch; a starved machine may tear a tone, so ask again."""
    window = capture.window(0.5)
    samples = (dict(window.stems)[stem] if stem else window).samples
    if len(samples) < SAMPLE_RATE // 2:
        return False
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return abs(float(np.argmax(spectrum)) * SAMPLE_RATE / len(samples) - hz) < 5


def test_a_tone_played_into_the_mixer_is_heard(virtual_mixer: VirtualMixer) -> None:
    with Capture(open_source("default")) as capture:
        player = virtual_mixer.play(tone(8.0))
        wait_for(lambda: capture.latest().loudness_db > -20 and capture.latest().level > 0.5)
        wait_for(lambda: hears(capture, 440))
        assert capture.latest().state == "ok"
        assert abs(time.monotonic() - capture.window(0.5).time_s) < 10
        counters = capture.counters()
        player.kill()
        player.wait()
    assert counters.blocks > 20
    assert counters.overruns == counters.losses == counters.bad_samples == 0


def test_every_sample_comes_once_and_in_time(virtual_mixer: VirtualMixer) -> None:
    with Capture(open_source("default")) as capture:
        wait_for(lambda: capture.counters().samples > SAMPLE_RATE // 4)
        parts, at = [], 0
        while at < SAMPLE_RATE:
            part, start = capture.raw(at)
            assert start == at
            parts.append(part)
            at += len(part)
            time.sleep(0.05)
        whole, start = capture.raw(0)
        age_s = time.monotonic() - capture.time_of(at)
    assert start == 0
    np.testing.assert_array_equal(np.concatenate(parts), whole[:at])
    assert whole.shape[1] == capture.channels == 2
    assert -0.1 < age_s < 2.0


def test_the_clock_of_the_samples_is_the_shows_clock(virtual_mixer: VirtualMixer) -> None:
    click = np.zeros(RATE // 2, np.float32)
    click[:2000] = 0.8
    with Capture(open_source("default")) as capture:
        wait_for(lambda: capture.counters().samples > SAMPLE_RATE // 4)
        before_s = time.monotonic()
        virtual_mixer.play(click, latency_ms=30).wait()
        after_s = time.monotonic()
        wait_for(lambda: capture.latest().time_s > after_s)
        raw, start = capture.raw(0)
        onset_s = capture.time_of(start + int(np.argmax(np.abs(raw[:, 0]) > 0.1)))
    assert np.abs(raw).max() > 0.1
    assert before_s - 0.4 < onset_s < after_s + 0.4  # a null sink renders ahead of its own clock


def test_a_monitor_is_listed_and_can_be_opened_by_name(virtual_mixer: VirtualMixer) -> None:
    monitors = [d for d in list_devices() if d.is_monitor]
    assert [d.name for d in monitors] == ["mixer.monitor"]
    assert monitors[0].channels == 2
    assert find_device(str(monitors[0].index)) == find_device("MIXER.mon") == monitors[0]
    with Capture(open_source("mixer.monitor")) as capture:
        player = virtual_mixer.play(tone(2.0))
        wait_for(lambda: capture.latest().loudness_db > -20)
        player.wait()


def test_one_channel_of_a_pair_is_picked(virtual_mixer: VirtualMixer) -> None:
    pair = np.stack([tone(8.0, 300), tone(8.0, 1200)], axis=1)
    with Capture(open_source("default", channels=(2,))) as capture:
        player = virtual_mixer.play(pair)
        wait_for(lambda: capture.latest().loudness_db > -20)
        wait_for(lambda: hears(capture, 1200))
        player.kill()
        player.wait()
    assert capture.channels == 1


LOW, HIGH = Stem("low", (1, 2)), Stem("high", (4,))


def test_stems_are_heard_on_their_own_channels_beside_the_first_two(virtual_mixer: VirtualMixer) -> None:
    four = np.stack([tone(8.0, hz) for hz in (300, 300, 900, 2000)], axis=1)
    with virtual_mixer.desk():
        source = open_source("desk.monitor", reach=4)
        assert (source.channels, source.picks) == (4, (0, 1))
        with Capture(source, state=lambda: ShowState(stems=(LOW, HIGH))) as capture:
            player = virtual_mixer.play(four)
            wait_for(lambda: capture.latest().loudness_db > -20)
            wait_for(lambda: hears(capture, 300) and hears(capture, 300, "low") and hears(capture, 2000, "high"))
            assert dict(capture.latest().stems)["high"].loudness_db > -20
            player.kill()
            player.wait()
        assert capture.trouble == ""
        assert capture.channels == 2
        assert open_source("desk.monitor", reach=9).channels == 4, "no more than there are"


def test_a_device_that_comes_back_smaller_is_heard_as_far_as_it_goes(
    virtual_mixer: VirtualMixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source("default", reach=4)
    state = ShowState(stems=(LOW, HIGH))
    query = portaudio().query_devices
    with Capture(source, state=lambda: state) as capture:
        wait_for(lambda: capture.counters().samples > SAMPLE_RATE // 4)
        assert capture.trouble == ""
        virtual_mixer.stop()
        wait_for(lambda: source.state == "lost")
        virtual_mixer.start()
        smaller = lambda *which: {**query(*which), "max_input_channels": 2} if which else query()  # noqa: E731
        monkeypatch.setattr(portaudio(), "query_devices", smaller)
        wait_for(lambda: source.state == "ok")
        player = virtual_mixer.play(np.stack([tone(8.0, 300)] * 2, axis=1))
        wait_for(lambda: hears(capture, 300) and hears(capture, 300, "low"))
        assert not dict(capture.window(0.1).stems)["high"].samples.any()
        assert capture.trouble == "default: back with 2 of 4 channels, the rest is silent"
        player.kill()
        player.wait()


def test_unknown_and_impossible_devices_are_refused(virtual_mixer: VirtualMixer) -> None:
    with pytest.raises(DeviceError, match=r"no audio input 'mixr.monitor'; .*mixer\.monitor, a sound file"):
        find_device("mixr.monitor")
    with pytest.raises(DeviceError, match="no audio input '99'"):
        open_source("99")
    with pytest.raises(DeviceError, match=r"mixer\.monitor: has channels 1\.\.2, not 3,4"):
        open_source("mixer.monitor", channels=(3, 4))


def test_a_device_that_will_not_open_says_why(virtual_mixer: VirtualMixer) -> None:
    too_many = replace(find_device("default"), channels=64)
    with pytest.raises(DeviceError, match=r"default: will not open \(.*channels.*\); 'tpos devices'"):
        DeviceSource(too_many, channels=(60,)).start()


def test_busy_and_vanished_devices_are_told_apart(virtual_mixer: VirtualMixer) -> None:
    device = find_device("default")
    busy = will_not_open(device, portaudio().PortAudioError("Error opening InputStream", -9985))
    assert busy.startswith("default: busy, another program holds it")
    with pytest.raises(DeviceError, match="Gone Card: not there any more"):
        DeviceSource(replace(device, name="Gone Card")).start()


def test_without_portaudio_devices_are_missing_and_files_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    for ask in (list_devices, lambda: open_source("default")):
        with pytest.raises(MissingPart, match="sudo apt install libportaudio2"):
            ask()
    sf.write(tmp_path / "x.wav", tone(0.1), RATE)
    assert open_source(str(tmp_path / "x.wav")).sample_rate == RATE
    assert open_source("synth").channels == 1


def test_start_stop_and_close_may_be_repeated(virtual_mixer: VirtualMixer) -> None:
    capture = Capture(open_source("default"))
    capture.start()
    capture.start()
    wait_for(lambda: capture.counters().samples > 4096)
    capture.stop()
    capture.stop()
    frozen = capture.counters().samples
    assert not capture.running
    capture.start()
    wait_for(lambda: capture.counters().samples > frozen + 4096)
    capture.close()
    capture.close()


def test_a_lost_device_is_found_again(virtual_mixer: VirtualMixer) -> None:
    source = open_source("default")
    assert isinstance(source, DeviceSource)
    with Capture(source) as capture:
        wait_for(lambda: capture.counters().samples > SAMPLE_RATE // 4)
        virtual_mixer.stop()
        wait_for(lambda: capture.latest().state == "lost")
        meanwhile = capture.counters().samples
        wait_for(lambda: capture.counters().samples > meanwhile + SAMPLE_RATE // 4)
        assert capture.window(0.3).samples.max() == 0
        virtual_mixer.start()
        wait_for(lambda: source.state == "ok")
        player = virtual_mixer.play(tone(8.0))
        wait_for(lambda: capture.latest().loudness_db > -20 and capture.latest().state == "ok")
        counters = capture.counters()
        lateness_s = time.monotonic() - capture.time_of(counters.samples)
        player.kill()
        player.wait()
    assert counters.losses >= 1
    assert counters.filled > SAMPLE_RATE // 4
    assert -0.2 < lateness_s < 2.0
