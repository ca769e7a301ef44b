"""Who comes in and who does not: strangers, other sites' pages, those who look on, and a port that is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.cookies import SimpleCookie
from types import SimpleNamespace

import psutil
import pytest
from remote_stage import Stage, received
from websockets.exceptions import InvalidStatus

from engine.core import hosts
from engine.remote.address import Place, Tokens, links, parse_place, qr_lines
from engine.remote.server import RemoteServer
from tpos_models.errors import InputError, RunError

pytestmark = pytest.mark.realtime

TOKENS = Tokens("operator-token", "viewer-token")
PAGE = {"accept": "text/html"}
PATHS = ("/", "/tpos/motion", "/page/main.js", "/remote/preview.jpg", "/remote/thumbnail/default")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(TOKENS) as stage:
        yield stage


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("with_token", ["", "?token=", "?token=operator-toke", "?token=viewer-tokenn"])
def test_a_stranger_is_refused_in_one_line(stage: Stage, path: str, with_token: str) -> None:
    answer = stage.get(path + with_token)
    assert answer.status == 401
    assert answer.body.decode().count("\n") == 1
    assert b"accepted: the link or QR code" in answer.body


@pytest.mark.parametrize("path", ["/", "/remote/socket"])
def test_a_stranger_has_no_socket(stage: Stage, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused, stage.connect(path):
        pass
    assert refused.value.response.status_code == 401


def test_the_link_leaves_a_cookie_that_no_other_site_can_use(stage: Stage) -> None:
    page = stage.get("/?token=operator-token", accept="text/html")
    assert page.status == 200
    assert b"<title>TPoS Live</title>" in page.body
    cookie = SimpleCookie(page.headers["set-cookie"])["tpos"]
    assert (cookie["samesite"], cookie["httponly"], cookie.value) == ("strict", True, "operator-token")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for path in ("/", "/page/main.js", "/tpos/motion"):
        assert stage.get(path, cookie="tpos=operator-token", **PAGE).status == 200
    with stage.connect(cookie="tpos=operator-token") as page_socket:
        assert received(page_socket, lambda told: "scene" in told)["scene"]["role"] == "operator"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    ],
)
def test_what_another_site_asks_is_refused_even_with_the_token(stage: Stage, headers: dict[str, str]) -> None:
    answer = stage.get("/tpos/motion", cookie="tpos=operator-token", **headers)
    assert answer.status == 403
    assert answer.body.decode().count("\n") == 1
    if "origin" in headers:
        with pytest.raises(InvalidStatus) as refused, stage.connect(cookie="tpos=operator-token", **headers):
            pass
        assert refused.value.response.status_code == 403


def test_the_pages_own_origin_is_let_in(stage: Stage) -> None:
    with stage.connect(cookie="tpos=operator-token", origin=f"http://{stage.host}") as page_socket:
        assert received(page_socket, lambda told: "values" in told)


def test_a_viewer_sees_everything_and_moves_nothing(stage: Stage) -> None:
    stage.show.put({"motion": 0.5})
    with stage.connect(cookie="tpos=viewer-token") as page_socket:
        assert received(page_socket, lambda told: "scene" in told)["scene"]["role"] == "viewer"
        page_socket.send('{"send": [["/tpos/motion", 0.9], ["/tpos/blackout", true]]}')
        refused = received(page_socket, lambda told: "refused" in told)["refused"]
    assert [address for address, _, _ in refused] == ["/tpos/motion", "/tpos/blackout"]
    assert stage.show.current().motion == 0.5
    assert not stage.show.state.blackout


def test_oscquery_is_as_open_as_osc_itself_and_the_page_is_not() -> None:
    with Stage(TOKENS, osc_is_open=True) as stage:
        assert stage.get("/tpos/motion").status == stage.get("/").status == 200
        with stage.connect("/"):
            pass
        assert stage.get("/", **PAGE).status == stage.get("/remote/preview.jpg").status == 401
        with pytest.raises(InvalidStatus), stage.connect("/remote/socket"):
            pass


def test_on_this_machine_nobody_needs_a_token() -> None:
    with Stage() as stage:
        assert stage.get("/", **PAGE).status == 200
        assert stage.get("/tpos/motion", host="evil.example").status == 403


def test_a_taken_port_and_a_foreign_address_are_one_line_each(stage: Stage) -> None:
    place = Place("127.0.0.1", stage.server.place.port)
    with pytest.raises(RunError, match=f"port 127.0.0.1:{place.port} is in use by another program"):
        RemoteServer(None, None, place)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="accepted: an address of this machine"):
        RemoteServer(None, None, Place("192.0.2.1", 0))  # type: ignore[arg-type]


def test_the_port_is_free_again_when_the_server_has_closed() -> None:
    with Stage() as stage, stage.connect(), stage.connect("/"):
        place = stage.server.place
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind((place.host, place.port))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:9100", Place("127.0.0.1", 9100)),
        ("0.0.0.0", Place("0.0.0.0", 9080)),
        (":81", Place("127.0.0.1", 81)),
        ("81", Place("127.0.0.1", 81)),
        ("[::1]:82", Place("::1", 82)),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["here:there", "0.0.0.0:70000", "127.0.0.1:-1"])
def test_what_is_no_place_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError, match=f"--remote {text}; accepted: HOST:PORT"):
        parse_place(text)


def test_the_link_has_an_address_that_a_phone_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adapters as a laptop on Windows has them: one without a network, a virtual one, the hall's."""
    adapters = {"Local Area Connection* 1": "169.254.83.107", "vEthernet (WSL)": "172.28.0.1", "Wi-Fi": "192.168.1.20"}
    found = {name: [SimpleNamespace(family=socket.AF_INET, address=at)] for name, at in adapters.items()}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    monkeypatch.setattr(hosts, "_routed", lambda: "192.168.1.20")
    assert dict(links(Place("0.0.0.0"), None))["page"] == "http://192.168.1.20:9080/"
    monkeypatch.setattr(hosts, "_routed", lambda: "")
    assert hosts.own_addresses()[-1] == "169.254.83.107"
    assert dict(links(Place("0.0.0.0"), None))["page"] == "http://172.28.0.1:9080/"


def test_the_address_that_others_are_reached_by_is_one_of_this_machine() -> None:
    assert hosts._routed() in ("", *(one.address for nets in psutil.net_if_addrs().values() for one in nets))


def test_links_carry_a_token_only_in_a_network_and_another_in_every_show() -> None:
    assert dict(links(Place(), None)) == {"page": "http://127.0.0.1:9080/"}
    assert not Place("0.0.0.0").is_local
    tokens = [Tokens.new() for _ in range(4)]
    assert len({token for pair in tokens for token in (pair.operator, pair.viewer)}) == 8
    found = dict(links(Place("192.0.2.7", 80), TOKENS))
    assert found["page"] == "http://192.0.2.7:80/?token=operator-token"
    assert found["to look on"].endswith("?token=viewer-token")
    lines = qr_lines(found["page"])
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == -(-len(lines[0]) // 2)
    assert set(lines[0]) == {"█"}  # the light border that cameras need
