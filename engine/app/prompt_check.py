"""Words of a prompt that the model cannot draw are named, off the drawing thread: word vectors take their time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from engine.core.messages import Prompt
from tpos_models.contracts import Model


def unknown_words(model: Model, prompts: tuple[Prompt, ...]) -> Iterator[str]:
    """A line for each word of the prompts shown that means nothing to the picture, with the nearest that does."""
    for prompt in prompts:
        if prompt.weight > 0:
            yield from (word.line(model.spec.name) for word in model.text.unknown(prompt.text))


class PromptCheck:
    """Looks over prompts as they change, on a thread of its own; `notify` gets the lines, from that thread."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._checked: tuple[Prompt, ...] = ()
        self._pool = ThreadPoolExecutor(1, "tpos-words")

    def follow(self, prompts: tuple[Prompt, ...], model: Model | None) -> None:
        """Look these prompts over, once, as soon as there is a model."""
        if model is None or prompts == self._checked:
            return
        self._checked = prompts
        self._pool.submit(self._look, model, prompts)

    def close(self) -> None:
        """Stop; what waits is left."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, model: Model, prompts: tuple[Prompt, ...]) -> None:
        for line in unknown_words(model, prompts):
            self._notify(line)
