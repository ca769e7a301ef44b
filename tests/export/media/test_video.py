"""Files written and read back: counts, times, colours, and what is left after trouble."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from export.media.formats import PLAIN
from export.media.reading import read_frames, read_sound, read_video_info
from export.media.video import VideoWriter
from export.media.writing import SoundWriter
from tpos_models.errors import InputError, MediaError, MissingFileError, StorageError

FPS, RATE = 30, 44_100
CLICKS_S = (0.5, 1.0, 2.0)


def flat(level: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), level, np.uint8)


def clicks(seconds: float, channels: int = 2) -> np.ndarray:
    samples = np.zeros((round(seconds * RATE), channels), np.float32)
    for time_s in CLICKS_S:
        samples[round(time_s * RATE) :][:40] = 0.8
    return samples


def write_show(path: Path, seconds: float = 2.5, **options: object) -> None:
    """Flash frames and clicks at CLICKS_S."""
    sound = clicks(seconds)
    with VideoWriter(path, (64, 48), FPS, RATE, **options) as writer:  # type: ignore[arg-type]
        for k in range(round(seconds * FPS)):
            writer.write_video(flat(255 if k / FPS in CLICKS_S else 0), k / FPS)
            start, stop = round(k * RATE / FPS), round((k + 1) * RATE / FPS)
            writer.write_audio(sound[start:stop], start)


def onsets_s(samples: np.ndarray, rate: int) -> list[float]:
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.3)
    return [float(i / rate) for i in loud[np.diff(loud, prepend=-rate) > rate // 10]]


@pytest.mark.parametrize("options", [{"live": True}, {}, {"form": PLAIN}, {"form": PLAIN, "live": True}])
def test_flash_and_click_come_back_together(tmp_path: Path, options: dict) -> None:
    path = tmp_path / "show.mp4"
    write_show(path, **options)
    info = read_video_info(path)
    assert (info.width, info.height, info.fps, info.frames) == (64, 48, FPS, 75)
    assert info.codec == ("mpeg4" if options.get("form") else "h264")
    assert info.duration_s == pytest.approx(2.5, abs=0.001)
    assert info.audio_duration_s == pytest.approx(2.5, abs=0.03)
    flashes = [time_s for time_s, image in read_frames(path) if image.mean() > 128]
    assert flashes == pytest.approx(CLICKS_S, abs=0.001)
    assert onsets_s(*read_sound(path)) == pytest.approx(CLICKS_S, abs=0.003)
    assert [p.name for p in tmp_path.iterdir()] == ["show.mp4"]


def test_colours_come_back_and_are_tagged_bt709(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (128, 128, 128), (0, 0, 0), (200, 120, 40)]
    path = tmp_path / "colours.mp4"
    with VideoWriter(path, (64, 64), FPS) as writer:
        for k, colour in enumerate(colours):
            writer.write_video(np.broadcast_to(np.array(colour, np.uint8), (64, 64, 3)), k / FPS)
    for colour, (_, image) in zip(colours, read_frames(path), strict=True):
        assert np.abs(image[16:48, 16:48].reshape(-1, 3).mean(0) - colour).max() <= 3
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
    assert tags == (1, 1, 1, 1)


def test_odd_sides_repeat_their_last_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    image = np.zeros((35, 51, 3), np.uint8)
    image[-3:], image[:, -3:] = 250, 250
    with VideoWriter(path, (51, 35), FPS) as writer:
        writer.write_video(image, 0.0)
    ((_, back),) = read_frames(path)
    assert back.shape == (36, 52, 3)
    assert back[-1].mean() > 230
    assert back[:, -1].mean() > 230
    assert back[:30, :46].mean() < 10


def test_a_picture_of_another_size_fills_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "scaled.mp4"
    with VideoWriter(path, (64, 48), FPS) as writer:
        writer.write_video(flat(200, (160, 90)), 0.0)
    ((_, back),) = read_frames(path)
    assert back.shape == (48, 64, 3)
    assert abs(float(back.mean()) - 200) < 3


def test_gaps_become_silence_and_overlaps_are_cut(tmp_path: Path) -> None:
    with SoundWriter(tmp_path / "raw.flac", RATE, 1) as writer:
        writer.write(np.full((1000, 1), 0.25, np.float32), -400)
        writer.write(np.full((1000, 1), 0.5, np.float32), 500)
        writer.write(np.full((10, 1), np.nan, np.float32), 2000)
        writer.write(np.full((100, 1), 0.9, np.float32), 100)
        assert writer.position == 2010
    samples, rate = read_sound(tmp_path / "raw.flac")
    assert (samples.shape, rate) == ((2010, 1), RATE)
    expected = np.concatenate([np.full(600, 0.25), np.full(900, 0.5), np.zeros(510)])
    assert np.abs(samples[:, 0] - expected).max() < 2**-22


def test_repeats_and_bad_times(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "x.mp4", (64, 48), FPS) as writer:
        with pytest.raises(InputError, match="write one first"):
            writer.repeat_video(0.0)
        writer.write_video(flat(90), 0.0)
        writer.repeat_video(1 / FPS)
        with pytest.raises(InputError, match=r"later than 0\.033 s"):
            writer.repeat_video(1 / FPS)
        with pytest.raises(InputError, match="uint8"):
            writer.write_video(np.zeros((48, 64, 3), np.float32), 1.0)
        with pytest.raises(InputError, match="without audio"):
            writer.write_audio(np.zeros((1, 2), np.float32), 0)
    writer.close()
    with pytest.raises(InputError, match="closed"):
        writer.write_video(flat(0), 2.0)
    assert read_video_info(tmp_path / "x.mp4").frames == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x.mkv", (64, 48), 30), "ending in .mp4"),
        (("x.mp4", (1, 48), 30), "2x2 to 8192x8192"),
        (("x.mp4", (64, 48), 0), "1 to 240"),
        (("x.mp4", (64, 48), 30, 192_000), "48000"),
        (("x.mp4", (64, 48), 30, 44_100, 6), "1 or 2"),
    ],
)
def test_what_cannot_be_encoded_is_refused(tmp_path: Path, arguments: tuple, says: str) -> None:
    with pytest.raises(InputError, match=says):
        VideoWriter(tmp_path / arguments[0], *arguments[1:])
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_nothing_and_ctrl_c_keeps_the_film(tmp_path: Path) -> None:
    def film(error: type[BaseException], name: str) -> None:
        with VideoWriter(tmp_path / name, (64, 48), FPS, RATE) as writer:
            writer.write_video(flat(50), 0.0)
            raise error

    with pytest.raises(ZeroDivisionError):
        film(ZeroDivisionError, "broken.mp4")
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        film(KeyboardInterrupt, "kept.mp4")
    assert read_video_info(tmp_path / "kept.mp4").frames == 1
    VideoWriter(tmp_path / "empty.mp4", (64, 48), FPS).close()
    assert [p.name for p in tmp_path.iterdir()] == ["kept.mp4"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "absent"):
        with pytest.raises(StorageError, match="cannot write"):
            VideoWriter(folder / "x.mp4", (64, 48), FPS)


def top_boxes(path: Path) -> list[tuple[str, bytes]]:
    """ISO/IEC 14496-12, 4.2: a box is its size in four bytes (1: in the eight that follow the type), its type, ..."""
    data, at, boxes = path.read_bytes(), 0, []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        size = struct.unpack_from(">Q", data, at + 8)[0] if size == 1 else size
        assert 8 <= size <= len(data) - at
        boxes.append((kind.decode("ascii"), data[at : at + size]))
        at += size
    return boxes


def test_at_any_moment_of_a_live_film_all_but_its_last_half_second_plays(tmp_path: Path) -> None:
    path = tmp_path / "show.mp4"
    rng = np.random.default_rng(0)
    lost = []
    with VideoWriter(path, (64, 48), FPS, RATE, live=True) as writer:
        for k in range(3 * FPS):
            writer.write_video(rng.integers(0, 255, (48, 64, 3)).astype(np.uint8), k / FPS)
            writer.write_audio(np.zeros((RATE // FPS, 2), np.float32), k * RATE // FPS)
            if k >= FPS:
                lost.append(k + 1 - sum(1 for _ in read_frames(path)))
        assert "moof" in dict(top_boxes(path))
    assert max(lost) <= 0.5 * FPS + 4, "half a second, and what the interleaving holds back"
    assert sum(1 for _ in read_frames(path)) == 3 * FPS


@pytest.mark.parametrize("live", [True, False])
def test_a_closed_film_is_plain(tmp_path: Path, live: bool) -> None:
    path = tmp_path / "show.mp4"
    write_show(path, live=live)
    boxes = top_boxes(path)
    kinds = [kind for kind, _ in boxes]
    assert kinds[0] == "ftyp"
    assert kinds.count("moov") == kinds.count("mdat") == 1
    assert set(kinds) <= {"ftyp", "free", "moov", "mdat"}
    assert b"mvex" not in dict(boxes)["moov"], "its index does not speak of fragments either"


@contextmanager
def disk_of(size_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond `size_bytes`: what does not fit is written short, as on a full disk."""
    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill_disk(path: Path, size_bytes: int, *, live: bool) -> int:
    """Write noise until the disk is full, and give up; the pictures that were taken."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    with disk_of(size_bytes):
        writer = VideoWriter(path, (160, 120), FPS, RATE, 1, live=live)

        def write_on() -> None:
            for k in range(3000):
                writer.write_video(np.roll(noise, k, 1), k / FPS)
                writer.write_audio(np.zeros((RATE // FPS, 1), np.float32), k * RATE // FPS)

        with pytest.raises(StorageError, match=r"^cannot write .*: File too large"):
            write_on()
        writer.abort()
    return writer.frames


def test_a_full_disk_leaves_no_half_written_film(tmp_path: Path) -> None:
    fill_disk(tmp_path / "x.mp4", 400_000, live=False)
    assert not list(tmp_path.iterdir())


def test_a_disk_full_at_any_byte_leaves_the_live_film_so_far(tmp_path: Path) -> None:
    """Also one full within the header of a fragment, which players would not get past."""
    path = tmp_path / "x.mp4"
    fill_disk(path, 400_000, live=True)
    header = path.read_bytes().rindex(b"moof") - 4
    for size_bytes in (header - 1, *range(header, header + 400, 50)):
        written = fill_disk(path, size_bytes, live=True)
        assert read_video_info(path).frames >= written - FPS
        assert sum(1 for _ in read_frames(path)) >= written - FPS


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no file"):
        read_video_info(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(MediaError, match="cannot read"):
        read_video_info(tmp_path / "text.mp4")
    with VideoWriter(tmp_path / "silent.mp4", (64, 48), FPS) as writer:
        writer.write_video(flat(0), 0.0)
    with pytest.raises(MediaError, match="no sound"):
        read_sound(tmp_path / "silent.mp4")
