"""One session's files: how they end, and a disk that fills up while they grow."""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from engine.core.clock import VirtualClock
from engine.recording.recorder import Recorder
from engine.recording.session import SessionRecord, SessionState, open_session, write_record
from engine.recording.session_writer import SessionWriter
from export.media.reading import read_frames, read_sound, read_video_info
from tpos_models.errors import StorageError

FPS, RATE, SIZE = 20, 8_000, (32, 32)
GREY = np.full((32, 32, 3), 128, np.uint8)
MIB = 2**20


class Usage(NamedTuple):
    """As `shutil.disk_usage` gives it."""

    total: int
    used: int
    free: int


class Disk:
    """A disk of which the test says how much is free."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 10_000 * MIB
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(20_000 * MIB, 0, self.free))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def open_writer(folder: Path, spare_bytes: int = 0) -> SessionWriter:
    """A session whose time 0 is 0 on the show's clock."""
    folder.mkdir()
    record = SessionRecord("2026-01-02T03:04:05.000+00:00", os.getpid(), SIZE, FPS, RATE, 1)
    return SessionWriter(folder, record, "", 0.0, spare_bytes)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SessionWriter]:
    writer = open_writer(tmp_path / "set")
    yield writer
    writer.abandon()


@pytest.mark.parametrize("sound_s", [1.0, 2.9])
def test_picture_and_sound_end_together_wherever_the_sound_broke_off(writer: SessionWriter, sound_s: float) -> None:
    writer.sound(np.full(round(sound_s * RATE), 0.5, np.float32), 0, sound_s)
    for k in range(round(max(sound_s, 2.5) * FPS)):
        writer.picture(GREY, k / FPS)
    writer.finish(3.0)
    wanted_s = 3.0 if sound_s < 2.5 else sound_s  # what came within half a second of the end needs no silence
    sound, _ = read_sound(writer.folder / "audio.flac")
    assert len(sound) / RATE == pytest.approx(wanted_s, abs=0.01)
    assert np.flatnonzero(sound)[-1] == round(sound_s * RATE) - 1
    info = read_video_info(writer.folder / "video.mp4")
    assert info.duration_s == pytest.approx(wanted_s, abs=1 / FPS)
    assert info.audio_duration_s == pytest.approx(wanted_s, abs=0.13)  # AAC comes in frames of 1024 samples
    assert writer.counters.silence_s == pytest.approx(wanted_s - sound_s, abs=0.01)


def test_stems_lie_beside_the_sound_whatever_was_lost_before_or_came_too_late(writer: SessionWriter) -> None:
    """A chunk without stems, one with them, a hole, and one of which silence has taken half the place."""
    chunk = np.linspace(0.1, 0.9, RATE, dtype=np.float32)
    stems = np.stack([chunk, -chunk, 0 * chunk, 0 * chunk], axis=1)
    writer.sound(chunk, 0, 1.0)
    before = writer.size_bytes
    assert not (writer.folder / "stems.flac").exists()
    writer.sound(chunk, RATE, 2.0, stems)
    writer.keep_up(5.0)  # silence until 4.5 s
    writer.sound(chunk, 4 * RATE, 5.0, stems)
    assert writer.size_bytes > before
    writer.finish(5.0)
    sound = read_sound(writer.folder / "audio.flac")[0][:, 0]
    kept = read_sound(writer.folder / "stems.flac")[0]
    assert len(sound) == len(kept) == 5 * RATE
    assert sound[:RATE].any()
    assert not kept[:RATE].any()
    np.testing.assert_array_equal(kept[RATE:, 0], sound[RATE:])
    np.testing.assert_array_equal(kept[RATE:, 1], -sound[RATE:])
    assert not kept[:, 2:].any()
    assert not sound[2 * RATE : 4 * RATE + RATE // 2].any()
    assert sound[4 * RATE + RATE // 2 :].all()
    both = np.concatenate(list(open_session(writer.folder).sound().blocks()))
    np.testing.assert_array_equal(both, np.column_stack([sound, kept]))


def test_without_any_sound_a_film_is_as_long_as_its_pictures(writer: SessionWriter) -> None:
    for k in range(2 * FPS):
        writer.picture(GREY, k / FPS)
    writer.finish(2.0)
    assert read_video_info(writer.folder / "video.mp4").duration_s == pytest.approx(2.0, abs=1 / FPS)
    assert sum(1 for _ in read_frames(writer.folder / "video.mp4")) == 2 * FPS


def test_the_disk_is_watched_once_a_second(tmp_path: Path, disk: Disk) -> None:
    writer = open_writer(tmp_path / "set", spare_bytes=100 * MIB)
    writer.report(1.5)
    disk.free = 99 * MIB
    writer.report(2.4)
    with pytest.raises(StorageError, match=r"disk nearly full: 99 MiB free in .*, 100 are needed"):
        writer.report(2.6)
    writer.abandon()


def test_a_disk_that_fills_up_ends_the_recording_with_its_reason(tmp_path: Path, disk: Disk) -> None:
    clock = VirtualClock()
    recorder = Recorder(tmp_path, SIZE, FPS, RATE, 1, clock, min_free_mib=400)
    recorder.start("set")
    for k in range(4 * FPS):
        if k == 2 * FPS:
            disk.free = 99 * MIB
        recorder.offer(GREY, k / FPS)
        recorder.audio(np.full(RATE // FPS, 0.1, np.float32), k * RATE // FPS, (k + 1) / FPS)
        recorder.log(clock.now(), "note", {})
        while recorder.status.state == "recording" and recorder.status.counters.log_lines <= k:
            time.sleep(0.0005)
        clock.sleep(1 / FPS)
    [summary] = recorder.stop()
    assert summary.error.startswith("disk nearly full: 99 MiB free")
    session = open_session("set", tmp_path)
    assert session.info.state == "failed"
    assert session.info.error == summary.error
    counters = summary.counters
    assert counters.offered == 4 * FPS == counters.written + sum(counters.dropped.values())
    assert counters.written >= 2 * FPS - 1
    assert read_video_info(tmp_path / "set" / "video.mp4").duration_s >= 1.5


def test_progress_lines_say_how_far_the_files_are(writer: SessionWriter) -> None:
    for k in range(3 * FPS):
        writer.picture(GREY, k / FPS)
        writer.sound(np.zeros(RATE // FPS, np.float32), k * RATE // FPS, (k + 1) / FPS)
        writer.report((k + 1) / FPS)
    writer.finish(3.0)
    lines = [line for line in open_session(writer.folder).log if line.kind == "progress"]
    assert [round(line.time_s) for line in lines] == [1, 2, 3]
    assert [line.data["frames"] for line in lines] == pytest.approx([FPS, 2 * FPS, 3 * FPS], abs=2)
    assert [line.data["size_bytes"] for line in lines] == sorted(line.data["size_bytes"] for line in lines)


def boxes(path: Path) -> list[str]:
    """The names of an MP4 file's outermost boxes, in order (ISO/IEC 14496-12, 4.2); a last one may be cut short."""
    data, at, names = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        names.append(name.decode("ascii"))
        at += size or len(data)
    return names


def film(writer: SessionWriter, seconds: float) -> None:
    rng = np.random.default_rng(0)
    for k in range(round(seconds * FPS)):
        writer.sound(np.full(RATE // FPS, 0.1, np.float32), k * RATE // FPS, (k + 1) / FPS)
        writer.picture(rng.integers(0, 255, (32, 32, 3), np.uint8), k / FPS)


def test_while_it_runs_a_film_reaches_the_disk_in_fragments_of_half_a_second(writer: SessionWriter) -> None:
    film(writer, 6.0)
    fragments = boxes(writer.folder / "video.mp4").count("moof")
    assert fragments >= 6.0 / 0.5 - 2
    on_disk_s = read_video_info(writer.folder / "video.mp4").duration_s
    assert on_disk_s >= 6.0 - 1.2


def test_a_finished_film_is_a_plain_mp4(writer: SessionWriter) -> None:
    film(writer, 3.0)
    writer.finish(3.0)
    names = boxes(writer.folder / "video.mp4")
    assert names.count("moov") == 1
    assert "moof" not in names
    assert b"mvex" not in (writer.folder / "video.mp4").read_bytes().split(b"moov")[-1]
    assert read_video_info(writer.folder / "video.mp4").duration_s == pytest.approx(3.0, abs=1 / FPS)


@pytest.mark.parametrize("harm", ["flipped", "cut", "no head", "gone"])
def test_a_damaged_sound_gives_way_to_that_of_the_film(writer: SessionWriter, harm: str) -> None:
    """Noise that rises: what is missing in the middle would move the rest."""
    rising = np.linspace(0.03, 0.2, 4 * RATE, dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal(4 * RATE, np.float32) * rising
    for k in range(4 * FPS):
        part = slice(k * RATE // FPS, (k + 1) * RATE // FPS)
        writer.sound(noise[part], part.start, (k + 1) / FPS)
        writer.picture(GREY, k / FPS)
    writer.finish(4.0)
    write_record(writer.folder, replace(writer.record, state=SessionState.COMPLETE, duration_s=4.0))
    path, told = writer.folder / "audio.flac", list[str]()
    sound = open_session(writer.folder).sound(told.append)
    assert (sound.samples, sound.sample_rate, told) == (4 * RATE, RATE, [])
    whole = path.read_bytes()
    middle = len(whole) // 2 + 30
    path.write_bytes(
        {
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],  # it decodes, to a click
            "cut": whole[:middle],
            "no head": bytes(64) + whole[64:],
            "gone": whole,
        }[harm]
    )
    if harm == "gone":
        path.unlink()
    sound = open_session(writer.folder).sound(told.append)
    samples = np.concatenate(list(sound.blocks()))
    assert (len(samples), sound.sample_rate) == (sound.samples, RATE)
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.15)
    levels = np.sqrt((samples[: 4 * RATE - RATE // 4, 0].reshape(-1, RATE // 4) ** 2).mean(1))
    assert levels == pytest.approx(rising[RATE // 8 :: RATE // 4][: len(levels)], abs=0.04), "AAC's, in its place"
    assert len(told) == 1
    assert "audio.flac" in told[0]
    assert "film's own sound" in told[0]
