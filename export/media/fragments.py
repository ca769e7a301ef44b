"""The index of an MP4 that is written as fragments: gathered as they come, put at the end of the film when it is over.

FFmpeg can hide a film's fragments itself (`hybrid_fragmented`), but keeps 60 bytes of every packet until then: 18 MB an
hour. Here it is the 4 of its size. Boxes are those of ISO/IEC 14496-12 (8.2 movie, 8.6 to 8.8 tables and fragments).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from export.media.writing import Sink

_LARGE, _MOST = 16, 2**32
_NOT_SYNC = 0x10000
_TREES = (b"trak", b"mdia", b"minf", b"stbl", b"edts")
_ROW = ((0x100, "duration"), (0x200, "size"), (0x400, "flags"), (0x800, "shift"))
"""Of a trun's samples: what its flags say they have, in this order."""


@dataclass
class _Track:
    """Packets of one track so far; `durations` and `shifts` as runs of (count, value), like the tables they become."""

    sizes: array = field(default_factory=lambda: array("I"))
    durations: list[list[int]] = field(default_factory=list)
    shifts: list[list[int]] = field(default_factory=list)
    syncs: array = field(default_factory=lambda: array("I"))
    places: array = field(default_factory=lambda: array("Q"))
    """Where each chunk begins, and how many packets it has: `counts`."""
    counts: array = field(default_factory=lambda: array("I"))
    end: int = 0
    """When the newest packet is over."""

    def add(self, begin: int, place: int, rows: dict[str, np.ndarray]) -> None:
        """A run of packets that lie side by side, the first at the time `begin`: so long the one before it lasts."""
        if (gap := begin - self.end) and self.durations:
            self.durations[-1][0] -= 1
            _extend(self.durations, 1, self.durations[-1][1] + gap)
        first = len(self.sizes) + 1
        self.sizes.extend(rows["size"].tolist())
        self.syncs.extend((first + np.flatnonzero(rows["flags"] & _NOT_SYNC == 0)).tolist())
        for runs, name in ((self.durations, "duration"), (self.shifts, "shift")):
            edges = [0, *(1 + np.flatnonzero(np.diff(rows[name]))).tolist(), len(rows[name])]
            for low, high in pairwise(edges):
                _extend(runs, high - low, int(rows[name][low]))
        self.places.append(place)
        self.counts.append(len(rows["size"]))
        self.end = begin + int(rows["duration"].sum(dtype=np.int64))

    def tables(self) -> bytes:
        """What stands beside the `stsd` in its `stbl`."""
        chunks = [(n + 1, count) for n, count in enumerate(self.counts) if n == 0 or count != self.counts[n - 1]]
        tables = _table(b"stts", len(self.durations), [value for run in self.durations for value in run])
        if any(shift for _, shift in self.shifts):
            values = [value for run in self.shifts for value in run]
            tables += _table(b"ctts", len(self.shifts), np.array(values, np.int64) % _MOST, version=1)
        if len(self.syncs) < len(self.sizes):
            tables += _table(b"stss", len(self.syncs), self.syncs)
        tables += _table(b"stsc", len(chunks), [value for n, count in chunks for value in (n, count, 1)])
        tables += _box(b"stsz", struct.pack(">III", 0, 0, len(self.sizes)) + _packed(self.sizes))
        return tables + _table(b"co64", len(self.places), self.places, ">u8")


class FragmentIndex:
    """Gathers the index of the film at `path`, to which FFmpeg writes through `sink`; owned by the writer's thread."""

    def __init__(self, path: Path, sink: Sink) -> None:
        self._sink = sink
        self._file = open(path, "rb")  # noqa: SIM115 - lives as long as its writer
        self._at = self._moov_at = 0
        self._wanted = 8
        """What the file must reach before there is more to read."""
        self._moov = b""
        self._tracks: dict[int, _Track] = {}

    def follow(self) -> None:
        """Take in the fragments that are whole by now."""
        while self._sink.size_bytes >= self._wanted:
            kind, size = self._head(self._at)
            if kind == b"moof":
                data, data_size = self._head(self._at + size)
                if data != b"mdat" or not self._reaches(self._at + size + data_size):
                    return
                self._fragment(self._read(self._at, size), self._at)
                size += data_size
            elif not size or not self._reaches(self._at + size):
                return
            elif kind == b"moov":
                self._moov, self._moov_at = self._read(self._at, size), self._at
            self._at += size
            self._wanted = self._at + 8

    def finish(self) -> None:
        """Make a plain film of a file that FFmpeg is done with: the index last, and all before it one box of data.

        The head is written over when all that it tells of is on the disk (see `Sink`): the film is whole at any moment.
        """
        self.follow()
        end = self._sink.seek(0, 2)
        self._sink.write(self._movie())
        self._sink.seek(self._moov_at)
        self._sink.write(struct.pack(">I4sQ", 1, b"mdat", end - self._moov_at))

    def close(self) -> None:
        """Read no more; twice is harmless."""
        self._file.close()

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def _head(self, at: int) -> tuple[bytes, int]:
        """Kind and size of the box there, 0 while it is not known."""
        head = self._read(at, _LARGE)
        if len(head) < 8:
            return b"", 0
        size, kind = struct.unpack_from(">I4s", head)
        large = size == 1 and len(head) == _LARGE
        return kind, int.from_bytes(head[8:], "big") if large else size

    def _reaches(self, end: int) -> bool:
        self._wanted = end
        return self._sink.size_bytes >= end

    def _fragment(self, moof: bytes, at: int) -> None:
        for kind, part in _children(moof[8:]):
            if kind == b"traf":
                self._packets(part, at)

    def _packets(self, traf: bytes, at: int) -> None:
        """One track's in a fragment."""
        head, begin = _find(traf, b"tfhd"), int.from_bytes(_find(traf, b"tfdt")[4:], "big")
        flags, number = struct.unpack_from(">II", head)
        given = iter(struct.unpack(f">{'Q' * (flags & 1)}{'I' * (flags & 0x3A).bit_count()}", head[8:]))
        base = next(given) if flags & 1 else at
        plain = {bit: next(given) for bit in (0x2, 0x8, 0x10, 0x20) if flags & bit}
        usual = {"duration": plain.get(0x8, 0), "size": plain.get(0x10, 0), "flags": plain.get(0x20, 0), "shift": 0}
        track = self._tracks.setdefault(number, _Track())
        for kind, run in _children(traf):
            if kind == b"trun":
                place, rows = _run(run, usual)
                track.add(begin, base + place, rows)
                begin = track.end

    def _movie(self) -> bytes:
        parts = dict(_children(self._moov[8:]))
        scale, longest, made = int.from_bytes(parts[b"mvhd"][12:16], "big"), 0, b""
        for kind, body in _children(self._moov[8:]):
            if kind == b"trak":
                trak, lasts = self._track(body, scale)
                made, longest = made + _box(kind, trak), max(longest, lasts)
            elif kind not in (b"mvhd", b"mvex"):
                made += _box(kind, body)
        return _box(b"moov", _box(b"mvhd", _lasting(parts[b"mvhd"], 16, longest)) + made)

    def _track(self, body: bytes, scale: int) -> tuple[bytes, int]:
        """A track's box with its tables, and how long it lasts in units of 1 / `scale` s."""
        track = self._tracks.get(int.from_bytes(_find(body, b"tkhd")[12:16], "big"), _Track())
        own_scale = int.from_bytes(_find(body, b"mdia", b"mdhd")[12:16], "big")
        edits = _find(body, b"edts", b"elst")
        skipped = int.from_bytes(edits[-8:-4], "big") if edits else 0
        lasts = -(-(track.end - skipped) * scale // own_scale)

        def build(inner: bytes) -> bytes:
            made = b""
            for kind, part in _children(inner):
                if kind == b"stbl":
                    part = _box(b"stsd", _find(part, b"stsd")) + track.tables()
                elif kind == b"tkhd":
                    part = _lasting(part, 20, lasts)
                elif kind == b"mdhd":
                    part = _lasting(part, 16, track.end)
                elif kind == b"elst":
                    part = part[:-12] + struct.pack(">I", min(lasts, _MOST - 1)) + part[-8:]
                elif kind in _TREES:
                    part = build(part)
                made += _box(kind, part)
            return made

        return build(body), lasts


def _run(trun: bytes, usual: dict[str, int]) -> tuple[int, dict[str, np.ndarray]]:
    """Where a run of packets begins, and what is known of each; `usual` where it does not say so itself."""
    flags, count = struct.unpack_from(">II", trun)
    place, first = struct.unpack_from(">iI", trun + bytes(4), 8)
    there = [name for bit, name in _ROW if flags & bit]
    head = 8 + 4 * (flags & 5).bit_count()
    table = np.frombuffer(trun, ">u4", offset=head).reshape(count, len(there)).astype(np.int64)
    rows = {name: np.full(count, value) for name, value in usual.items()}
    rows |= {name: table[:, n] for n, name in enumerate(there)}
    if flags & 4:
        rows["flags"][0] = first
    return place, rows | {"shift": rows["shift"].astype(np.int32)}  # signed, or small


def _extend(runs: list[list[int]], count: int, value: int) -> None:
    if runs and not runs[-1][0]:
        runs.pop()
    if runs and runs[-1][1] == value:
        runs[-1][0] += count
    else:
        runs.append([count, value])


def _children(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each box."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + size]
        at += size


def _find(data: bytes, *path: bytes) -> bytes:
    """The body of the box at a path; empty where there is none."""
    for name in path:
        data = next((body for kind, body in _children(data) if kind == name), b"")
    return data


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _packed(values: object, form: str = ">u4") -> bytes:
    return np.asarray(values).astype(form).tobytes()


def _table(kind: bytes, count: int, values: object, form: str = ">u4", version: int = 0) -> bytes:
    return _box(kind, struct.pack(">II", version << 24, count) + _packed(values, form))


def _lasting(body: bytes, at: int, duration: int) -> bytes:
    """A header of version 0 with its duration, which stands `at` so many bytes; of version 1 where it is too long."""
    if duration < _MOST:
        return body[:at] + struct.pack(">I", duration) + body[at + 4 :]
    made, changed = struct.unpack_from(">II", body, 4)
    return (
        b"\1"
        + body[1:4]
        + struct.pack(">QQ", made, changed)
        + body[12:at]
        + struct.pack(">Q", duration)
        + body[at + 4 :]
    )
