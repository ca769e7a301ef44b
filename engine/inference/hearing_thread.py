"""Hearing in a live show, on a thread of its own or within inference, and what its failures do.

An encoder that fails or hangs costs the show its sound, never its picture: what was heard last stays for `HOLD_S`, then
fades into silence.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Protocol

import torch

from engine.core.clock import Clock
from engine.core.mailbox import Mailbox
from engine.core.messages import Rule
from engine.core.own_thread import pause_s
from engine.inference.hearing import HeardSound, SoundSource
from engine.inference.priority import step_back
from export.cuda_streams import handed_over, own_stream
from tpos_models.contracts import AudioEncoder

log = logging.getLogger(__name__)

POLL_S = 0.02
"""How often the thread looks for new sound and new rules."""
HOLD_S, FADE_S = 2.0, 2.0
"""An encoder owes an answer for so long before the last one fades, and takes so long to fade."""
LATE_S, LATE = 1.2, 1.6
"""It is told that there is none after so long, or so many times what one takes; and that there is no picture."""
CLOSE_S = 2.0
"""How long a call under way is waited for at the end; the thread of one that hangs is left."""


class Ears(Protocol):
    """What is asked of `engine.inference.hearing.Listener`, which says what each call does."""

    encoder: AudioEncoder
    device: torch.device
    heard: HeardSound | None

    def listen(self, source: SoundSource, rules: tuple[Rule, ...]) -> bool: ...


class Hearing:
    """A listener in a live show, from `__enter__` to `__exit__`: it listens, inference asks for the newest.

    Where it is `apart` the thread "hearing" owns the listener, on a CUDA stream of its own where there is one; else the
    thread that calls `newest` does. After a failure it tries again, after pauses as inference makes them. It ends by
    itself when it is `over`. `encoding` goes with the encoder and is held while that works: a call that hangs in it
    keeps every other thread out.
    """

    def __init__(
        self,
        ears: Ears,
        source: SoundSource,
        clock: Clock,
        encoding: threading.Lock,
        *,
        apart: bool,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ears, self._source, self._clock, self._encoding, self._over = ears, source, clock, encoding, over
        self._rules: tuple[Rule, ...] = ()
        self._box: Mailbox[HeardSound] = Mailbox()
        self._closing = threading.Event()
        self._stream = own_stream(ears.device)
        self._thread = threading.Thread(target=self._run, name="hearing", daemon=True) if apart else None
        self._failures, self._again_s = 0, float("-inf")
        self._error = ""
        self._asked_s: float | None = None
        """Since when an answer is owed."""
        self._took_s = 0.0

    def __enter__(self) -> Hearing:
        """Begin; a thread's first answer is waited for, so that no frame comes too early for the sound."""
        if self._thread is not None:
            self._thread.start()
            until_s = self._clock.now() + HOLD_S
            while not (self._box.wait_newer(0, POLL_S) or self._over() or self._error or self._clock.now() > until_s):
                pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def newest(self, rules: tuple[Rule, ...]) -> HeardSound | None:
        """The newest sound, weighed against these rules as soon as may be; None before the first, and after the last.

        For the inference thread, which may use it until it asks again.
        """
        self._rules = rules
        if self._thread is None:
            self._listen()
        heard = self._ears.heard if self._thread is None else self._box.peek()
        late_s = self._late_s()
        if heard is None or late_s >= HOLD_S + FADE_S:
            return None
        heard.take()
        return heard if late_s <= HOLD_S else replace(heard, presence=1 - (late_s - HOLD_S) / FADE_S)

    @property
    def trouble(self) -> str:
        """What is wrong, in a line; "" while all is well."""
        hangs = self._late_s() > max(LATE_S, LATE * self._took_s)
        return self._error or (f"hearing hangs: no answer in {LATE_S:g} s" if hangs else "")

    def _late_s(self) -> float:
        """For how long an answer is owed."""
        asked_s = self._asked_s
        return 0.0 if asked_s is None else self._clock.now() - asked_s

    def _run(self) -> None:
        step_back()
        with self._stream:
            while not (self._closing.wait(POLL_S) or self._over()):
                self._listen()

    def _listen(self) -> None:
        """Hear what is new; after a failure, not before its pause is over."""
        now_s = self._clock.now()
        if now_s < self._again_s:
            return
        self._asked_s = now_s if self._asked_s is None else self._asked_s
        if not self._encoding.acquire(blocking=False):
            return
        try:
            new = self._ears.listen(self._source, self._rules)
        except Exception as error:  # noqa: BLE001 - supervised: the show goes on, deaf
            self._fail(error)
            return
        finally:
            self._encoding.release()
        if new and self._thread is not None and (heard := self._ears.heard):
            tensors = (heard.embedding.tokens, heard.embedding.joint, *(term.tokens for term in heard.shows))
            self._box.put(replace(heard, take=handed_over(tensors)))
        self._took_s = self._late_s()
        self._asked_s, self._failures, self._error = None, 0, ""

    def _fail(self, error: Exception) -> None:
        if not self._failures:
            log.exception("hearing failed")
        self._failures += 1
        self._again_s = self._clock.now() + pause_s(self._failures)
        self._error = f"hearing stopped: {str(error) or type(error).__name__}"
