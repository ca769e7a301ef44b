"""The further outputs of a show: opened, switched off and on while it plays, and how they fare."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from engine.core.hud_info import Health, HudInfo, Outlet
from engine.outputs.output import Drawing, Output, Picture
from engine.outputs.spec import OutputSpec
from engine.outputs.venue.mapper import Mapper
from engine.outputs.venue.venue import MAPPED
from engine.render.picture import Size
from tpos_models.errors import InputError

COUNTED_S = 1.0
"""Over how long pictures a second are counted."""


class Outlets:
    """Outputs beside the one that brings the context, each with its own view of what is drawn there.

    `specs` are those of `--output`, opened by `opener` unless they are to be off at first, mapped by `mapper`.
    `states` may be read by any thread; the rest is the main thread's.
    """

    def __init__(
        self,
        drawing: Drawing,
        specs: Sequence[OutputSpec] = (),
        opener: Callable[[OutputSpec], Output] | None = None,
        opened: Sequence[Output] = (),
        mapper: Mapper | None = None,
    ) -> None:
        self.mapper = mapper or Mapper()
        self._drawing, self._opener = drawing, opener
        self._specs = {spec.name: spec for spec in specs}
        self._open: dict[str, tuple[Output, Picture]] = {}
        self._counted_s = 0.0
        self._counts: dict[str, int] = {}
        self._rates_hz: dict[str, float] = {}
        self.states: tuple[Outlet, ...] = ()
        """Every outlet that was asked for, on or off, as it was lately."""
        for output in opened:
            self.add(output)

    def add(self, output: Output) -> None:
        """Send to an open output that the operator did not ask for and is not told of, too; it is closed with them."""
        self._open[output.name] = output, self._drawing.view(output.light, partial(self.mapper.mapped, output.name))

    def open(self) -> None:
        """Open what is to be on from the start. Raises what the outputs raise."""
        for spec in self._specs.values():
            if not spec.off:
                self._start(spec)
        self._look()

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Those that are open."""
        return tuple(output for output, _ in self._open.values())

    @property
    def mapped_px(self) -> dict[str, Size]:
        """Width and height of those that can be mapped."""
        return {one.name: one.size for one in self.outputs if one.name.partition(":")[0] in MAPPED}

    @property
    def trouble(self) -> str:
        """What is wrong with any of them, in a line; "" while all is well."""
        return "; ".join(f"{one.name}: {one.health.trouble}" for one in self.states if one.health.trouble)

    def switch(self, name: str, on: bool | None) -> str:
        """Open or close an outlet, None: whichever it is not; says what was done.

        Raises `InputError` for a name that the show was not started with, and what opening it raises.
        """
        if name not in self._specs:
            accepted = ", ".join(self._specs) or "none: --output asks for them when the show is started"
            raise InputError(f"output {name!r:.60}: {accepted} would be accepted")
        is_open = name in self._open
        wanted = not is_open if on is None else on
        if wanted and not is_open:
            self._start(self._specs[name])
        elif is_open and not wanted:
            self._stop(name)
        self._look()
        return f"output {name} {'on' if wanted else 'off'}"

    def dispatch(self) -> None:
        """Handle the events that wait, and close what the operator closed."""
        for name, (output, _) in list(self._open.items()):
            output.dispatch()
            if output.closed:
                self._stop(name)
                self._look()

    def send(self, time_s: float, hud: HudInfo) -> None:
        """Send each of them what was drawn, shaped by the sound captured at `time_s`."""
        for output, view in self._open.values():
            output.send(view, time_s, hud)
        if time.monotonic() - self._counted_s >= COUNTED_S:
            self._look()

    def close(self) -> None:
        """Close all; twice is harmless."""
        for name in list(self._open):
            self._stop(name)

    def _start(self, spec: OutputSpec) -> None:
        if self._opener is not None:
            self.add(self._opener(spec))

    def _stop(self, name: str) -> None:
        output, view = self._open.pop(name)
        self._counts.pop(name, None)
        view.close()
        output.close()

    def _look(self) -> None:
        """Take down how each fares, and from time to time how many pictures a second reach it."""
        now_s = time.monotonic()
        healths = {name: output.health for name, (output, _) in self._open.items()}
        passed_s = now_s - self._counted_s
        if passed_s >= COUNTED_S:
            before, self._counted_s = self._counts, now_s
            self._counts = {name: health.sent for name, health in healths.items()}
            self._rates_hz = {
                name: (sent - before[name]) / passed_s for name, sent in self._counts.items() if name in before
            }
        self.states = tuple(
            Outlet(name, name in healths, self._rates_hz.get(name, 0.0), healths.get(name, Health()))
            for name in self._specs
        )
