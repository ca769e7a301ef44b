"""What a show asks for and its model cannot draw is named, off the drawing thread: word vectors take their time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from engine.core.messages import Prompt
from tpos_models.contracts import Model


def remarks(model: Model, prompts: tuple[Prompt, ...], steps: int) -> Iterator[str]:
    """A line for each word of the prompts shown that means nothing to the picture, and for steps that would harm it."""
    for prompt in prompts:
        if prompt.weight > 0:
            yield from (word.line(model.spec.name) for word in model.text.unknown(prompt.text))
    most = model.spec.most_steps
    if most and steps > most:
        yield f"{model.spec.name}'s pictures get worse with more than {most} step{'s' * (most > 1)} a frame; not taken"


class PromptCheck:
    """Looks over prompts and steps as they change, on a thread of its own; `notify` gets the lines, from there."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._checked: tuple[tuple[Prompt, ...], int] = (), 0
        self._pool = ThreadPoolExecutor(1, "tpos-words")

    def follow(self, prompts: tuple[Prompt, ...], steps: int, model: Model | None) -> None:
        """Look these over, once, as soon as there is a model."""
        if model is None or (prompts, steps) == self._checked:
            return
        self._checked = prompts, steps
        self._pool.submit(self._look, model, prompts, steps)

    def close(self) -> None:
        """Stop; what waits is left."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, model: Model, prompts: tuple[Prompt, ...], steps: int) -> None:
        for line in remarks(model, prompts, steps):
            self._notify(line)
