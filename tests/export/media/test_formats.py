"""Formats of films, read back: what is in the file, that it plays after a crash, alpha, and what a machine lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from export.media import formats
from export.media.formats import FORMATS, choose_format, light
from export.media.reading import read_frames, read_sound
from export.media.video import VideoWriter
from tpos_models.errors import InputError

RATE = 48_000
WORDS = ("h264", "prores", "prores4444", "av1")
CODECS = {"h264": "h264", "prores": "prores", "prores4444": "prores", "av1": "av1"}
FOURCC = {"prores": "apcn", "prores4444": "ap4h"}
"""Of Apple's QuickTime: ProRes 422 and ProRes 4444."""


def pictures() -> list[np.ndarray]:
    """A bar that goes from left to right, over black."""
    shown = []
    for i in range(10):
        image = np.zeros((48, 64, 3), np.uint8)
        image[8:40, 4 + 4 * i : 20 + 4 * i] = (200, 100, 50)
        shown.append(image)
    return shown


def write(path: Path, word: str, live: bool = False) -> VideoWriter:
    video = VideoWriter(path, (64, 48), 25, RATE, live=live, form=choose_format(word, "record-format"))
    for i, image in enumerate(pictures()):
        video.write_video(image, i / 25)
        video.write_audio(np.full((RATE // 25, 2), 0.25, np.float32), i * RATE // 25)
    return video


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("word", WORDS)
def test_a_film_holds_what_was_written(tmp_path: Path, word: str, live: bool):
    path = tmp_path / f"film{FORMATS[word].suffix}"
    write(path, word, live).close()
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.codec.canonical_name == CODECS[word]
        if word in FOURCC:
            assert stream.codec_context.codec_tag == FOURCC[word]
    frames = list(read_frames(path))
    assert [round(time_s * 25) for time_s, _ in frames] == list(range(10))
    for (_, seen), image in zip(frames, pictures(), strict=True):
        if word != "prores4444":
            assert np.abs(seen.astype(int) - image).mean() < 4
    assert read_sound(path)[1] == RATE


def test_prores_422_has_ten_bits_and_each_picture_alone(tmp_path: Path):
    write(tmp_path / "film.mov", "prores").close()
    with av.open(str(tmp_path / "film.mov")) as film:
        assert all(packet.is_keyframe for packet in film.demux(video=0) if packet.size)
        film.seek(0)
        assert next(film.decode(video=0)).format.name == "yuv422p10le"


def test_prores_4444_over_black_is_the_picture_and_black_is_transparent(tmp_path: Path):
    write(tmp_path / "film.mov", "prores4444").close()
    with av.open(str(tmp_path / "film.mov")) as film:
        frames = [frame.to_ndarray(format="rgba") for frame in film.decode(video=0)]
    for seen, image in zip(frames, pictures(), strict=True):
        alpha = seen[..., 3:].astype(float) / 255
        assert np.abs(seen[..., :3] * alpha - image).mean() < 3
        assert alpha[:4].max() < 0.02


def test_light_over_black_is_what_it_was():
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    rgba = light(image).astype(float)
    assert np.abs(rgba[..., :3] * rgba[..., 3:] / 255 - image).max() <= 0.51
    assert np.array_equal(rgba[..., 3], image.max(-1))


@pytest.mark.parametrize("word", WORDS)
def test_a_live_film_plays_after_a_crash(tmp_path: Path, word: str):
    path = tmp_path / f"film{FORMATS[word].suffix}"
    video = VideoWriter(path, (64, 48), 25, RATE, live=True, form=choose_format(word, "record-format"))
    for i in range(60):
        video.write_video(pictures()[i % 10], i / 25)
        video.write_audio(np.zeros((RATE // 25, 2), np.float32), i * RATE // 25)
    shutil.copy(path, tmp_path / f"crashed{path.suffix}")
    video.close()
    assert len(list(read_frames(tmp_path / f"crashed{path.suffix}"))) >= 20


def test_what_this_machine_lacks_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="--record-format cinepak: h264, prores"):
        choose_format("cinepak", "record-format")
    monkeypatch.setattr(formats, "FORMATS", {**FORMATS, "av1": formats.VideoFormat("av1", "librav1e-of-mars")})
    with pytest.raises(
        InputError, match=r"librav1e-of-mars cannot be opened here .*prores.* would be accepted"
    ) as told:
        choose_format("av1", "record-format")
    assert "\n" not in str(told.value)


def test_a_name_must_fit_its_format():
    with pytest.raises(InputError, match=r"film\.mp4: a name ending in \.mov is accepted for prores"):
        choose_format("prores", "format", Path("film.mp4"))
    assert choose_format(None, "format", Path("film.mov")) is FORMATS["prores"]
    with pytest.raises(InputError, match=r"film\.avi: a name ending in \.mp4"):
        choose_format(None, "format", Path("film.avi"))
