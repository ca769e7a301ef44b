"""A venue's file: read and checked, written, and read again while the show plays."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from render_scenes import direct_linear_transform, through

from engine.outputs.venue.mapper import Mapper
from engine.outputs.venue.venue import Venue, find, read, save
from engine.render.mapping.mapping import SQUARE, Curve, Lie, Mapping, Mesh, SoftEdges
from tpos_models.errors import InputError, PresetError

FULL = """
schema = 1

[outputs."window:1"]
part = [0, 0, 0.55, 1]
rotate = 90
fit = "contain"
corners = [[0.1, 0], [1.05, 0.02], [1, 1], [0, 0.9]]
colour = [1, 0.9, 0.8]
gamma = 1.2
keep = [[[0, 0], [1, 0], [0.5, 1]]]
hide = [[[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]], [[0.5, 0.5], [0.6, 0.5], [0.6, 0.6], [0.5, 0.6]]]
mask = "stage.png"

[outputs."window:1".mesh]
columns = 3
rows = 2
curve = "straight"
points = [[0, 0], [0.5, 0.1], [1, 0], [0, 1], [0.5, 0.9], [1, 1]]

[outputs."window:1".soft]
right = 0.2
gamma = 2.4

[outputs.first]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    image = np.zeros((4, 8, 4), np.uint8)
    image[:, :4, :3] = 200
    image[:2, :, 3] = 255
    Image.fromarray(image).save(tmp_path / "stage.png")
    return tmp_path / "hall.toml"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_venue_says_all_of_a_mapping_and_what_says_nothing_is_none(place):
    venue = read(written(place, FULL))
    assert list(venue.outputs) == ["window:1"]
    mapped = venue.outputs["window:1"]
    points = ((0, 0), (0.5, 0.1), (1, 0), (0, 1), (0.5, 0.9), (1, 1))
    assert mapped.mapping == Mapping(
        part=(0, 0, 0.55, 1),
        rotate=90,
        fit=Lie.CONTAIN,
        corners=((0.1, 0), (1.05, 0.02), (1, 1), (0, 0.9)),
        colour=(1, 0.9, 0.8),
        gamma=1.2,
        keep=(((0, 0), (1, 0), (0.5, 1)),),
        hide=(((0.1, 0.1), (0.2, 0.1), (0.2, 0.2)), ((0.5, 0.5), (0.6, 0.5), (0.6, 0.6), (0.5, 0.6))),
        mask="stage.png",
        mesh=Mesh(columns=3, rows=2, curve=Curve.STRAIGHT, points=points),
        soft=SoftEdges(right=0.2, gamma=2.4),
    )
    assert mapped.mask is not None
    assert mapped.mask.tolist() == [[200] * 4 + [0] * 4] * 2 + [[0] * 8] * 2, "what is transparent is dark"


def test_what_is_saved_is_read_as_it_was(place):
    venue = read(written(place, FULL))
    save(venue)
    again = read(place)
    assert {name: one.mapping for name, one in again.outputs.items()} == {
        name: one.mapping for name, one in venue.outputs.items()
    }
    assert not list(place.parent.glob("*.part"))


def test_a_venue_lies_in_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert find("hall") == tmp_path / "tpos" / "venues" / "hall.toml"
    save(Venue(find("hall")))
    assert read(find("hall")).outputs == {}
    assert find("~/hall.toml") == Path.home() / "hall.toml"
    for name in ("../hall", "a\\b", ".hidden"):
        with pytest.raises(InputError, match=r"--venue .*: a name, or the path of a .toml file would be accepted"):
            find(name)


SIZES = {"first": (1000, 500), "window:1": (1000, 500)}
PIN = "[outputs.first]\ncorners = "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 2", "schema"),
        ("schema = 1\n[outputs.beamer]\ngamma = 2", "outputs.beamer is none; accepted: first, window, ndi"),
        ("schema = 1\n[outputs.operator]\ngamma = 2", "outputs.operator is none; accepted: first, window, ndi"),
        ("schema = 1\n[outputs.first]\ngamma = 9", "accepted: a number 0.2..5"),
        ("schema = 1\n[outputs.first]\ngama = 1", "did you mean gamma?"),
        ("schema = 1\n[outputs.first]\nrotate = nan", "accepted: a number -360..360"),
        (f"schema = 1\n{PIN}[[0, 0], [1, 0], [1, 1]]", "accepted: a list of 4..4 items"),
        (f"schema = 1\n{PIN}[[0, 0], [1, nan], [1, 1], [0, 1]]", "accepted: a number -1..2"),
        (f"schema = 1\n{PIN}[[0, 0], [1, 1], [1, 0], [0, 1]]", "accepted: four of a quadrilateral"),
        (f"schema = 1\n{PIN}[[0, 0], [1, 0], [0.2, 0.2], [0, 1]]", "accepted: four of a quadrilateral"),
        (f"schema = 1\n{PIN}[[0, 0], [0, 0], [1, 1], [0, 1]]", "accepted: four of a quadrilateral"),
        ("schema = 1\n[outputs.first]\npart = [0.5, 0, 0.5, 1]", "part = [0.5, 0.0, 0.5, 1.0]; accepted: left, top"),
        ("schema = 1\n[outputs.first]\nfit = 'big'", "'own' | 'contain' | 'cover' | 'stretch'"),
        ("schema = 1\n[outputs.first.soft]\nleft = 0.6\nright = 0.6", "accepted: left + right and top + bottom of"),
        (
            "schema = 1\n[outputs.first.mesh]\ncolumns = 3\nrows = 2\npoints = [[0, 0], [1, 0], [1, 1], [0, 1]]",
            "mesh.points: 4 of them; accepted: columns x rows = 6",
        ),
        ("schema = 1\n[outputs.first]\nmask = 'none.png'", "none.png is not there; accepted: a PNG"),
        ("schema = 1\n[outputs.first]\nmask = 'hall.toml'", "is no PNG that can be read"),
        ("schema = 1\n[outputs.first", "not valid TOML"),
    ],
)
def test_what_is_no_venue_is_refused_in_a_line_that_says_what_would_be(place, text, said):
    with pytest.raises(PresetError) as refused:
        read(written(place, text))
    line = str(refused.value)
    assert line.startswith(str(place))
    assert said in line
    assert "\n" not in line


def hall(path: Path, text: str = FULL) -> tuple[Mapper, list[tuple[str, bool]]]:
    mapper, told = Mapper(str(written(path, text))), []
    mapper.tell = lambda line, trouble: told.append((line, trouble))
    mapper.follow(SIZES)
    return mapper, told


def settle(mapper: Mapper) -> None:
    for _ in range(2):
        mapper.poll()


def test_a_file_that_changes_is_mapped_anew_and_one_that_breaks_leaves_what_runs(place):
    mapper, told = hall(place)
    before = mapper.mapped("window:1")
    settle(mapper)
    assert mapper.mapped("window:1") is before
    written(place, FULL.replace("rotate = 90", "rotate = -90"))
    settle(mapper)
    after = mapper.mapped("window:1")
    assert after is not None
    assert after.mapping.rotate == -90
    assert not told
    written(place, FULL.replace("rotate = 90", "rotate = 900"))
    settle(mapper)
    assert mapper.mapped("window:1") is after
    [(line, trouble)] = told
    assert trouble
    assert line.endswith("rotate = 900; accepted: a number -360..360; the running mapping stays")


def test_a_mask_that_changes_is_read_anew(place):
    mapper, _ = hall(place)
    Image.new("L", (2, 2), 77).save(place.parent / "stage.png")
    settle(mapper)
    mapped = mapper.mapped("window:1")
    assert mapped is not None
    assert mapped.mask is not None
    assert mapped.mask.tolist() == [[77, 77], [77, 77]]


def test_while_the_show_plays_the_file_is_watched_by_a_thread_of_its_own(place):
    with hall(place)[0] as mapper:
        written(place, "schema = 1\n[outputs.first]\ngamma = 3")
        until_s = time.monotonic() + 10
        while mapper.mapped("first") is None and time.monotonic() < until_s:
            time.sleep(0.05)
        assert mapper.mapped("first") is not None


def press(mapper: Mapper, *keys: str, name: str = "first", shift: bool = False) -> list[bool]:
    return [mapper.press(name, key, shift) for key in keys]


def corners(mapper: Mapper, name: str = "first") -> tuple:
    mapped = mapper.mapped(name)
    return mapped.mapping.corners if mapped else SQUARE


def test_keys_move_a_corner_by_a_pixel_or_ten_and_save(place):
    mapper, told = hall(place, "schema = 1\n")
    assert press(mapper, "LEFT", "S", "_1") == [False] * 3, "they are the show's"
    assert press(mapper, "G", "_3", "LEFT", "LEFT", "UP") == [True] * 5
    press(mapper, "LEFT", shift=True)
    assert np.allclose(corners(mapper)[2], (1 - 0.012, 1 - 0.002))
    shown = mapper.mapped("first")
    assert shown is not None
    assert (shown.pattern, shown.chosen) == ("first", (1.0, 1.0))
    assert mapper.mapped("first") is shown, "nothing is made anew while nothing moves"
    assert mapper.mapped("window:1") is None, "only the output of the window that has the keys"
    assert press(mapper, "B", "_5", "SPACE") == [False] * 3
    assert press(mapper, "T", "S", "ESCAPE") == [True] * 3
    kept = mapper.mapped("first")
    assert kept is not None
    assert (kept.pattern, kept.chosen) == ("", None)
    assert read(place).outputs["first"].mapping == kept.mapping
    assert [line for line, trouble in told if not trouble][-1] == f"venue hall saved: {place}"
    assert press(mapper, "LEFT", "ESCAPE") == [False] * 2


def test_tab_goes_through_the_corners_then_the_mesh(place):
    mapper, _ = hall(place)
    press(mapper, "G", *["TAB"] * 5, "DOWN", name="window:1")
    moved = mapper.mapped("window:1")
    assert moved is not None
    assert moved.mapping.mesh is not None
    assert moved.chosen == (0.5, 0.0)
    pin = direct_linear_transform(np.array(SQUARE), np.array(moved.mapping.corners))
    before, after = through(pin, np.array([(0.5, 0.1), moved.mapping.mesh.points[1]]) - 0.5)
    assert np.allclose(after - before, (0, 1 / 500), atol=1e-5), "by a pixel of the output, however it is pinned"
    assert moved.mask is not None
    press(mapper, "TAB", name="window:1", shift=True)
    again = mapper.mapped("window:1")
    assert again is not None
    assert again.chosen == (0.0, 0.0)


def test_a_point_that_an_edit_took_away_is_said_to_be_none(place):
    mapper, told = hall(place)
    press(mapper, "G", *["TAB"] * 9, name="window:1")
    written(place, "schema = 1\n")
    settle(mapper)
    assert mapper.mapped("window:1") is not None, "it is drawn"
    assert press(mapper, "LEFT", name="window:1") == [True]
    assert told[-1] == ("point 10 of window:1 is none; accepted: 1..4", True)


def test_no_key_moves_a_corner_where_no_picture_would_be_left(place):
    mapper, _ = hall(place, "schema = 1\n")
    press(mapper, "G", "_1")
    press(mapper, *["DOWN"] * 200, *["RIGHT"] * 200, shift=True)
    assert corners(mapper)[0][0] + corners(mapper)[0][1] <= 1.0
    assert min(corners(mapper)[0]) > 0


def test_a_venue_that_is_new_begins_empty_and_without_one_a_key_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    mapper = Mapper("new")
    told: list[tuple[str, bool]] = []
    mapper.tell = lambda line, trouble: told.append((line, trouble))
    mapper.follow(SIZES)
    with mapper:
        assert told == [(f"venue new is new: {find('new')}; G in a window begins", False)]
    press(mapper, "G", "RIGHT", "S")
    assert read(find("new")).outputs["first"].mapping.corners[0] == (0.001, 0.0)
    nowhere = Mapper()
    nowhere.tell = mapper.tell
    assert press(nowhere, "G", "RIGHT") == [True, False]
    assert told[-1] == ("no venue to map for; accepted: --venue NAME at the start", True)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    mapper = Mapper(str(tmp_path / "file" / "hall.toml"))
    told: list[tuple[str, bool]] = []
    mapper.tell = lambda line, trouble: told.append((line, trouble))
    mapper.follow(SIZES)
    press(mapper, "G", "S")
    assert told[-1][1]
    assert "cannot be written" in told[-1][0]
