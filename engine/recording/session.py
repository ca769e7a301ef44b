"""A recorded session on the disk: its folder's names and files, and reading one back for the re-render.

    NAME/video.mp4       (.mov in ProRes) the show with its sound; plays after a crash or a power cut at any moment
    NAME/audio.flac      the input as it was heard, 24 bits
    NAME/stems.flac      its stems beside it, where there were any: a channel each, in the state's order
    NAME/control.jsonl   one JSON object a line: {"time_s", "kind", "data"}, seconds on the sound's clock
    NAME/preset.toml     the preset as used
    NAME/start.png       the picture it started from, if any
    NAME/session.json    program, model, sizes, and at the end the counters

Recordings go to $TPOS_RECORDINGS, else to `tpos-recordings` in the home folder; other folders that were recorded into
are remembered, so that their sessions are found by name too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from engine.core.isf import IsfFile
from engine.core.messages import ShowState
from engine.core.stems import Stem
from engine.recording.folders import known_roots, safe_name, video_of
from engine.recording.session_sound import SessionSound, open_sound
from export.media.writing import write_synced
from tpos_models.errors import MediaError, MissingFileError
from tpos_models.image import read_picture

VIDEO, AUDIO, LOG, PRESET, RECORD = "video.mp4", "audio.flac", "control.jsonl", "preset.toml", "session.json"
START, STEMS = "start.png", "stems.flac"
_MISSING_S = 1.0  # sound and picture of a whole session end together


class SessionState(StrEnum):
    """How a session stands; the last two are found when it is read back, never written."""

    RECORDING = "recording"
    COMPLETE = "complete"
    FAILED = "failed"
    CUT_SHORT = "cut short"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Counters:
    """What became of everything handed to a recorder: `offered` = `written` + the sum of `dropped`."""

    offered: int = 0
    """Pictures handed in."""
    written: int = 0
    """Pictures in the file, each once."""
    repeated: int = 0
    """Frames of the file that repeat the picture before, because none came for them."""
    late: int = 0
    """Written pictures that came after their place on the grid was filled, and took the next one."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Pictures left out, by reason: "rate" (two for one frame), "queue" (full), "failed" (recording broke off)."""
    audio_s: float = 0.0
    """Sound written, silence included."""
    silence_s: float = 0.0
    """Silence put where no sound came."""
    audio_dropped_s: float = 0.0
    """Sound refused because the queue was full."""
    log_lines: int = 0
    log_dropped: int = 0

    @property
    def lost(self) -> int:
        """Pictures that it had no time for."""
        return sum(count for reason, count in self.dropped.items() if reason != "rate")


@dataclass(frozen=True)
class About:
    """What a recording tells of its making.

    `spec` is the model's own record, `options` how it was asked for (the fields of `engine.app.options.ModelOptions`),
    `preset` the TOML text as used, `picture` what the show started from, RGB uint8 (H, W, 3).
    """

    program: str = ""
    model: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    preset: str = ""
    input: str = ""
    picture: np.ndarray | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SessionRecord:
    """The content of session.json."""

    started: str
    """ISO 8601, local time with its offset."""
    pid: int
    size: tuple[int, int]
    """Width and height of the video."""
    fps: float
    sample_rate: int
    channels: int
    program: str = ""
    model: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    input: str = ""
    state: SessionState = SessionState.RECORDING
    error: str = ""
    duration_s: float = 0.0
    counters: Counters = field(default_factory=Counters)
    schema: int = 1


@dataclass(frozen=True)
class SessionInfo:
    """One line of `tpos sessions`."""

    name: str
    path: Path
    state: SessionState
    started: str = ""
    duration_s: float = 0.0
    size: tuple[int, int] = (0, 0)
    fps: float = 0.0
    model: str = ""
    size_bytes: int = 0
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True)
class LogLine:
    """One line of the control log; `time_s` on the sound's clock, 0 at the first sample."""

    time_s: float
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Session:
    """A session read back, whole or cut short."""

    info: SessionInfo
    record: SessionRecord
    log: tuple[LogLine, ...]
    preset: str
    """TOML text, empty if none was kept."""
    states: tuple[tuple[float, ShowState], ...]
    """(time_s, state), in order."""

    def state_at(self, time_s: float) -> ShowState:
        """The operator's state at a time of the show; the first one before its start. Its stems lie as in `sound`."""
        if not self.states:
            raise MediaError(f"no show state in {self.info.path / LOG}: a session with one is accepted")
        at = bisect_right(self.states, time_s, key=lambda entry: entry[0])
        state = self.states[max(at - 1, 0)][1]
        stems = tuple(Stem(stem.name, (channel,)) for channel, stem in enumerate(state.stems, 1))
        return replace(state, stems=stems, patch=())

    def picture(self) -> np.ndarray | None:
        """What the show started from, if it was a picture."""
        path = self.info.path / START
        return read_picture(path) if path.is_file() else None

    def sound(self, tell: Callable[[str], object] = lambda _: None) -> SessionSound:
        """What was heard; where it is damaged, that of the film, which is told (see `open_sound`)."""
        folder = self.info.path
        least_s = max(self.record.duration_s - _MISSING_S, 0.0)
        return open_sound(folder / AUDIO, folder / STEMS, video_of(folder), least_s, tell)


def state_to_json(state: ShowState) -> dict[str, Any]:
    """The whole show state as JSON's own types."""
    return msgspec.to_builtins(state)


def state_from_json(data: dict[str, Any]) -> ShowState:
    """The inverse of `state_to_json`; keys unknown to this version are ignored. Raises MediaError."""
    try:
        return msgspec.convert(data, ShowState)
    except msgspec.ValidationError as error:
        raise MediaError(f"show state in a control log: {error}") from error


def to_json(value: Any) -> bytes:
    """JSON of anything msgspec can write; bytes of a file's name or of a terminal that are no text become "?"."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_as_text(msgspec.to_builtins(value)))


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_as_text(key): _as_text(item) for key, item in value.items()}
    return [_as_text(item) for item in value] if isinstance(value, list | tuple) else value


def write_record(folder: Path, record: SessionRecord) -> None:
    """Write session.json onto the disk, whole or not at all; StorageError."""
    write_synced(folder / RECORD, msgspec.json.format(to_json(record), indent=2))


def list_sessions(root: Path | None = None) -> list[SessionInfo]:
    """All sessions under `root`, or in every folder known, oldest first; none where there is no such folder."""
    roots = (root,) if root else known_roots()
    infos = [_info(path.parent)[0] for one in roots for path in sorted(one.glob(f"*/{RECORD}"))]
    return sorted(infos, key=lambda info: (info.started, info.name))


def find_session(session: str | Path, root: Path | None = None) -> Path:
    """A folder by a session's name, under `root` or in any one known, or by its path; InputError, MissingFileError."""
    folder = Path(session).expanduser()
    if folder.name != str(session):
        folders: tuple[Path, ...] = (folder,)
    else:
        name = safe_name(str(session))
        folders = tuple(one / name for one in ((root,) if root else known_roots()))
    for one in folders:
        if (one / RECORD).is_file():
            return one
    raise MissingFileError(f"no session {folders[0]}: one listed by 'tpos sessions list' is accepted")


def open_session(session: str | Path, root: Path | None = None) -> Session:
    """Read a session (see `find_session`); InputError, MissingFileError, MediaError."""
    folder = find_session(session, root)
    info, record = _info(folder)
    if record is None:
        raise MediaError(f"cannot read {folder / RECORD}: {info.error}")
    log = tuple(_read_log(folder / LOG))
    changes = sorted((line for line in log if line.kind == "state"), key=lambda line: line.time_s)
    effects = {file.digest: file for file in (_logged_effect(line) for line in log if line.kind == "isf")}
    states = tuple((line.time_s, _logged_state(line, effects)) for line in changes)
    preset = folder / PRESET
    return Session(info, record, log, preset.read_text("utf-8") if preset.is_file() else "", states)


def to_log(state: ShowState, time_s: float) -> dict[str, Any]:
    """A state as the log keeps it: taps and clocks by this moment, effects in ISF by their digests."""
    taps_s = tuple(round(tap_s - time_s, 6) for tap_s in state.taps_s)
    layers = tuple(replace(layer, file=layer.file.bare) for layer in state.isf)
    grids = tuple(grid.later(-time_s) for grid in state.grids)
    return state_to_json(replace(state, taps_s=taps_s, grids=grids, isf=layers))


def _logged_state(line: LogLine, effects: dict[str, IsfFile]) -> ShowState:
    """The inverse of `to_log`, on the session's own clock, with the effects that were logged by their digests."""
    state = state_from_json(line.data)
    for file in (layer.file for layer in state.isf):
        if not file.source and file.digest not in effects:
            raise MediaError(
                f"the control log has no effect {file.name} {file.digest}: one with a line of it is accepted"
            )
    layers = tuple(replace(layer, file=effects.get(layer.file.digest, layer.file)) for layer in state.isf)
    grids = tuple(grid.later(line.time_s) for grid in state.grids)
    return replace(state, taps_s=tuple(line.time_s + tap_s for tap_s in state.taps_s), grids=grids, isf=layers)


def _logged_effect(line: LogLine) -> IsfFile:
    try:
        return msgspec.convert(line.data, IsfFile)
    except msgspec.ValidationError as error:
        raise MediaError(f"an effect in a control log: {error}") from error


def _info(folder: Path) -> tuple[SessionInfo, SessionRecord | None]:
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=SessionRecord)
    except (OSError, msgspec.DecodeError) as error:
        return SessionInfo(folder.name, folder, SessionState.DAMAGED, error=str(error)), None
    running = record.state is SessionState.RECORDING
    info = SessionInfo(
        name=folder.name,
        path=folder,
        state=SessionState.CUT_SHORT if running and not _still_running(record) else record.state,
        started=record.started,
        duration_s=_last_time_s(folder / LOG) if running else record.duration_s,
        size=record.size,
        fps=record.fps,
        model=record.model,
        size_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        error=record.error,
    )
    return info, record


def _still_running(record: SessionRecord) -> bool:
    """Whether the process that began the recording lives; a later one with its number is another."""
    try:
        return psutil.Process(record.pid).create_time() <= datetime.fromisoformat(record.started).timestamp()
    except (psutil.Error, ValueError):
        return False


def _read_log(path: Path) -> Iterator[LogLine]:
    """The lines that can be read: a crash leaves half of the last one."""
    if not path.is_file():
        return
    with open(path, "rb") as lines:
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=LogLine)
            except msgspec.DecodeError:
                continue


def _last_time_s(path: Path) -> float:
    """Time of the log's last whole line, from its last 64 KiB."""
    if not path.is_file():
        return 0.0
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            return msgspec.json.decode(line, type=LogLine).time_s
        except msgspec.DecodeError:
            continue
    return 0.0
