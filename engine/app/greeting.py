"""What a live show says as it begins."""

from __future__ import annotations

from engine.core import console
from engine.core.messages import ShowState
from engine.core.stems import patched


def greet(source: str, state: ShowState, osc: tuple[str, int], model: str, headless: bool, late: int) -> None:
    """Who is listened to, where OSC is, by how many frames a picture comes late, and how the show ends."""
    stems = "".join(f", {stem}" for stem in patched(state.stems, state.patch))
    console.notify(f"listening to {source}{stems}; OSC on {osc[0]}:{osc[1]}; model {model}")
    if late:
        console.notify(f"stream batch: a picture comes {late} frames later than without")
    console.notify("Ctrl-C ends the show" if headless else "keys: ? lists them, Q twice ends the show")
