"""Music with labels: what is composed, what MIDI files say (by mido's own clock), and what a kit plays when."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from tpos_models.errors import MediaError, MissingPart
from tpos_models.training.music import midi as midi_files
from tpos_models.training.music.compose import ETUDE_S, compose, etude
from tpos_models.training.music.dataset import believable
from tpos_models.training.music.general_midi import of_program
from tpos_models.training.music.kits import SAMPLE_RATE, Drummer, kits
from tpos_models.training.music.piece import Piece
from tpos_models.training.music.render import play
from tpos_models.training.music.styles import styles

SECONDS = (30.0, 60.0)


@pytest.mark.parametrize("style", styles())
def test_a_piece_is_as_long_as_asked_in_its_style_s_tempo_and_keeps_to_its_beats(style: str) -> None:
    table = styles()[style]
    for seed in (3, 4):
        piece = compose(seed, SECONDS, style)
        assert piece == compose(seed, SECONDS, style)
        score = midi_files.write(piece, np.random.default_rng(0))
        labels = midi_files.piece_of(score, style)
        bar_s = float(np.median(np.diff(labels.downbeats_s)))
        assert SECONDS[0] - bar_s <= labels.seconds <= SECONDS[1] + 5 * bar_s
        assert table.tempo[0] * 0.94 <= labels.bpm <= table.tempo[1] * 1.06
        assert len(labels.beats_s) / len(labels.downbeats_s) == pytest.approx(
            2 if table.meter == (6, 8) else table.meter[0]
        )
        starts, ends = [s for s, _, _ in labels.sections], [e for _, e, _ in labels.sections]
        assert starts[0] == 0
        assert starts[1:] == ends[:-1]
        assert set(starts) <= set(labels.downbeats_s)


def test_an_etude_is_some_or_all_parts_through_programs_that_have_a_name() -> None:
    counts = []
    for seed in range(20):
        piece = etude(seed)
        parts = {note.part for note in piece.notes}
        counts.append((len(parts), len({note.part for note in compose(seed, ETUDE_S).notes})))
        assert all(of_program(piece.programs[part]) for part in parts - {"drums"})
        assert [section.kind for section in piece.sections] == ["verse"]
        assert piece == etude(seed)
    assert {1, 2} < {kept for kept, _ in counts}
    assert any(kept == all_of_them > 3 for kept, all_of_them in counts)
    assert len({of_program(etude(seed).programs["lead"]) for seed in range(20)}) > 6


def test_a_build_up_thickens_and_the_bass_is_back_at_the_drop() -> None:
    built = 0
    for seed in range(40):
        piece = compose(seed)
        for section in piece.sections:
            first, bars = section.first_bar * piece.style.quarters, section.bars * piece.style.quarters
            inside = [note for note in piece.notes if first - 0.1 <= note.start < first + bars - 0.1]
            basses = sum(note.part == "bass" for note in inside)
            if section.kind == "build":
                late = [note.start >= first + bars / 2 for note in inside if note.pitch in (38, 40)]
                built += 1
                assert sum(late) > 0.5 * len(late)
            if section.kind in ("breakdown", "build"):
                assert basses == 0
            if section.kind == "drop":
                assert basses >= section.bars
    assert built > 8


def song(*messages: mido.Message | mido.MetaMessage, ticks: int = 96) -> mido.MidiFile:
    return mido.MidiFile(ticks_per_beat=ticks, tracks=[mido.MidiTrack(messages)])


def test_notes_and_beats_come_when_mido_plays_them_through_changes_of_tempo_and_meter() -> None:
    file = song(
        mido.MetaMessage("set_tempo", tempo=400_000),
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.Message("program_change", program=33),
        mido.Message("note_on", note=40, velocity=127),
        mido.Message("note_off", note=40, time=96 * 3),
        mido.MetaMessage("set_tempo", tempo=600_000),
        mido.MetaMessage("time_signature", numerator=6, denominator=8),
        mido.Message("note_on", channel=9, note=38, velocity=127),
        mido.Message("note_off", channel=9, note=38, time=96 * 6),
    )
    labels = midi_files.piece_of(file, "")
    assert file.length == pytest.approx(3 * 0.4 + 6 * 0.6)
    assert labels.seconds == pytest.approx(file.length)
    assert labels.beats_s == pytest.approx((0.0, 0.4, 0.8, 1.2, 2.1, 3.0, 3.9))
    assert labels.downbeats_s == pytest.approx((0.0, 1.2, 3.0))
    assert labels.instruments["bass"][0][:2] == pytest.approx((0.0, 1.2))
    assert labels.instruments["snare"][0][0] == pytest.approx(1.2)


def test_a_pedal_holds_and_volume_counts_twice() -> None:
    file = song(
        mido.Message("control_change", control=7, value=127),
        mido.Message("control_change", control=64, value=127),
        mido.Message("note_on", note=60, velocity=127),
        mido.Message("note_off", note=60, time=48),
        mido.Message("control_change", control=64, value=0, time=144),
        mido.Message("control_change", control=7, value=64),
        mido.Message("note_on", note=62, velocity=127),
        mido.Message("note_off", note=62, time=96),
    )
    held, soft = midi_files.piece_of(file, "").instruments["piano"]
    assert held == pytest.approx((0.0, 1.0, 1.0))
    assert 20 * np.log10(held[2] / soft[2]) == pytest.approx(40 * np.log10(127 / 64), abs=0.05)  # General MIDI's curve


def test_labels_survive_their_file(tmp_path: Path) -> None:
    labels = midi_files.piece_of(midi_files.write(compose(2), np.random.default_rng(0)), "a", "b")
    labels.save(tmp_path / "a.json")
    assert Piece.load(tmp_path / "a.json") == labels


def beaten(step: int, count: int = 64) -> mido.MidiFile:
    """A kick every `step` ticks, 96 of which are a beat."""
    hits = [mido.Message("note_on", channel=9, note=36, velocity=100, time=step) for _ in range(count)]
    return song(*hits)


def wad(lumps: dict[bytes, bytes]) -> bytes:
    """As the format is specified: a header of 12 bytes, the lumps, and a directory of 16 bytes each."""
    body, directory = b"", b""
    for name, data in lumps.items():
        directory += (12 + len(body)).to_bytes(4, "little") + len(data).to_bytes(4, "little") + name.ljust(8, b"\0")
        body += data
    return b"PWAD" + len(lumps).to_bytes(4, "little") + (12 + len(body)).to_bytes(4, "little") + body + directory


def test_files_that_leave_their_own_grid_or_are_no_midi_are_left_and_wads_are_opened(tmp_path: Path) -> None:
    beaten(48).save(tmp_path / "fits.mid")
    beaten(48).save(tmp_path / "the_same.mid")
    beaten(37).save(tmp_path / "strays.mid")
    (tmp_path / "broken.mid").write_bytes(b"MThd\0\0\0\6garbage")
    inner = tmp_path / "inner"
    beaten(96).save(inner)
    (tmp_path / "game.wad").write_bytes(wad({b"MAP01": b"x", b"D_RUNNIN": inner.read_bytes(), b"D_OLD": b"MUS\x1a"}))
    assert sorted(believable([tmp_path])) == ["fits", "game_D_RUNNIN"]
    with pytest.raises(MediaError, match=r"broken.*accepted"):
        midi_files.open_midi((tmp_path / "broken.mid").read_bytes(), "broken")


def test_kits_are_folders_with_kick_snare_and_hat_and_begin_at_once(tmp_path: Path) -> None:
    late = np.zeros(4000)
    late[2000:] = np.random.default_rng(0).standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    for name in ("kick_1", "Snare-soft", "hihat_closed"):
        soundfile.write(tmp_path / f"{name}.wav", late, SAMPLE_RATE)
    (tmp_path / "crash.wav").write_bytes(b"no sound")
    (kit,) = kits([tmp_path])
    assert {kind: path.stem for kind, (path,) in kit.items()} == {
        "kick": "kick_1", "snare": "Snare-soft", "hat": "hihat_closed",
    }  # fmt: skip
    shot = Drummer(np.random.default_rng(1), kit).shot(36)
    assert shot is not None
    assert np.argmax(np.abs(shot) > 0.5 * np.abs(shot).max()) < 100
    assert kits([tmp_path / "nothing"]) == []


def test_without_fluidsynth_the_command_that_adds_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPart, match="apt install fluidsynth"):
        play(beaten(96), tmp_path / "any.sf2")
