"""The page beside a show: its first paint in a real Chromium, a fader's way to the state, and what ten phones cost."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.app.builder import Engine
from engine.app.options import LookOptions
from engine.bench.report import Bar, Notify
from engine.bench.running import TURNS, running
from engine.control.osc_status import Status
from engine.core.hud_info import HudInfo
from engine.core.messages import Frame
from engine.core.preview import Preview
from engine.outputs.registry import OutputSettings
from engine.outputs.screens import open_screen
from engine.remote.address import Place
from engine.remote.board import Board, HostInfo
from engine.remote.server import RemoteServer
from engine.render.pacing import redraw_loop
from tpos_models.contracts import Model
from tpos_models.errors import MissingPart, RunError

DRAWN_PX, RATE_HZ = (640, 360), 30.0
PAGES, LOADS, MOVES = 10, 5, 40
PATIENCE_S = 60.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def open_chromium() -> Iterator[Any]:
    """The system's Chromium, driven by playwright. Raises MissingPart where one of them is not there."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingPart("playwright is not installed: pip install playwright") from error
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise MissingPart("there is no Chromium: sudo apt-get install chromium")
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        args = ["--no-sandbox"] if is_root else []  # which root cannot have
        browser = playwright.chromium.launch(executable_path=program, args=args)
        yield browser
        browser.close()


def measure_remote(model: Model, seconds: float, notify: Notify) -> tuple[list[Bar], list[str]]:
    """All of it beside one running show; what could not be measured is a line. Raises MissingPart, RunError."""
    preview = Preview()
    with (
        open_screen("headless", OutputSettings(DRAWN_PX, preview=preview)) as screen,
        running(model, LookOptions()) as engine,
    ):
        board = Board(engine.show, Status, HostInfo("bench", *engine.osc.address), engine.clock.now)
        server = RemoteServer(board, preview, Place(port=0), announced=False)
        with server, ThreadPoolExecutor(1) as own:
            host = f"{server.place.host}:{server.place.port}"
            measured = own.submit(_measure, engine, host, seconds, notify)
            shown: Frame | None = None

            def redraw(now_s: float) -> None:
                nonlocal shown
                frame, state = engine.frames.peek(), engine.show.current()
                if frame is not None and frame is not shown:
                    shown = frame
                    screen.show(frame)
                screen.redraw(engine.capture.latest, state, now_s, HudInfo(), False)

            redraw_loop(screen, redraw, engine.clock, RATE_HZ, measured.done)
            return measured.result()


def _measure(engine: Engine, host: str, seconds: float, notify: Notify) -> tuple[list[Bar], list[str]]:
    notify("a fader of the page to the state")
    bars = [Bar("page: a fader to the state, median", 1000 * _fader_s(engine, host), "most", 50.0, "ms")]
    lines = []
    notify("the page's first paint")
    try:
        bars.append(Bar("page: first paint on loopback, median", _first_paint_ms(host), "most", 1000.0, "ms"))
    except MissingPart as error:
        lines.append(f"  the page's first paint is not measured: {error}")
    alone, beside = [], []
    for turn in range(TURNS):
        notify(f"frames a second without and with {PAGES} pages that look, {turn + 1} of {TURNS}")
        alone.append(_fps(engine, seconds / TURNS))
        with _watchers(host):
            beside.append(_fps(engine, seconds / TURNS))
    share = statistics.median(with_ / without for without, with_ in zip(alone, beside, strict=True))
    rates = f"{statistics.median(beside):.1f} against {statistics.median(alone):.1f}"
    lines.append(f"  frames a second with {PAGES} pages that look, and without: {rates}")
    bars.append(Bar(f"page: frames a second with {PAGES} that look over without", share, "least", 0.9, ""))
    return bars, lines


def _fader_s(engine: Engine, host: str) -> float:
    """Median seconds from a move on a page's socket to the state that has it."""
    from websockets.sync.client import connect

    taken_s = []
    with connect(f"ws://{host}/remote/socket") as page:
        threading.Thread(target=lambda: [*page], daemon=True).start()  # it takes in what it is told
        for move in range(MOVES):
            zoom, sent_s = (move + 1) / (2 * MOVES), time.monotonic()
            page.send(json.dumps({"send": [["/tpos/shader/zoom", zoom]]}))
            while engine.show.state.shader.zoom != zoom:
                if time.monotonic() - sent_s > PATIENCE_S:
                    raise RunError("a fader of the page never reached the state")
                time.sleep(0.0005)
            taken_s.append(time.monotonic() - sent_s)
            time.sleep(0.037)  # at no fixed phase to the redraws
    return statistics.median(taken_s)


def _first_paint_ms(host: str) -> float:
    """Median of a few loads, each by a browser that has seen nothing."""
    paints = "performance.getEntriesByName('first-contentful-paint')"
    found = []
    with open_chromium() as browser:
        for _ in range(LOADS):
            page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
            page.goto(f"http://{host}/")
            page.wait_for_selector("#faders .fader", state="attached")
            found.append(page.evaluate(f"{paints}[0].startTime"))
            page.context.close()
    return statistics.median(found)


def _fps(engine: Engine, seconds: float) -> float:
    """Frames sampled a second from now on."""
    before, start_s = engine.frames.count, time.monotonic()
    time.sleep(seconds)
    return (engine.frames.count - before) / (time.monotonic() - start_s)


@contextmanager
def _watchers(host: str) -> Iterator[None]:
    """While the pages of another process look."""
    program = Path(__file__).with_name("watchers.py")
    command = [sys.executable, str(program), host, str(PAGES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pages:
        try:
            if not (pages.stdout and pages.stdout.readline()):
                raise RunError("the pages that were to look have ended")
            yield
        finally:
            pages.kill()
