"""The page in a real Chromium, at the sizes that it is made for, touched as fingers do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from remote_stage import Stage

SIZES = {"small phone": (360, 640), "phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}


def opened(
    browser: Any, stage: Stage, size: tuple[int, int], touch: bool = True, token: str = ""
) -> tuple[Any, list[str]]:
    """The page filled by the show, and the list to which its troubles go."""
    page = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)), has_touch=touch).new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(f"http://{stage.host}/{token and f'?token={token}'}")
    page.wait_for_selector("#faders .fader", state="attached")
    return page, troubles


def touched(page: Any, way: Iterable[tuple[float, float]]) -> None:
    """A finger put down, moved along a way of places on the screen, and lifted."""
    touches, kind = page.context.new_cdp_session(page), "touchStart"
    for x, y in way:
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        kind = "touchMove"
    touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
