"""Snapshots: one, a burst, and what there is no room for."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.notices import Notices
from engine.app.snapshots import Snapshots
from engine.app.stats import Tally
from engine.control.addresses import MOST_SNAPSHOTS
from engine.control.queue import Command
from engine.control.show import EffectKind, Show
from engine.core.clock import WallClock
from engine.inference.loading import open_model
from export.media.reading import read_frames


def grey(value: int) -> np.ndarray:
    return np.full((6, 8, 3), value, np.uint8)


def test_a_burst_is_written_in_its_order_and_beside_the_thread_that_draws(tmp_path: Path, monkeypatch):
    writers: set[str] = set()
    save = Image.Image.save
    monkeypatch.setattr(
        Image.Image, "save", lambda *a, **k: writers.add(threading.current_thread().name) or save(*a, **k)
    )
    snapshots = Snapshots(tmp_path / "new", Notices(Tally(), WallClock()))
    with snapshots:
        snapshots.want(3)
        while snapshots.wanted:
            snapshots.save(grey(10 * snapshots.wanted))
    assert [int(np.asarray(Image.open(path))[0, 0, 0]) for path in snapshots.saved] == [30, 20, 10]
    assert sorted(path.name for path in snapshots.saved) == [path.name for path in snapshots.saved]
    assert writers == {"tpos-snapshots"}


def test_no_more_are_taken_than_may_wait_and_that_is_told(tmp_path: Path):
    tally = Tally()
    notices = Notices(tally, WallClock())
    snapshots = Snapshots(tmp_path, notices)  # nobody writes yet
    snapshots.want(1000)
    assert snapshots.wanted == MOST_SNAPSHOTS
    for _ in range(MOST_SNAPSHOTS + 1):
        snapshots.save(grey(1))
    notices.collect()
    assert tally.troubles == [f"snapshot left out: {MOST_SNAPSHOTS} wait to be written"]


def test_what_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    tally = Tally()
    notices = Notices(tally, WallClock())
    with Snapshots(tmp_path / "file", notices) as snapshots:
        snapshots.save(grey(1))
    notices.collect()
    assert len(tally.troubles) == 1
    assert "cannot be written" in tally.troubles[0]


@pytest.mark.parametrize(("args", "count"), [((), 8), ((3,), 3)])
def test_a_burst_is_asked_for_by_its_number(args: tuple, count: int):
    show = Show()
    show.command("/tpos/snapshot/burst", args)
    show.current()
    [effect] = show.effects
    assert effect.kind is EffectKind.SNAPSHOT
    assert int(effect.text) == count


def test_a_snapshot_is_one():
    [effect] = Show().apply(Command("/tpos/snapshot", (True,)))
    assert (effect.kind, effect.text) == (EffectKind.SNAPSHOT, "")


@pytest.mark.realtime
def test_what_is_saved_is_on_the_screen_now_however_long_ago_the_last_was(tmp_path: Path):
    """A snapshot, one of a blackout, and after it a film, which begins with the picture, not with the blackout."""
    open_model("pocket")  # its networks are built before the show starts
    over = threading.Event()

    def snap(live: Live, count: int) -> None:
        time.sleep(0.5)
        live.show.command("/tpos/snapshot")
        while len(live.snapshots.saved) < count:
            time.sleep(0.02)

    def operate(live: Live) -> None:
        while live.tally.first_frame_s is None:
            time.sleep(0.02)
        live.show.command("/tpos/record", (False,))
        while live.recording.running:
            time.sleep(0.02)
        snap(live, 1)
        live.show.command("/tpos/blackout", (True, 0.0))
        snap(live, 2)
        live.show.command("/tpos/blackout", (False, 0.0))
        time.sleep(0.5)
        live.show.command("/tpos/record", (True,))
        while live.recording.status.seconds < 1.0:
            time.sleep(0.02)
        over.set()

    options = LiveOptions(
        source="synth", headless=True, size=(64, 36), mute=True, osc=OscOptions(port=0), record=tmp_path
    )
    with open_live(options) as live:
        operator = threading.Thread(target=operate, args=(live,))
        operator.start()
        summary = live.run(over)
        operator.join()
    saved = [np.asarray(Image.open(path)).mean() for path in summary.snapshots]
    film = [picture.mean() for _, picture in read_frames(summary.recordings[-1].path / "video.mp4")]
    assert saved[0] > 20
    assert saved[1] == 0
    assert min(film) > 20
