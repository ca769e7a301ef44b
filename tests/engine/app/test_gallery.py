"""The paper's page, played back: films, sheet and page read from the disk, refusals, and what a second call keeps."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from engine.app.gallery import load_examples
from engine.control import presets
from export.media.reading import read_frames, read_sound, read_video_info
from tpos_models.pocket.synth.sounds import NAMES, synthesise
from tpos_models.registry import load

RATE = 44_100
SMALL = ("--size", "64x48", "--fps", "4")
FACES = {"face_sobbing", "face_giggling"}


class Links(HTMLParser):
    """Everything that a page points to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {"src": [], "href": [], "poster": []}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in self.found and value:
                self.found[name].append(value)


def halves(film: Path) -> tuple[np.ndarray, np.ndarray]:
    """(frames, height, width, 3) of the plain prompt and of the sound."""
    frames = np.stack([frame for _, frame in read_frames(film)]).astype(float)
    width = (frames.shape[2] - 8) // 2
    return frames[:, :, :width], frames[:, :, -width:]


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """2 s of silence and 2 s of fire, in stereo and not at our rate, for the beach and for a face."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    sound = np.concatenate([np.zeros(64_000, np.float32), synthesise("fire", 2.0, 2, 32_000)])
    for name in ("beach_fire", "face_giggling"):
        sf.write(folder / f"{name}.wav", np.stack([sound, sound], 1), 32_000)
    return folder


def test_a_recording_over_a_beach(tpos, tmp_path, recordings):
    out = tmp_path / "a" / "gallery"
    made = tpos("gallery", "--out", out, "--only", "beach_fire", "--sounds", recordings, "--seconds", "3.5", *SMALL)
    assert made == {"page": str(out / "index.html"), "made": ["beach_fire"], "refused": {}}

    info = read_video_info(out / "beach_fire.mp4")
    assert (info.width, info.height, info.frames, info.fps, info.channels) == (64 + 8 + 64, 48, 14, 4, 2)
    sound = np.abs(read_sound(out / "beach_fire.mp4")[0]).max(1)
    assert sound[: round(1.9 * RATE)].max() < 0.01 < sound[2 * RATE :].max()

    plain, heard = halves(out / "beach_fire.mp4")
    assert np.abs(plain[0] - heard[0]).mean() < 4  # silence is the plain prompt, but for what H.264 loses
    assert np.abs(plain[-1] - heard[-1]).mean() > 10
    redder = (heard - plain)[-1, 24:].mean((0, 1))
    assert redder[0] > redder[2]  # the lower half, in flames

    lines = 2  # the two faces
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.size == (5 * 192, 20 + (20 + 48) + lines * 20)
    with Image.open(out / "beach_fire.png") as image:
        strip = np.asarray(image)[20:].astype(float)
    for column, still in enumerate((plain[-1], heard[3], heard[6], heard[9], heard[-1])):
        shown = strip[:, column * 192 : column * 192 + 64]
        assert np.abs(shown - still).mean() < 8, column  # what H.264 loses of so small a picture

    links = Links(out / "index.html").found
    assert links == {
        "src": ["beach_fire.mp4", "contact_sheet.png"],
        "href": ["contact_sheet.png"],
        "poster": ["beach_fire.png"],
    }
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "a sandy beach by the sea, soft light + fire crackling" in page
    assert page.count("Not made: pocket does not draw &quot;face&quot;") == lines


def test_the_blast_grows_with_its_sound(tpos, tmp_path):
    tpos("gallery", "--out", tmp_path, "--only", "volcano_explosion", "--size", "96x96", "--fps", "2")
    plain, heard = halves(tmp_path / "volcano_explosion.mp4")
    assert len(plain) == 16
    distances = np.sqrt(((heard - plain) ** 2).mean((1, 2, 3))).reshape(4, 4).mean(1)
    assert distances[0] < distances[1] < distances[2]
    assert distances[3] > 2 * distances[0]
    sound = read_sound(tmp_path / "volcano_explosion.mp4")[0]
    early, late = (20 * np.log10(np.sqrt((part**2).mean())) for part in (sound[: 2 * RATE], sound[-2 * RATE :]))
    assert late - early >= 12


def test_a_second_call_keeps_whole_films_where_asked(tpos, tmp_path):
    call = ("gallery", "--out", tmp_path, "--only", "city_rain", "--seconds", "0.5", *SMALL)
    film, strip = tmp_path / "city_rain.mp4", tmp_path / "city_rain.png"
    tpos(*call)
    first = film.stat().st_mtime_ns
    tpos(*call, "--resume")
    assert film.stat().st_mtime_ns == first
    strip.unlink()  # as if the call before had been stopped
    tpos(*call, "--resume")
    assert film.stat().st_mtime_ns > first
    assert strip.exists()


def test_pocket_refuses_a_face_in_one_line(tpos, tmp_path, recordings):
    made = tpos("gallery", "--out", tmp_path, "--only", "face_giggling", "--sounds", recordings)
    assert made["made"] == []
    assert list(made["refused"]) == ["face_giggling"]
    assert made["refused"]["face_giggling"].startswith('pocket does not draw "face"')
    assert "\n" not in made["refused"]["face_giggling"]
    assert not list(tmp_path.glob("*.mp4"))


def test_another_model_draws_what_it_can_and_wants_a_recording_of_giggling(tpos, tmp_path, recordings):
    call = ("gallery", "--out", tmp_path, "--only", "face_giggling", "--model", "random:tiny-lcm", "--steps", "2")
    assert "face_giggling.wav" in tpos(*call)["refused"]["face_giggling"]
    made = tpos(*call, "--sounds", recordings, "--seconds", "0.5", *SMALL)
    assert (made["made"], made["refused"]) == (["face_giggling"], {})
    assert read_video_info(tmp_path / "face_giggling.mp4").frames == 2


def test_fifteen_examples_that_pocket_can_draw_but_for_the_faces():
    examples = load_examples()
    assert len(examples) == 15
    assert {name for name, example in examples.items() if not example.made} == FACES
    text = load("pocket").text
    for name, example in examples.items():
        state = presets.to_state(presets.load(example.preset))
        assert set(example.made) <= set(NAMES)
        assert 0 < example.amount <= 1
        assert bool(text.unknown(example.prompt or state.prompts[0].text)) == (name in FACES)
