"""The page beside a live show: said to the operator, in the way of nothing, closed with the show."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.notices import Notices
from engine.app.options import LookOptions
from engine.app.remote.beside import Remote
from engine.app.remote.thumbnails import ThumbnailMaker
from engine.app.stats import Tally
from engine.cli import main
from engine.control import presets
from engine.control.osc_status import Status
from engine.control.show import Show
from engine.core.clock import WallClock
from engine.core.preview import Preview
from engine.inference.loading import open_model
from engine.remote.address import Place
from engine.remote.thumbnails import Thumbnails

pytestmark = pytest.mark.realtime

PATIENCE_S = 240.0
BROKEN = "/*{}*/ void main() { gl_FragColor = nonsense; }"

LIVE = LiveOptions(
    LookOptions(),
    "synth",
    headless=True,
    mute=True,
    size=(64, 36),
    osc=OscOptions(port=0),
    remote=Place(port=0),
    seconds=60.0,
)


def asked(place: Place, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(place.host, place.port, timeout=20)) as client:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read()


def remote(place: Place | None, notices: Notices) -> Remote:
    return Remote(place, Show(), Status, Preview(), ("127.0.0.1", 9000), notices, WallClock())


def test_a_live_show_answers_with_its_values_and_its_picture(capsys):
    open_model("pocket")  # its networks are built before the show starts
    said: list[tuple[int, bytes]] = []
    over = threading.Event()

    def look(live: Live) -> None:
        paths = ("/tpos/preset?VALUE", "/tpos/status/model?VALUE", "/remote/preview.jpg")
        try:
            while live.tally.frames == 0 or live.remote.place is None:
                time.sleep(0.01)
            said.extend(asked(live.remote.place, path) for path in paths)
        finally:
            over.set()

    with open_live(LIVE) as live:
        looking = threading.Thread(target=look, args=(live,))
        looking.start()
        live.run(over)
        looking.join()
    assert [status for status, _ in said] == [200, 200, 200]
    assert json.loads(said[0][1]) == {"VALUE": ["default"]}
    assert "fp32" in json.loads(said[1][1])["VALUE"][0]
    assert said[2][1].startswith(b"\xff\xd8")
    assert "page: http://127.0.0.1:" in capsys.readouterr().err
    assert not live.tally.troubles
    assert not [thread for thread in threading.enumerate() if thread.name in ("tpos-remote", "tpos-announce")]


def test_a_port_that_is_taken_is_one_line_and_the_show_goes_on(capsys):
    notices = Notices(Tally(), WallClock())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = Place(port=other.getsockname()[1])
        with remote(place, notices):
            pass
    line = f"the page's port 127.0.0.1:{place.port} is in use by another program: choose another --remote"
    assert capsys.readouterr().err == f"tpos: {line}\n"
    assert notices.message(0.0) == line


def test_phones_stay_in_where_another_process_goes_on_with_the_show(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def tokens() -> list[str]:
        with remote(Place("0.0.0.0", 0), Notices(Tally(), WallClock())):
            pass
        return re.findall(r"token=([\w-]{20,})", capsys.readouterr().err)

    monkeypatch.setenv("TPOS_RUN_FOLDER", str(tmp_path))
    first, again = tokens(), tokens()
    assert first == again
    (tmp_path / "links").write_text("torn")
    assert len(set(tokens()) - set(first)) == 2
    monkeypatch.delenv("TPOS_RUN_FOLDER")
    assert not set(tokens()) & set(tokens())


def test_in_a_network_the_terminal_has_the_links_and_the_screen_no_token(capsys):
    notices = Notices(Tally(), WallClock())
    with remote(Place("0.0.0.0", 0), notices):
        shown = notices.message(0.0)
    said = capsys.readouterr().err
    tokens = re.findall(r"token=([\w-]{20,})", said)
    assert len(set(tokens)) == 2
    assert said.count("█") > 100  # the code
    assert shown.startswith("page: http://")
    assert "token" not in shown


def test_without_remote_there_is_nothing(capsys):
    with remote(None, Notices(Tally(), WallClock())):
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("tpos-remote")]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["--remote"], Place()),
        (["--remote", "--headless"], Place()),
        (["--remote", "0.0.0.0:81"], Place("0.0.0.0", 81)),
        ([], None),
    ],
)
def test_its_place_may_be_left_out(monkeypatch, words, place):
    asked_for = []
    monkeypatch.setattr("engine.app.live.run_live", lambda options, quiet: asked_for.append(options.remote))
    with pytest.raises((SystemExit, AttributeError)):
        main(["live", *words])
    assert asked_for == [place]


def test_a_place_that_is_none_is_bad_input(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["live", "--remote", "here:there"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "tpos: --remote here:there; accepted: HOST:PORT, for instance 127.0.0.1:9080, or 0.0.0.0:9080\n"
    )


def test_presets_are_drawn_once_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("engine.app.remote.thumbnails.PRIORITY", 0)  # beside other tests it would wait for their end
    (tmp_path / "bad.fs").write_text(BROKEN)
    (tmp_path / "bad.toml").write_text('schema = 1\nprompts = ["a beach"]\n[[isf]]\nfile = "bad.fs"\n')
    bad = presets.read(tmp_path / "bad.toml")
    mandala, volcano = (presets.load(name) for name in ("mandala", "volcano"))
    wanted, told, kept = [bad, mandala], list[str](), Thumbnails()
    with ThumbnailMaker(lambda: wanted, told.append):
        _wait_for(lambda: told)
        assert told[0].startswith("presets have no pictures on the page: ")
        assert kept.missing(wanted) == [bad]
        first_ns = kept.path(mandala).stat().st_mtime_ns
        wanted.append(volcano)
        _wait_for(lambda: not kept.missing([volcano]))
    assert kept.path(mandala).stat().st_mtime_ns == first_ns
    seen = [np.asarray(Image.open(kept.path(one)).convert("RGB"), np.float32) for one in (mandala, volcano)]
    assert {one.shape for one in seen} == {(135, 240, 3)}
    assert all(one.std() > 20 for one in seen)
    assert abs(seen[0] - seen[1]).mean() > 20
    assert not [one for one in threading.enumerate() if one.name == "tpos-thumbnails"]


def _wait_for(met: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < until_s, "nothing came"
        time.sleep(0.05)
