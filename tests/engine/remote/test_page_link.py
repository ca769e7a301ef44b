"""The page in a real Chromium behind a network that fails, and beside a hand that moves what it shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from remote_stage import SIZES, STATUS, Network, Told, opened

from engine.remote.address import Tokens

pytestmark = pytest.mark.realtime

DESKTOP = SIZES["desktop"]
LOST, STRANGER = "Connecting …", "This link belongs to another show: scan the code again."
KEEP = """([at, kept]) => { window[kept] = []; const one = document.querySelector(at);
    new MutationObserver(() => window[kept].push(one.textContent)).observe(one, { childList: true }); }"""
PIXEL = "document.querySelector('#preview').getContext('2d').getImageData(9, 9, 1, 1).data[0]"
COUNT = """() => { window.sockets = 0;
    window.WebSocket = class extends WebSocket { constructor(...given) { super(...given); window.sockets += 1; } }; }"""


@pytest.fixture
def stage() -> Iterator[Told]:
    with Told() as stage:
        yield stage


@pytest.fixture
def network(stage: Told) -> Iterator[Network]:
    with Network(stage) as network:
        yield network


def shown(page: Any, name: str) -> str:
    """What a fader of the page says."""
    return page.get_by_role("slider", name=name, exact=True).get_attribute("aria-valuenow")


def message(page: Any) -> str:
    return page.locator("#message").text_content()


def test_a_dead_network_is_noticed_and_the_page_comes_back(browser: Any, stage: Told, network: Network) -> None:
    page, _ = opened(browser, network, DESKTOP)
    page.evaluate(COUNT)
    lost = page.locator("#lost")
    assert not lost.is_visible()
    network.cut, since_s = True, time.monotonic()
    page.get_by_role("button", name="Freeze").click()
    stage.until(lost.is_visible)
    assert 3.0 < time.monotonic() - since_s < 9.0
    assert lost.text_content() == LOST
    assert message(page).startswith("/tpos/freeze: may not have arrived;")
    stage.until(lambda: page.evaluate("sockets"))  # one more, which never gets beyond connecting
    stage.show.put({"motion": 0.875})
    network.cut = False
    stage.until(lost.is_hidden)
    stage.until(lambda: shown(page, "motion") == "0.875")
    assert page.evaluate("sockets") >= 2
    page.get_by_role("button", name="Blackout").click()
    stage.until(lambda: stage.show.state.blackout)
    before = page.evaluate(PIXEL)
    stage.until(lambda: page.evaluate(PIXEL) != before)  # pictures come too
    page.context.close()


def test_a_socket_that_ended_twice_is_followed_by_one(browser: Any, stage: Told, network: Network) -> None:
    page, _ = opened(browser, network, DESKTOP)
    page.evaluate(COUNT)
    network.cut = True
    stage.until(page.locator("#lost").is_visible)
    network.drop()  # what was given up is closed as well
    network.cut = False
    stage.until(page.locator("#lost").is_hidden)
    count = page.evaluate("sockets")
    page.wait_for_timeout(5000)
    assert page.evaluate("sockets") == count
    assert page.locator("#lost").is_hidden()
    page.context.close()


def test_a_lost_link_is_said_at_once_and_what_it_cannot_carry(browser: Any, stage: Told, network: Network) -> None:
    page, _ = opened(browser, network, DESKTOP)
    lost, since_s = page.locator("#lost"), time.monotonic()
    network.cut = True  # nothing asked from now on is answered
    network.drop()
    stage.until(lost.is_visible)
    assert time.monotonic() - since_s < 2.0
    page.get_by_role("button", name="Freeze").press("Enter")
    assert message(page) == "/tpos/freeze: not sent; accepted: when the show answers again"
    page.get_by_role("slider", name="sway").press("ArrowRight")
    stage.until(lambda: message(page).startswith("/tpos/shader/sway: not sent;"))
    page.wait_for_timeout(5500)  # the line's time is over: nobody has seen it
    network.cut = False
    stage.until(lost.is_hidden)
    assert "/tpos/freeze: not sent;" in message(page)
    assert "/tpos/shader/sway: not sent;" in message(page)
    stage.until(lambda: float(shown(page, "sway")) == pytest.approx(stage.show.state.shader.sway, abs=1e-3))
    assert not stage.show.state.freeze
    page.context.close()


def test_a_link_of_another_show_is_told_and_stays_told(browser: Any) -> None:
    with Told(Tokens("play", "look")) as stage, Network(stage) as network:
        page, _ = opened(browser, network, DESKTOP, token="play")
        page.evaluate(KEEP, ["#lost", "said"])
        cookies = page.context.cookies()
        page.context.clear_cookies()
        network.drop()
        stage.until(lambda: page.locator("#lost").text_content() == STRANGER)
        page.wait_for_timeout(2500)  # a few tries
        assert page.evaluate("said") == [LOST, STRANGER]
        page.context.add_cookies(cookies)
        stage.until(page.locator("#lost").is_hidden)
        page.context.close()


def test_a_take_keeps_its_time_over_a_lost_link(browser: Any, stage: Told, network: Network) -> None:
    page, _ = opened(browser, network, DESKTOP)
    recording, lost = page.locator("#recording"), page.locator("#lost")
    page.evaluate(COUNT)
    stage.told = replace(STATUS, recording=True)
    stage.until(lambda: recording.is_visible() and recording.text_content() == "REC 0:00")
    page.evaluate(KEEP, ["#recording", "said"])
    stage.until(lambda: recording.text_content() == "REC 0:01")
    network.drop()
    stage.until(lambda: page.evaluate("sockets") and lost.is_hidden())
    stage.until(lambda: recording.text_content() >= "REC 0:03")
    said = page.evaluate("said")
    assert said == sorted(said)
    page.context.close()


def test_a_take_that_began_unseen_has_no_time(browser: Any, stage: Told, network: Network) -> None:
    stage.told = replace(STATUS, recording=True)
    page, _ = opened(browser, network, DESKTOP)
    recording, lost = page.locator("#recording"), page.locator("#lost")
    stage.until(recording.is_visible)
    page.wait_for_timeout(1200)
    assert recording.text_content() == "REC"
    stage.told = STATUS
    stage.until(recording.is_hidden)
    stage.told = replace(STATUS, recording=True)
    stage.until(recording.is_visible)
    assert recording.text_content().startswith("REC 0:0")
    stage.told = STATUS
    stage.until(recording.is_hidden)
    network.cut = True
    network.drop()
    stage.until(lost.is_visible)
    stage.told = replace(STATUS, recording=True)
    network.cut = False
    stage.until(recording.is_visible)
    page.wait_for_timeout(600)
    assert recording.text_content() == "REC"
    page.context.close()


def test_a_fader_shows_what_the_show_said_while_it_was_held(browser: Any, stage: Told) -> None:
    page, troubles = opened(browser, stage, DESKTOP, touch=False)
    stage.show.put({"motion": 0.25})
    stage.until(lambda: shown(page, "motion") == "0.250")
    page.get_by_role("slider", name="motion").hover()
    page.mouse.down()
    stage.until(lambda: stage.show.state.motion == pytest.approx(0.5, abs=0.01))
    held = shown(page, "motion")
    stage.show.put({"motion": 0.875})
    page.wait_for_timeout(600)
    assert shown(page, "motion") == held
    page.mouse.up()
    stage.until(lambda: shown(page, "motion") == "0.875")
    assert not troubles
    page.context.close()


def test_a_fader_shows_what_the_show_said_just_after_a_move(browser: Any, stage: Told) -> None:
    page, troubles = opened(browser, stage, DESKTOP, touch=False)
    stage.show.put({"motion": 0.5})
    stage.until(lambda: shown(page, "motion") == "0.500")
    page.get_by_role("slider", name="motion").press("ArrowRight")
    stage.until(lambda: stage.show.state.motion != 0.5)
    stage.show.put({"motion": 0.125})
    stage.until(lambda: shown(page, "motion") == "0.125")
    assert not troubles
    page.context.close()


def test_a_number_shows_what_the_show_said_while_it_was_typed_in(browser: Any, stage: Told) -> None:
    page, troubles = opened(browser, stage, DESKTOP, touch=False)
    seed = page.locator("#faders input[type=number]").first
    before = seed.input_value()
    seed.focus()
    stage.show.put({"seed": 77})
    page.wait_for_timeout(400)
    assert seed.input_value() == before
    seed.blur()
    stage.until(lambda: seed.input_value() == "77")
    seed.fill("123")
    seed.press("Enter")
    stage.until(lambda: stage.show.state.seed == 123)
    stage.show.put({"seed": 5})
    page.wait_for_timeout(400)
    seed.blur()
    stage.until(lambda: seed.input_value() == "5")
    seed.fill("9")
    page.evaluate("one => { one.blur(); window.atOnce = one.value; }", seed.element_handle())
    assert page.evaluate("atOnce") == "9"
    stage.until(lambda: stage.show.state.seed == 9)
    page.wait_for_timeout(2500)
    assert seed.input_value() == "9"
    assert not troubles
    page.context.close()


def test_a_line_shows_what_the_show_said_while_it_was_typed_in(browser: Any, stage: Told) -> None:
    page, troubles = opened(browser, stage, DESKTOP, touch=False)
    line = page.get_by_role("textbox", name="negative")
    before = line.input_value()
    line.focus()
    stage.show.put({"negative": "blurred"})
    page.wait_for_timeout(400)
    assert line.input_value() == before
    line.blur()
    stage.until(lambda: line.input_value() == "blurred")
    assert not troubles
    page.context.close()
