"""The index of a live film: what FFmpeg reads through it, and what it costs while the show goes on."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from export.media.formats import FORMATS, VideoFormat
from export.media.fragments import FragmentIndex
from export.media.reading import read_video_info
from export.media.video import VideoWriter
from export.media.writing import Sink

FPS, RATE, SIZE = 30, 44_100, (64, 48)

GROWTH = """
import sys
import numpy as np, psutil
from export.media.video import VideoWriter

process, second = psutil.Process(), np.zeros((44_100, 1), np.float32)
film = VideoWriter(sys.argv[1], (16, 16), 30, 44_100, 1, live=True)
film.write_video(np.zeros((16, 16, 3), np.uint8), 0)
for at_s in range(2100):
    if at_s == 300:
        before = process.memory_info().rss
    film.write_audio(second, at_s * 44_100)
    for picture in range(30):
        if film.frames <= at_s * 30 + picture:
            film.repeat_video(at_s + picture / 30)
print(process.memory_info().rss - before)
film.close()
"""
"""Half an hour of a show after its first five minutes, in packets as small as they can be."""


def write(path: Path, form: VideoFormat | None, seconds: float = 4.0) -> VideoWriter:
    """A film that is still open: noise, with a hole of two pictures."""
    rng = np.random.default_rng(0)
    film = VideoWriter(path, SIZE, FPS, RATE, live=True, form=form)
    for k in range(round(seconds * FPS)):
        if k not in (50, 51):
            film.write_video(rng.integers(0, 255, (*SIZE[::-1], 3), np.uint8) >> k % 5, k / FPS)
        film.write_audio(rng.normal(0, 0.1, (RATE // FPS, 2)).astype(np.float32), k * (RATE // FPS))
    return film


def packets(path: Path) -> dict[str, list[tuple]]:
    """All that FFmpeg finds, by the kind of its stream."""
    found: dict[str, list[tuple]] = {"video": [], "audio": []}
    with av.open(str(path)) as film:
        for packet in film.demux():
            if packet.size:
                seen = packet.pts, packet.dts, packet.duration, packet.is_keyframe, bytes(packet)
                found[packet.stream.type].append(seen)
    return found


def boxes(path: Path) -> Iterator[str]:
    data, at = path.read_bytes(), 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind.decode()
        at += int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size


@pytest.mark.parametrize(("form", "name"), [(None, "film.mp4"), (FORMATS["prores"], "film.mov")])
def test_a_closed_film_is_a_plain_one_with_every_packet_that_its_fragments_had(
    tmp_path, monkeypatch, form, name
) -> None:
    """FFmpeg reads one by its fragments, as they are where nothing is put at its end, the other by the index."""
    left, closed = tmp_path / f"left-{name}", tmp_path / name
    write(closed, form).close()
    monkeypatch.setattr(FragmentIndex, "finish", lambda index: None)
    write(left, form).close()
    assert "moof" in [*boxes(left)]
    assert [kind for kind in boxes(closed) if kind != "wide"] == ["ftyp", "mdat", "moov"]
    told, found = packets(left), packets(closed)
    assert len(found["video"]) == 4 * FPS - 2
    assert len({packet[0] for packet in found["video"]}) == 4 * FPS - 2
    assert found == told
    info = read_video_info(closed)
    assert info.frames == 4 * FPS - 2
    assert (info.duration_s, info.audio_duration_s) == pytest.approx((4.0, 4.0), abs=0.03)


def test_keyframes_are_found_by_the_index(tmp_path) -> None:
    """One of thirty pictures is one; two were left out before the third of them."""
    write(tmp_path / "film.mp4", None).close()
    with av.open(str(tmp_path / "film.mp4")) as film:
        stream = film.streams.video[0]
        film.seek(round(2.5 * av.time_base))
        packet = next(film.demux(stream))
        assert packet.is_keyframe
        assert float((packet.pts or 0) * (stream.time_base or 0)) == pytest.approx(62 / FPS)


def test_a_show_of_hours_keeps_less_than_five_megabytes_of_each(tmp_path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path / "film.mp4")], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 2.5e6


def test_more_than_four_gigabytes_and_durations_that_need_64_bits_are_indexed(tmp_path) -> None:
    """FFmpeg's own fragments, far behind a hole in a sparse file, and days apart."""
    path, far = tmp_path / "film.mp4", 5 * 2**30
    write(path, None, 2.0).abort()
    whole = path.read_bytes()
    at = whole.index(b"moof") - 4
    with open(path, "wb") as file:
        file.write(whole[:at] + struct.pack(">I4sQ", 1, b"free", far - at))
        file.seek(far)
        file.write(_later(whole[at:], far - at, 2**31))
    sink = _Appended(path)
    index = FragmentIndex(path, sink)
    index.finish()
    index.close()
    sink.close()
    with av.open(str(path)) as film:
        video = film.streams.video[0]
        first = next(packet for packet in film.demux(video) if packet.size)
        assert (first.pos or 0) > far
        assert bytes(first) in whole
        assert (video.duration or 0) > 2**32


class _Appended(Sink):
    """A sink of a file that is there already."""

    def __init__(self, path: Path) -> None:
        self.name, self.size_bytes, self._synced = str(path), path.stat().st_size, False
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115 - closed by the test


def _later(fragments: bytes, by: int, time: int) -> bytes:
    """The same fragments, `by` bytes further on, and each `time` units of its track later than it was to the last."""
    data, at, number = bytearray(fragments), 0, -1
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"moof":
            number += 1
            for name, offset, more in ((b"tfhd", 12, by), (b"tfdt", 8, number * time)):
                field = at
                while (field := data.find(name, field + 4, at + size)) >= 0:
                    (value,) = struct.unpack_from(">Q", data, field + offset)
                    struct.pack_into(">Q", data, field + offset, value + more)
        at += size
    return bytes(data)
