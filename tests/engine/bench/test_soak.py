"""A minute of a soak: a show in a process of its own bears what is thrown at it, and says so."""

from __future__ import annotations

import pytest

from engine.bench import soak
from engine.bench.soak import SoakOptions, named, run_soak
from engine.bench.soak.night import run_night
from engine.bench.soak.table import FAULTS, pairs_of
from tpos_models.errors import InputError

THROWN = ("picture is NaN", "osc hangs", "tpos-recorder-disk")
NEVER_S = soak.PATIENCE_S - 1.0


@pytest.mark.realtime
def test_a_show_bears_faults_says_so_loses_no_take_and_ends(monkeypatch):
    """What is said, what comes back and what is lost; how fast, on a machine that does other things, is not asked."""
    monkeypatch.setattr(soak, "QUIET_S", 60.0)
    report, lines = run_soak(SoakOptions(size=(160, 160), faults=THROWN))
    borne = {one["fault"]: one for one in report["faults"]}
    assert [*borne] == [fault.name for fault in FAULTS if fault.name in THROWN]
    for one in borne.values():
        assert one["times"] == 1
        assert one["said_s"] < NEVER_S, one
        assert one["back_s"] < NEVER_S, one
        assert one["stuck"] == "", one
        assert one["gap_s"] < 5.0, one
    measured = {bar["what"]: bar["measured"] for bar in report["bars"]}
    assert measured["recorded pictures unaccounted for"] == 0
    assert measured["the most that one of 2 takes lost"] < 3.0, "the disk's thread ended one, and another began"
    assert next(value for what, value in measured.items() if "SIGTERM" in what) < 30.0
    assert not any("Traceback" in line for line in report["stderr"]), report["stderr"]
    assert report["summary"]["restarts"] >= 1
    assert len(lines) == 2 + len(report["bars"])


def test_a_night_on_a_virtual_clock_films_every_picture_and_holds_no_more_threads_or_files():
    said: list[str] = []
    report, _ = run_night(0.02, said.append, warm_up_s=10.0)
    _memory, threads, handles, missing = (bar["measured"] for bar in report["bars"])
    assert (threads, handles) == (0, 0)
    assert abs(missing) <= 30, "what may settle yet, half a second, is not filmed"
    assert len(said) == 8


def test_faults_are_called_by_their_names():
    assert named("all") == tuple(fault.name for fault in FAULTS)
    assert named("none") == ()
    assert named("disk full, osc flood") == ("disk full", "osc flood")
    with pytest.raises(InputError, match=r"--faults 'flod': .*osc flood.* all or none would be accepted"):
        named("flod")


def test_two_at_once_are_of_two_parts_and_each_is_met():
    pairs = {(a.name, b.name) for a, b in pairs_of(FAULTS)}
    both_ways = pairs | {(b, a) for a, b in pairs}
    assert ("feed hangs", "disk full") in both_ways
    assert ("ear raises", "disk full") in both_ways
    assert ("disk full", "disk stalls") not in both_ways
    assert ("ear raises", "feed hangs") not in both_ways, "without sound nobody asks the ear"
    assert ("ear hangs", "feed hangs") in both_ways, "it hangs for longer"
