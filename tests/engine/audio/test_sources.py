"""Files as sources; what cannot be read; the way to 44.1 kHz."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf

from engine.audio import SAMPLE_RATE
from engine.audio.capture import Capture
from engine.audio.inputs import looks_like_file, open_source
from engine.audio.resample import Intake, mono, read_sound
from engine.audio.sound_file import AudioFile
from engine.audio.sources import FileSource, SynthSource
from engine.core import own_thread
from engine.core.clock import VirtualClock, WallClock
from engine.core.messages import SoundState
from tpos_models.errors import DeviceError, MediaError, MissingFileError

pytestmark = pytest.mark.realtime


def tone(seconds: float, rate: int = SAMPLE_RATE, hz: float = 1000.0, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def wav(
    folder: Path, samples: np.ndarray, rate: int = SAMPLE_RATE, name: str = "x.wav", subtype: str = "FLOAT"
) -> Path:
    sf.write(folder / name, samples, rate, subtype=subtype if name.endswith("wav") else None)
    return folder / name


def whole(path: Path) -> np.ndarray:
    return np.concatenate(list(read_sound(AudioFile(path))))


def play_through(capture: Capture, seconds: float = 20.0) -> np.ndarray:
    deadline_s = time.monotonic() + seconds
    with capture:
        while not capture.ended:
            assert time.monotonic() < deadline_s, "the file never ended"
            time.sleep(0.01)
        time.sleep(0.05)
    return capture.raw(0)[0]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_formats_of_libsndfile(tmp_path: Path, suffix: str) -> None:
    samples = whole(wav(tmp_path, tone(1.0, channels=2), name=f"x.{suffix}"))
    assert samples.shape[1] == 2
    assert len(samples) == pytest.approx(SAMPLE_RATE, abs=3000)
    assert np.sqrt((samples[5000:30000] ** 2).mean()) == pytest.approx(0.35, abs=0.03)


def test_formats_of_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "x.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="stereo")
        samples = tone(1.0, 48_000, channels=2)
        for at in range(0, len(samples), 1024):
            part = np.ascontiguousarray(samples[at : at + 1024].T)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.rate, frame.pts = 48_000, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    heard = whole(path)
    assert heard.shape[1] == 2
    assert np.sqrt((heard[5000:30000] ** 2).mean()) == pytest.approx(0.35, abs=0.03)
    assert AudioFile(path).duration_s == pytest.approx(1.0, abs=0.1)


def test_what_is_not_sound_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("this is a shopping list\n" * 100)
    (tmp_path / "empty.wav").touch()
    sf.write(tmp_path / "header.wav", np.zeros((0, 1)), 44_100)
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    for name, reason in (
        ("notes.wav", "not a sound file"),
        ("empty.wav", "is empty"),
        ("header.wav", "holds no samples"),
        ("silent.mp4", "has no sound"),
    ):
        with pytest.raises(MediaError, match=rf"{name}: {reason}.*give") as caught:
            open_source(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    with pytest.raises(MissingFileError, match=r"gone\.wav: no such file"):
        open_source(str(tmp_path / "gone.wav"))
    with pytest.raises(MediaError, match="not a file"):
        open_source(str(tmp_path))


def test_a_truncated_file_plays_what_is_there_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cut.wav", "cut.flac"):
        path = wav(tmp_path, rng.uniform(-0.5, 0.5, (2 * SAMPLE_RATE, 1)).astype(np.float32), name=name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        file = AudioFile(path)
        heard = sum(len(chunk) for chunk in file.chunks())
        assert 0.85 * SAMPLE_RATE < heard < 1.1 * SAMPLE_RATE
        assert "cut short" in file.warning
        assert name in file.warning


def test_a_file_is_paced_in_real_time(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (SAMPLE_RATE, 2)).astype(np.float32)
    capture = Capture(FileSource(wav(tmp_path, samples)))
    begin_s = time.monotonic()
    heard = play_through(capture)
    assert time.monotonic() - begin_s > 0.95
    np.testing.assert_array_equal(heard, samples)
    assert capture.time_of(SAMPLE_RATE) - capture.time_of(0) == pytest.approx(1.0, abs=1e-3)
    counters = capture.counters()
    assert (counters.overruns, counters.filled, counters.samples) == (0, 0, SAMPLE_RATE)
    assert capture.latest().time_s == pytest.approx(capture.time_of(SAMPLE_RATE // 512 * 512), abs=1e-3)


def test_on_a_virtual_clock_a_file_waits_for_nobody_and_loses_nothing(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (6 * SAMPLE_RATE, 1)).astype(np.float32)
    capture = Capture(FileSource(wav(tmp_path, samples), VirtualClock()))
    np.testing.assert_array_equal(play_through(capture), samples)
    assert capture.counters().overruns == 0


class HeldUp(WallClock):
    """Of a process that was stopped for a while."""

    held_s = 0.0

    def now(self) -> float:
        return super().now() + self.held_s


@pytest.mark.parametrize(("held_s", "later_s"), [(0.5, 0.0), (20.0, 20.0)])
def test_a_file_that_was_held_up_catches_up_a_little_and_after_long_goes_on(
    tmp_path: Path, held_s: float, later_s: float
) -> None:
    samples, clock = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * SAMPLE_RATE, 1)).astype(np.float32), HeldUp()
    capture = Capture(FileSource(wav(tmp_path, samples), clock), clock)
    began_s = time.monotonic()
    with capture:
        while capture.counters().samples < SAMPLE_RATE // 2:
            assert time.monotonic() < began_s + 20.0
            time.sleep(0.01)
        clock.held_s = held_s
        heard = play_through(capture)
    np.testing.assert_array_equal(heard, samples)
    assert time.monotonic() - began_s > 1.9 - held_s + later_s
    assert capture.time_of(len(samples)) - began_s == pytest.approx(2.0 + later_s, abs=0.4)


def test_a_loop_goes_round_without_a_gap(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (5000, 1)).astype(np.float32)
    with Capture(FileSource(wav(tmp_path, samples), VirtualClock(), loop=True)) as capture:
        deadline_s = time.monotonic() + 20
        while capture.counters().samples < 20_000:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        heard, start = capture.raw(0)
    np.testing.assert_array_equal(heard[: 15_000 - start, 0], np.tile(samples[:, 0], 3)[start:])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets no open file be deleted")
def test_a_looped_file_that_is_deleted_is_silence_until_it_is_there_again(tmp_path: Path) -> None:
    path = wav(tmp_path, tone(0.4))
    kept = path.read_bytes()

    def wait_for(met: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 20
        while not met():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    with Capture(FileSource(path, loop=True)) as capture:
        wait_for(lambda: capture.latest().level > 0.01)
        path.unlink()
        wait_for(lambda: capture.latest().state is SoundState.LOST)
        assert not capture.ended
        assert "audio-feed failed" in " ".join(own_thread.troubles())
        path.write_bytes(kept)
        wait_for(lambda: capture.latest().level > 0.01)


def test_eight_channels_at_192_khz(tmp_path: Path) -> None:
    path = wav(tmp_path, tone(1.0, 192_000, channels=8), 192_000)
    capture = Capture(FileSource(path))
    heard = play_through(capture)
    assert capture.channels == 2
    assert len(heard) == pytest.approx(SAMPLE_RATE, abs=1200)  # the resampler keeps its last milliseconds
    ideal = tone(1.0)[2000:40000, 0]
    np.testing.assert_allclose(heard[2000:40000, 1], ideal, atol=2e-3)


def test_nans_become_silence_and_are_counted(tmp_path: Path) -> None:
    samples = tone(1.0, channels=2)
    samples[1000:1010, 0] = np.nan
    samples[2000, 1] = np.inf
    samples[3000, 1] = -np.inf
    capture = Capture(FileSource(wav(tmp_path, samples)))
    heard = play_through(capture)
    assert capture.counters().bad_samples == 12
    assert np.isfinite(heard).all()
    assert not heard[1000:1010, 0].any()
    assert np.isfinite(capture.window(1.0).samples).all()


def test_channels_of_a_file_are_picked(tmp_path: Path) -> None:
    samples = np.stack([np.full(SAMPLE_RATE // 4, v, np.float32) for v in (0.1, 0.2, 0.3, 0.4)], axis=1)
    path = wav(tmp_path, samples)
    heard = play_through(Capture(open_source(str(path), channels=(4, 3))))
    np.testing.assert_allclose(heard[100], [0.4, 0.3])
    with pytest.raises(DeviceError, match=r"channels 1\.\.4, not 5"):
        open_source(str(path), channels=(5,))


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
def test_resampling_is_the_same_however_it_is_cut(rate: int) -> None:
    samples = tone(1.0, rate, hz=700)
    at_once = Intake(rate, 1).push(samples, last=True)
    intake = Intake(rate, 1)
    cuts = np.split(samples, np.sort(np.random.default_rng(0).integers(0, len(samples), 30)))
    parts = [intake.push(cut) for cut in cuts] + [intake.push(samples[:0], last=True)]
    np.testing.assert_allclose(np.concatenate(parts), at_once, atol=1e-5)
    np.testing.assert_allclose(mono(at_once)[2000:-2000], tone(1.0, hz=700)[2000 : len(at_once) - 2000, 0], atol=2e-3)


def test_what_input_names() -> None:
    assert looks_like_file("set.flac")
    assert looks_like_file("nowhere/set")
    assert not looks_like_file("alsa_output.pci-0000_00_1f.3.analog-stereo.monitor")
    assert isinstance(open_source("synth"), SynthSource)
