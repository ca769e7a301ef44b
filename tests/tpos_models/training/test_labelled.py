"""VGGSound's table, Landscape's folders and plain ones: what is read, called what, and held out."""

from __future__ import annotations

import av
import numpy as np
import pytest
import soundfile

from tpos_models.errors import MediaError, MissingFileError
from tpos_models.training.audio.labelled import labelled_sounds, read_sound

TONE = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)).astype(np.float32)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def named(folder, sounds):
    return {(str(sound.path.relative_to(folder)), sound.label, sound.held_out) for sound in sounds}


def write_video(path):
    """A second of a tone as AAC beside a picture, as VGGSound's clips are."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("mpeg4", rate=10), container.add_stream("aac", rate=48_000)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray(np.stack([TONE, 0 * TONE]), format="fltp", layout="stereo")
        sound.sample_rate = 48_000
        container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def test_vggsound_is_read_by_its_table(tmp_path, caplog):
    (tmp_path / "vggsound.csv").write_text(
        "--0PQM4-hqg,30,waterfall burbling,train\n"
        '-_x2Bb9qU,5,"people eating, noodle",test\n'
        "gone,120,waterfall burbling,train\n"
        "-_x2Bb9qU,115,playing theremin,train\n"
    )
    for name in (
        "a/--0PQM4-hqg_000030.mp4",
        "a/--0PQM4-hqg_000030.wav",
        "-_x2Bb9qU_000005.mp4",
        "b/c/-_x2Bb9qU_000115.flac",
    ):
        touch(tmp_path / name)
    touch(tmp_path / "b" / "unlisted_000000.wav")
    assert named(tmp_path, labelled_sounds(tmp_path)) == {
        ("a/--0PQM4-hqg_000030.wav", "waterfall burbling", False),
        ("-_x2Bb9qU_000005.mp4", "people eating, noodle", True),
        ("b/c/-_x2Bb9qU_000115.flac", "playing theremin", False),
    }
    assert "1 of its 4 clips are not here" in caplog.text


@pytest.mark.parametrize("row", ["an id,thirty,rain,train", "an id,30,rain", "an id,30,rain,trian"])
def test_a_wrong_row_is_named(tmp_path, row):
    (tmp_path / "vggsound.csv").write_text(f"x,1,rain,train\n{row}\n")
    with pytest.raises(MediaError, match=r"vggsound.csv, line 2: a YouTube id, whole seconds"):
        labelled_sounds(tmp_path)


def test_landscape_keeps_its_splits(tmp_path):
    for name in ("train/fire_crackling/1.mp4", "train/raining/1.mp4", "test/raining/2.wav", "train/raining/notes.txt"):
        touch(tmp_path / name)
    assert named(tmp_path, labelled_sounds(tmp_path)) == {
        ("train/fire_crackling/1.mp4", "fire crackling", False),
        ("train/raining/1.mp4", "raining", False),
        ("test/raining/2.wav", "raining", True),
    }


@pytest.mark.parametrize(("count", "held_out"), [(1, []), (2, [1]), (9, [8]), (25, [4, 14, 24])])
def test_of_plain_folders_a_tenth_is_held_out(tmp_path, count, held_out):
    for i in range(count):
        touch(tmp_path / "wind" / f"{i:02}.wav")
    assert [i for i, sound in enumerate(labelled_sounds(tmp_path)) if sound.held_out] == held_out


def test_an_empty_folder_says_what_it_may_hold(tmp_path):
    with pytest.raises(MissingFileError, match=r"no labelled sounds; LABEL/NAME.wav.*vggsound.csv"):
        labelled_sounds(tmp_path)


def test_the_sound_of_a_video_is_that_of_its_wav(tmp_path):
    write_video(tmp_path / "clip.mp4")
    soundfile.write(tmp_path / "clip.wav", np.stack([TONE, 0 * TONE], axis=1), 48_000)
    for name in ("clip.mp4", "clip.wav"):
        mono = read_sound(tmp_path / name, 44_100)[8000:36_000]
        amplitude = (
            2 * np.abs(np.fft.rfft(mono * np.hanning(mono.size)))[: mono.size // 2] / np.hanning(mono.size).sum()
        )
        assert amplitude.argmax() * 44_100 / mono.size == pytest.approx(1000, abs=2)
        assert amplitude.max() == pytest.approx(0.25, abs=0.02)  # the mean of two channels, one of them silent


def test_what_holds_no_sound_is_named(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 44_100)
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    for name in ("bad.wav", "empty.wav", "mute.mp4", "absent.wav"):
        with pytest.raises(MediaError, match=name):
            read_sound(tmp_path / name, 44_100)
