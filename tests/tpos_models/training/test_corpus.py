import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tpos_models.errors import MissingFileError, ModelError
from tpos_models.training.audio.corpus import Teachers, collect, collected, ogg_streams, sounds_of
from tpos_models.training.audio.data import SCORED_EVERY_S, Kind, tagged_clip
from tpos_models.training.audio.scenes import Composer
from tpos_models.training.music.piece import Piece

RATE = 44_100


class Loud:
    """Hears a tone as rain, and says nothing of anything else."""

    def scores(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        assert rate == RATE
        spectrum = np.abs(np.fft.rfft(samples))
        return {"Rain": float(spectrum.max() > 20 * spectrum.mean()), "Music": 0.0}


class Deaf:
    def scores(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        return {"Rain": 0.5}


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_what_teachers_hear_is_kept_second_by_second(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 4 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.concatenate([noise, tone(4.0)]), RATE)
    teachers = Teachers([Loud(), Deaf()])
    assert collect(tmp_path, tmp_path / "out", teachers) == 1
    assert collect(tmp_path, tmp_path / "out", teachers) == 0
    (clip,) = collected(tmp_path / "out")
    assert clip.names == ("rain", "music")
    assert clip.kind is Kind.TAGGED
    assert clip.label == "rain"
    rain = clip.chances[:, 0]
    assert len(rain) == np.ceil(8.0 / SCORED_EVERY_S)
    assert rain[3] == pytest.approx(0.25)  # one of two hears it, at half
    assert rain[-1] == pytest.approx(0.75)
    column = round(7.9 * RATE / 512)
    assert clip.heard_at(column)[0] == pytest.approx(0.75)
    assert clip.heard_at(round(2.0 * RATE / 512))[0] == pytest.approx(0.25)
    with pytest.raises(MissingFileError, match=r"no \.npz of tpos train corpus"):
        collected(tmp_path / "out", ["a"])


def test_a_class_of_several_names_is_one_sound_and_music_is_filed_as_music() -> None:
    db = np.full((64, 800), -30, np.float16)
    scores = np.array([[0.9, 0.1, 0.3], [0.9, 0.6, 0.02]], np.float32)
    music = tagged_clip(db, scores, ["Music", "Raindrop", "Rain"], "x")
    assert (music.kind, music.label) == (Kind.MUSIC, "music")
    assert music.names == ("music", "rain")
    np.testing.assert_allclose(music.chances[:, 1], [0.3, 0.6], atol=1e-3)
    rain = tagged_clip(db, scores[:, [1, 2]], ["Raindrop", "Rain"], "x")
    assert (rain.kind, rain.label) == (Kind.TAGGED, "rain")
    composer = Composer([music, rain])
    assert composer.bank == ["music", "noise", "rain", "silence"]


def test_what_a_render_plays_is_known_from_its_notes(tmp_path: Path) -> None:
    notes = {"kick": [(0.0, 0.2, 1.0), (4.0, 4.2, 0.2)], "piano": [(3.0, 6.0, 0.8)]}
    piece = Piece("a", "techno", 6.0, (4, 4), (0.0, 0.5), (0.0,), (), notes)
    soundfile.write(tmp_path / "a.wav", tone(6.0), RATE)
    piece.save(tmp_path / "a.json")
    collect(tmp_path, tmp_path / "out", Teachers([Deaf()]))
    (clip,) = collected(tmp_path / "out")
    assert clip.kind is Kind.RENDERED
    by_name = dict(zip(clip.names, clip.chances.T.astype(float), strict=True))
    np.testing.assert_allclose(by_name["kick"][[0, 1, 3]], [1, 1, 0])
    assert by_name["kick"][5] == pytest.approx(0.5, abs=1e-3)  # a quarter as loud as the piano
    np.testing.assert_allclose(by_name["piano"][[0, 3, 7]], [0, 0, 1])
    np.testing.assert_allclose(by_name["techno"], 0.5)
    assert "rain" not in by_name


def test_ogg_streams_are_found_in_archives(tmp_path: Path) -> None:
    for k, seconds in enumerate((0.5, 0.25)):
        soundfile.write(tmp_path / f"{k}.ogg", tone(seconds), RATE)
    one, two = ((tmp_path / f"{k}.ogg").read_bytes() for k in (0, 1))
    data = b"header" + one + two + b"between" + one
    assert [len(stream) for stream in ogg_streams(data)] == [len(one), len(two), len(one)]
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(data) + packer.flush()
    assert list(ogg_streams(b"\x1e\x8c" + packed[2:])) == [one, two, one]
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "Sound.ocg").write_bytes(b"\x1e\x8c" + packed[2:])
    (folder / "broken.wav").write_bytes(b"not a sound")
    assert [round(samples.size / RATE, 2) for _, samples, _ in sounds_of(folder)] == [0.5, 0.25, 0.5]


def test_teachers_come_from_a_python_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none.py: a Python file"):
        Teachers.load(tmp_path / "none.py")
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(ModelError, match=r"empty.py: no class with scores"):
        Teachers.load(tmp_path / "empty.py")
    (tmp_path / "one.py").write_text("class One:\n    def scores(self, samples, rate):\n        return {'Rain': 0.5}\n")
    assert Teachers.load(tmp_path / "one.py").names == ("Rain",)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("class Loud(:", "SyntaxError: invalid syntax"),
        ("import no_such_tagger", "ModuleNotFoundError: No module named 'no_such_tagger'"),
        (
            "class Loud:\n    scores = 0\n    def __init__(self):\n        raise OSError('no\\nweights')",
            "OSError: no weights",
        ),
        ("class Quiet:\n    def scores(self, samples, rate):\n        return None", "TypeError"),
    ],
)
def test_teachers_that_fail_are_told_in_a_line(program: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "taggers.py").write_text(program)
    with pytest.raises(ModelError) as error:
        Teachers.load(tmp_path / "taggers.py")
    assert str(error.value).startswith(f"{tmp_path / 'taggers.py'}: {told}")
    assert "\n" not in str(error.value)


class Tired:
    """Hears three times what there is, and then no more."""

    def __init__(self) -> None:
        self.left = 3

    def scores(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        self.left -= 1
        if self.left < 0:
            raise OSError("no\nmore")
        return {"Rain": 0.5}


def test_a_teacher_that_fails_on_the_way_is_told_in_a_line_and_what_it_heard_is_kept(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, tone(0.5), RATE)
    with pytest.raises(ModelError, match=r"^a teacher failed: OSError: no more; what") as error:
        collect(tmp_path, tmp_path / "out", Teachers([Tired()]))
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav-0.npz"]


def test_a_corpus_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    with pytest.raises(ModelError, match=r"a\.npz: cannot be read"):
        collected(tmp_path)
