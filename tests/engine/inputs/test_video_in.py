"""Live pictures: a film at its own pace and over and over, what freezes, vanishes and comes back, bad input."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from engine.core.clock import VirtualClock, WallClock
from engine.inputs.film import FilmSource
from engine.inputs.registry import open_source
from engine.inputs.video_in import FREEZES_S, VideoIn, smaller
from export.media.reading import read_frames, read_last_frame
from export.media.video import VideoWriter
from tpos_models.errors import InputError, MediaError, MissingPart

FPS = 25
GREYS = tuple(range(20, 220, 20))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures, each of one grey, the next brighter."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with VideoWriter(path, (64, 48), FPS) as video:
        for i, grey in enumerate(GREYS):
            video.write_video(np.full((48, 64, 3), grey, np.uint8), i / FPS)
    return path


class FastStop(threading.Event):
    """Lets a virtual clock pass instead of waiting."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.sleep(timeout or 0.0)
        return self.is_set()


def test_a_film_goes_round_at_its_own_pace(film: Path):
    clock = VirtualClock(100.0)
    frames = FilmSource(film, clock).frames(FastStop(clock))
    for i in range(2 * len(GREYS) + 3):
        seen = smaller(next(frames), 48)
        assert clock.now() - 100.0 == pytest.approx(i / FPS, abs=1e-3)
        assert abs(int(seen.mean()) - GREYS[i % len(GREYS)]) <= 3


QUARTER = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
"""A track's matrix (ISO 14496-12, 8.3.2): turned clockwise by a quarter, moved back by its 48 rows."""


def test_a_film_that_a_phone_wrote_lying_on_its_side_is_upright(tmp_path: Path):
    path, lying = tmp_path / "phone.mp4", np.zeros((48, 64, 3), np.uint8)
    lying[:, :32] = 200
    with VideoWriter(path, (64, 48), FPS) as video:
        video.write_video(lying, 0.0)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = QUARTER
    path.write_bytes(data)
    seen = smaller(next(FilmSource(path, VirtualClock()).frames(threading.Event())), 48)
    for image in (seen, read_last_frame(path), next(read_frames(path))[1]):
        assert image.shape == (64, 48, 3)
        assert image[:28].min() > 180, "its left is its top"
        assert image[36:].max() < 20


def test_a_film_that_nobody_had_time_for_is_not_late(film: Path):
    clock = VirtualClock()
    source = FilmSource(film, clock)
    frames = source.frames(FastStop(clock))
    next(frames)
    clock.sleep(5.5 / FPS)
    late = smaller(next(frames), 48)
    assert abs(int(late.mean()) - GREYS[5]) <= 3
    assert source.skipped == 4


def test_a_machine_that_cannot_keep_up_shows_what_it_can(film: Path):
    clock = VirtualClock()
    frames = FilmSource(film, clock).frames(FastStop(clock))
    for i in range(5):
        assert abs(int(smaller(next(frames), 48).mean()) - GREYS[i]) <= 3
        clock.sleep(1.0)


def test_pictures_are_as_small_as_they_may_be_and_nobody_changes_them(film: Path):
    frame = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 7, np.uint8), "rgb24")
    assert smaller(frame, 120).shape == (120, 160, 3)
    assert smaller(frame, 1000).shape == (480, 640, 3)
    with pytest.raises(ValueError, match="read-only"):
        smaller(frame, 120)[0, 0, 0] = 1


class Fitful:
    """A source that breaks off, ends, or falls silent, as the test asks."""

    name = "fitful"

    def __init__(self) -> None:
        self.next: list[object] = []
        self.opened = 0

    def frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        self.opened += 1
        while not stop.wait(0.005):
            now = self.next.pop(0) if self.next else "silence"
            if isinstance(now, Exception):
                raise now
            if now == "end":
                return
            if isinstance(now, int):
                yield av.VideoFrame.from_ndarray(np.full((16, 16, 3), now, np.uint8), "rgb24")


def until(true: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_freezes_or_vanishes_is_said_and_its_last_picture_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.inputs.video_in.AGAIN_S", 0.01)
    source, clock = Fitful(), VirtualClock()
    back: list[str] = []
    with VideoIn(source, clock) as video:
        video.back = back.append
        assert video.newest() is None
        assert not video.trouble
        clock.sleep(FREEZES_S + 0.1)
        assert "no picture" in video.trouble
        assert "from noise" in video.trouble
        source.next.append(50)
        until(lambda: video.count == 1)
        assert not video.trouble
        assert back == ["video in, fitful: pictures come"]
        assert (first := video.newest())
        assert first.time_s == clock.now()
        assert int(first.image[0, 0, 0]) == 50
        clock.sleep(FREEZES_S + 0.1)
        assert "no picture" in video.trouble
        assert "the last one stays" in video.trouble
        source.next.append(MediaError("the cable is out"))
        until(lambda: "the cable is out" in video.trouble)
        assert video.newest() is first
        source.next += ["end", 90]
        until(lambda: video.count == 2)
        assert not video.trouble
        assert len(back) == 2
        assert source.opened >= 3


def test_a_source_that_is_closed_gives_no_more(film: Path):
    video = VideoIn(FilmSource(film, clock := WallClock()), clock).start()
    until(lambda: video.count > 2)
    video.close()
    count = video.count
    time.sleep(3 / FPS)
    assert video.count == count


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("absent.mp4", "a film file, camera"),
        ("camera:no such", "no such camera"),
        ("camera:77", "v4l2 cannot open /dev/video77"),
        ("screen:640", "WIDTHxHEIGHT"),
    ],
)
@pytest.mark.skipif("sys.platform != 'linux'", reason="v4l2 and X11 are Linux's")
def test_bad_input_is_one_line(spec: str, says: str):
    with pytest.raises(InputError, match=says) as refused:
        open_source(spec, WallClock())
    assert "\n" not in str(refused.value)
    assert spec in str(refused.value)


def test_a_file_without_a_picture_is_no_film(tmp_path: Path):
    (tmp_path / "film.mp4").write_text("no film")
    with pytest.raises(MediaError, match="cannot read"):
        open_source(str(tmp_path / "film.mp4"), WallClock())


@pytest.mark.parametrize("word", ["spout", "syphon"])
@pytest.mark.skipif("sys.platform != 'linux'", reason="both are of other systems")
def test_what_this_system_has_not_is_said(word: str):
    with pytest.raises(MissingPart, match=rf"tpos-live\[{word}\]"):
        open_source(word, WallClock())
