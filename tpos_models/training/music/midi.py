"""Compositions as standard MIDI, and what any MIDI file says about beats, sections and who plays when."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from tpos_models.errors import MediaError
from tpos_models.training.music import general_midi
from tpos_models.training.music.compose import Composition
from tpos_models.training.music.piece import KINDS, Piece

TICKS = 480
CHANNELS = {"bass": 0, "chords": 1, "pad": 2, "lead": 3, "arp": 4, "drums": general_midi.DRUM_CHANNEL}
_BASIC = ("kick", "snare", "bass", "synth_bass")
"""What carries the beat."""


def write(piece: Composition, rng: np.random.Generator) -> mido.MidiFile:
    """A composition as MIDI, its sections as markers; loudness, place and room of its parts from `rng`."""
    ticks_bar = round(piece.style.quarters * TICKS)
    meta = [(0, mido.MetaMessage("time_signature", numerator=piece.style.meter[0], denominator=piece.style.meter[1]))]
    meta += [
        (i * ticks_bar, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))) for i, bpm in enumerate(piece.bpm)
    ]
    meta += [(s.first_bar * ticks_bar, mido.MetaMessage("marker", text=s.kind)) for s in piece.sections]
    events: dict[str, list[tuple[int, mido.Message]]] = defaultdict(list)
    for part, program in piece.programs.items():
        events[part] += [(0, message) for message in _set_up(CHANNELS[part], program, part, rng)]
    end = len(piece.bpm) * ticks_bar
    for note in piece.notes:
        start, over = round(note.start * TICKS), min(end, round((note.start + note.length) * TICKS))
        said = {"channel": CHANNELS[note.part], "note": note.pitch}
        velocity = max(1, round(127 * note.velocity))
        events[note.part] += [(start, mido.Message("note_on", velocity=velocity, **said))]
        events[note.part] += [(max(over, start + 1), mido.Message("note_off", **said))]
    tracks = [_track(meta, end), *(_track(events[part], end) for part in piece.programs)]
    return mido.MidiFile(type=1, ticks_per_beat=TICKS, tracks=tracks)


def _set_up(channel: int, program: int, part: str, rng: np.random.Generator) -> Iterator[mido.Message]:
    loud = {"drums": (96, 127), "bass": (90, 124), "lead": (70, 118)}.get(part, (55, 112))
    yield mido.Message("program_change", channel=channel, program=program)
    for control, low, high in ((7, *loud), (10, 24, 104), (91, 0, 70), (93, 0, 40)):
        yield mido.Message("control_change", channel=channel, control=control, value=int(rng.integers(low, high)))


def _track(events: list[tuple[int, mido.Message]], end: int) -> mido.MidiTrack:
    """Messages at absolute ticks, notes that end before notes that begin."""
    track, before = mido.MidiTrack(), 0
    for at, message in sorted(events, key=lambda event: (event[0], event[1].type == "note_on")):
        track.append(message.copy(time=at - before))
        before = at
    track.append(mido.MetaMessage("end_of_track", time=max(0, end - before)))
    return track


def only(midi: mido.MidiFile, channels: set[int]) -> mido.MidiFile:
    """The same file with the messages of these channels alone."""
    tracks = []
    for track in midi.tracks:
        kept, at = [], 0
        for message in track:
            at += message.time
            if message.is_meta or (hasattr(message, "channel") and message.channel in channels):
                kept.append((at, message))
        tracks.append(_track([each for each in kept if each[1].type != "end_of_track"], at))
    return mido.MidiFile(type=1, ticks_per_beat=midi.ticks_per_beat, tracks=tracks)


def open_midi(data: bytes, name: str) -> mido.MidiFile:
    """Parse a standard MIDI file; MediaError where it is none."""
    try:
        return mido.MidiFile(file=io.BytesIO(data), clip=True)
    except (OSError, ValueError, EOFError, KeyError, IndexError) as error:
        raise MediaError(f"{name}: no MIDI file can be read here ({error}); standard MIDI would be accepted") from error


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every MIDI file under a folder, by name: *.mid, and the songs (D_...) inside *.wad."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".mid", ".midi"):
            yield path.stem, path.read_bytes()
        elif path.suffix.lower() == ".wad":
            yield from (
                (f"{path.stem}_{lump}", data) for lump, data in _lumps(path.read_bytes()) if data[:4] == b"MThd"
            )


def _lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """The lumps of a WAD whose names begin with D_: 12 bytes of header, and a directory of (offset, size, name)."""
    count, directory = (int.from_bytes(wad[at : at + 4], "little") for at in (4, 8))
    for entry in range(directory, directory + 16 * count, 16):
        at, size = (int.from_bytes(wad[entry + k : entry + k + 4], "little") for k in (0, 4))
        name = wad[entry + 8 : entry + 16].rstrip(b"\0").decode("latin-1")
        if name.startswith("D_"):
            yield name, wad[at : at + size]


@dataclass(frozen=True, slots=True)
class Played:
    """One note as it is played: seconds, General MIDI numbers, `amplitude` 0..1 of velocity, volume and expression."""

    start_s: float
    end_s: float
    channel: int
    program: int
    pitch: int
    velocity: int
    amplitude: float


class Reading:
    """A MIDI file in seconds: its notes, its beats and bars, its markers."""

    def __init__(self, midi: mido.MidiFile) -> None:
        merged, at = [], 0
        for message in mido.merge_tracks(midi.tracks):
            at += message.time
            merged.append((at, message))
        self.end = at
        self._per_quarter = midi.ticks_per_beat
        self._tempi = _tempi(merged, midi.ticks_per_beat)
        self._starts = [tick for tick, _, _ in self._tempi]
        self.meters = [(t, (m.numerator, m.denominator)) for t, m in merged if m.type == "time_signature"]
        if not self.meters or self.meters[0][0] > 0:
            self.meters.insert(0, (0, (4, 4)))
        self.markers = [(self.seconds(t), m.text) for t, m in merged if m.type == "marker"]
        self.notes = sorted(self._notes(merged), key=lambda note: note.start_s)

    @property
    def seconds_long(self) -> float:
        return self.seconds(self.end)

    def seconds(self, tick: float) -> float:
        """When a tick is reached."""
        start, start_s, tick_s = self._tempi[bisect_right(self._starts, tick) - 1]
        return start_s + (tick - start) * tick_s

    def beats(self) -> tuple[list[float], list[float]]:
        """Ticks of all beats and of the bars' first; in 6, 9 or 12 eighths a beat is a dotted quarter."""
        beats, downbeats = [], []
        for i, (start, (over, under)) in enumerate(self.meters):
            end = self.meters[i + 1][0] if i + 1 < len(self.meters) else self.end
            dotted = under == 8 and over % 3 == 0 and over > 3
            beat = self._per_quarter * 4 / under * (3 if dotted else 1)
            in_bar = over // 3 if dotted else over
            found = np.arange(start, end - 1e-6, beat).tolist()
            beats += found
            downbeats += found[::in_bar]
        return beats, downbeats

    def _notes(self, merged: list[tuple[int, mido.Message]]) -> Iterator[Played]:
        program: dict[int, int] = defaultdict(int)
        gain: dict[int, dict[int, int]] = defaultdict(lambda: {7: 100, 11: 127, 64: 0})
        sounding: dict[tuple[int, int], list[tuple[int, int, float, int]]] = defaultdict(list)
        pedalled: dict[int, list[tuple[int, tuple[int, int, float, int]]]] = defaultdict(list)

        def over(channel: int, pitch: int, held: tuple[int, int, float, int], tick: int) -> Played:
            start, velocity, amplitude, number = held
            return Played(self.seconds(start), self.seconds(tick), channel, number, pitch, velocity, amplitude)

        for tick, m in merged:
            if m.type == "program_change":
                program[m.channel] = m.program
            elif m.type == "control_change" and m.control in (7, 11, 64):
                gain[m.channel][m.control] = m.value
                if m.control == 64 and m.value < 64:
                    yield from (over(m.channel, pitch, held, tick) for pitch, held in pedalled.pop(m.channel, ()))
            elif m.type == "note_on" and m.velocity > 0:
                now = gain[m.channel]
                amplitude = (m.velocity * now[7] * now[11] / 127**3) ** 2
                sounding[m.channel, m.note].append((tick, m.velocity, amplitude, program[m.channel]))
            elif m.type in ("note_on", "note_off") and sounding[m.channel, m.note]:
                held = sounding[m.channel, m.note].pop(0)
                if gain[m.channel][64] >= 64:
                    pedalled[m.channel].append((m.note, held))
                else:
                    yield over(m.channel, m.note, held, tick)
        for (channel, pitch), left in sounding.items():
            yield from (over(channel, pitch, held, self.end) for held in left)
        for channel, notes in pedalled.items():
            yield from (over(channel, pitch, held, self.end) for pitch, held in notes)


def _tempi(merged: list[tuple[int, mido.Message]], per_quarter: int) -> list[tuple[int, float, float]]:
    """(tick, its second, seconds a tick) of every change of tempo, the first at 0."""
    tempi = [(0, 0.0, 0.5 / per_quarter)]
    for tick, message in merged:
        if message.type == "set_tempo":
            start, start_s, tick_s = tempi[-1]
            if tick == start:
                tempi.pop()
            tempi.append((tick, start_s + (tick - start) * tick_s, message.tempo / 1e6 / per_quarter))
    return tempi


def piece_of(midi: mido.MidiFile, name: str, style: str = "", most_s: float = 1e9) -> Piece:
    """The labels of the first `most_s` seconds of a file."""
    read = Reading(midi)
    seconds = min(most_s, read.seconds_long)
    beats, downbeats = ([read.seconds(tick) for tick in ticks] for ticks in read.beats())
    kinds = [(at, text) for at, text in read.markers if at < seconds and text in KINDS]
    ends = [*(at for at, _ in kinds), seconds][1:]
    instruments: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for note in read.notes:
        if note.start_s >= seconds:
            break
        if note.channel == general_midi.DRUM_CHANNEL:
            drum = general_midi.of_drum(note.pitch)
            instrument, end_s = (drum[0], note.start_s + drum[1]) if drum else (None, 0.0)
        else:
            instrument, end_s = general_midi.of_program(note.program), note.end_s
        if instrument:
            instruments[instrument].append((round(note.start_s, 4), round(end_s, 4), round(note.amplitude, 4)))
    return Piece(
        name=name,
        style=style,
        seconds=round(seconds, 4),
        meter=read.meters[0][1],
        beats_s=tuple(round(at, 4) for at in beats if at < seconds),
        downbeats_s=tuple(round(at, 4) for at in downbeats if at < seconds),
        sections=tuple((round(a, 4), round(b, 4), kind) for (a, kind), b in zip(kinds, ends, strict=True)),
        instruments=dict(instruments),
    )


def grid_fit(midi: mido.MidiFile) -> float:
    """How far the onsets of drums and bass keep to a file's own beats, 0 (anywhere) to 1 (all on the grid).

    The greater of quarters and thirds of a beat: the real part of the mean of exp(2 pi i phase), phase counted in
    those, each onset weighted by its loudness.
    """
    piece = piece_of(midi, "")
    onsets = [(start, loud) for name in _BASIC for start, _, loud in piece.instruments.get(name, ())]
    onsets = [(start, loud) for start, loud in onsets if piece.beats_s and start <= piece.beats_s[-1]]
    if len(onsets) < 16:
        return 0.0
    at, loud = np.array(onsets).T
    phase = np.interp(at, piece.beats_s, np.arange(len(piece.beats_s)))
    return max(float((np.exp(2j * np.pi * parts * phase) * loud).sum().real / loud.sum()) for parts in (3, 4))


def bars_fit(midi: mido.MidiFile) -> bool:
    """Whether the bars' first beats carry more kick and bass than the other beats do on average, and as much as any."""
    piece = piece_of(midi, "")
    beats, downs = np.array(piece.beats_s), np.array(piece.downbeats_s)
    if len(downs) < 4:
        return False
    in_bar = round((len(beats) - 1) / max(1, len(downs)))
    place = (np.arange(len(beats)) - np.searchsorted(beats, downs[0] - 1e-6)) % max(1, in_bar)
    weight = np.zeros(max(1, in_bar))
    for name in ("kick", "bass", "synth_bass", "cymbal"):
        for start, _, loud in piece.instruments.get(name, ()):
            near = int(np.argmin(np.abs(beats - start)))
            if abs(beats[near] - start) < 0.06:
                weight[place[near]] += loud
    return bool(weight[0] >= weight.max() * 0.999 and weight[0] > 1.05 * weight.mean())
