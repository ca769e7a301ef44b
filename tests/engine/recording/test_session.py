"""Session folders: names, records, control logs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.core.messages import Prompt, Rule, ShaderAmounts, ShowState
from engine.recording.folders import default_root, known_roots, new_folder, remember_root, safe_name
from engine.recording.session import (
    LOG,
    RECORD,
    SessionRecord,
    SessionState,
    list_sessions,
    open_session,
    state_from_json,
    state_to_json,
    write_record,
)
from tpos_models.errors import InputError, MediaError, MissingFileError, StorageError

STATE = ShowState(
    revision=7,
    preset="beach",
    prompts=(Prompt("ein Strand bei Nacht, 砂浜 🌊", 0.3), Prompt('"quoted"\n', 1 / 3)),
    rules=(Rule("thunder", "lightning", 0.1),),
    shader=ShaderAmounts(zoom=0.123456789),
    seed=2**53 + 1,
    audio_gain_db=-3.3,
    blackout=True,
    cue=2,
)
RECORDED = SessionRecord("2026-01-02T03:04:05.000+00:00", os.getpid(), (64, 48), 30.0, 44_100, 2, model="pocket")


def test_show_state_survives_json_exactly() -> None:
    text = json.dumps(state_to_json(STATE))
    assert state_from_json(json.loads(text)) == STATE


def test_show_states_of_other_versions() -> None:
    assert state_from_json({"revision": 3, "not known yet": 1}) == ShowState(revision=3)
    with pytest.raises(MediaError, match=r"motion"):
        state_from_json({"motion": "fast"})


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/b", "a\\b", "..", ".hidden", "", " ", "a..b", "x\0y", "x\ny", "C:x", "con", "LPT1.mp4", "end.",
     "end ", "/etc/passwd", "~root", "x" * 81, "a*b"],
)  # fmt: skip
def test_names_that_could_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="session name"):
        safe_name(name)
    with pytest.raises(InputError):
        new_folder(tmp_path / "root", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["club night 2", "Größe_1.5", "2026-01-02_03-04-05", "東京 set", "console"])
def test_names_that_people_use(name: str) -> None:
    assert safe_name(name) == name


def test_folders_are_made_unique(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "root"
    assert [new_folder(root, "set").name for _ in range(3)] == ["set", "set-2", "set-3"]
    assert len(new_folder(root).name) == len("2026-01-02_03-04-05")


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(StorageError, match="cannot write"):
        new_folder(tmp_path / "root")
    assert list_sessions(tmp_path / "root") == []


def test_default_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TPOS_RECORDINGS", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("TPOS_RECORDINGS")
    assert default_root() == Path.home() / "tpos-recordings"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_sessions_are_found_in_a_folder_whose_name_is_no_utf_8(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    root = tmp_path / os.fsdecode(b"M\xfcnchen")
    remember_root(root)
    remember_root(tmp_path / "Köln")
    assert known_roots()[-2:] == (root, tmp_path / "Köln")


def test_a_log_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, "cut")
    write_record(folder, replace(RECORDED, pid=2**22 + 1))
    states = [(0.0, STATE), (1.5, replace(STATE, revision=8)), (2.5, replace(STATE, revision=9))]
    lines = [json.dumps({"time_s": t, "kind": "state", "data": state_to_json(s)}) for t, s in states]
    lines.insert(1, '{"time_s": 1.0, "kind": "frame", "data": {"index": 4}}')
    (folder / LOG).write_text("\n".join(lines)[:-20], "utf-8")
    session = open_session("cut", tmp_path)
    assert (session.info.state, session.info.duration_s, session.info.model) == ("cut short", 1.5, "pocket")
    assert [session.state_at(t).revision for t in (-1.0, 0.0, 1.49, 1.5, 99.0)] == [7, 7, 7, 8, 8]
    assert session.log[1].data == {"index": 4}


def test_listing(tmp_path: Path) -> None:
    assert list_sessions(tmp_path / "absent") == []
    write_record(new_folder(tmp_path, "b"), replace(RECORDED, state=SessionState.COMPLETE, duration_s=3.0))
    write_record(new_folder(tmp_path, "a"), replace(RECORDED, started="2027-01-01T00:00:00+00:00", pid=1))
    (new_folder(tmp_path, "c") / RECORD).write_text("{", "utf-8")
    (tmp_path / "no session").mkdir()
    assert [(i.name, i.state, i.duration_s) for i in list_sessions(tmp_path)] == [
        ("c", "damaged", 0.0),
        ("b", "complete", 3.0),
        ("a", "recording", 0.0),
    ]
    assert json.loads(json.dumps([info.as_dict() for info in list_sessions(tmp_path)]))[1]["path"] == str(
        tmp_path / "b"
    )
    with pytest.raises(MissingFileError, match="no session"):
        open_session("none", tmp_path)
    with pytest.raises(InputError):
        open_session("..", tmp_path)
    with pytest.raises(MediaError, match="cannot read"):
        open_session(tmp_path / "c")
    with pytest.raises(MediaError, match="no show state"):
        open_session(tmp_path / "b").state_at(0.0)
