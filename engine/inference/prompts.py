"""The operator's prompts as what the network is conditioned on, crossfading from one to the next."""

from __future__ import annotations

import torch

from engine.core.beat_grid import Span
from engine.core.messages import SILENCE, AudioFeatures, Prompt, ShowState
from tpos_models.contracts import Model
from tpos_models.diffusion.conditioning import crossfade, mix


class PromptCrossfade:
    """The prompt as tokens, crossfading from whatever was shown when it changed. Owned by one thread.

    A fade of some bars follows the tempo while it lasts; weights that are moved meanwhile are those it ends at.

    `null` is the encoding of "" (TOKENS, TOKEN_SIZE).
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._prompts: tuple[Prompt, ...] | None = None
        self._negative = ""
        self._encode_plain()
        self._from = self._to = self.null
        self._fade, self._gone, self._last_s = Span(), 1.0, 0.0

    def tokens(self, state: ShowState, now_s: float, features: AudioFeatures = SILENCE) -> torch.Tensor:
        """Tokens (TOKENS, TOKEN_SIZE) of the prompt at `now_s`; the first prompt of all is there at once."""
        self._gone += (now_s - self._last_s) / max(self._fade.in_s(features), 1e-9)
        self._last_s = now_s
        if state.prompts != self._prompts:
            fade = Span() if self._prompts is None else Span(state.fade_s, state.fade_bars)
            if fade != Span() or _texts(state.prompts) != _texts(self._prompts or ()):
                self._from, self._fade, self._gone = self._now(), fade, float(fade == Span())
            self._prompts, self._to = state.prompts, self._encode(state.prompts)
        return self._now()

    def renew(self) -> None:
        """Encode what is shown anew, by a text encoder with other weights; what is being faded out stays as it was."""
        self._encode_plain()
        self._to = self._encode(self._prompts or ())

    def _encode_plain(self) -> None:
        self.null, negative = self._model.text.encode(["", self._negative]).tokens
        self._uncond = negative if self._negative.strip() else self.null  # itself: then three evaluations are enough

    def uncond(self, state: ShowState) -> torch.Tensor:
        """What classifier-free guidance moves away from: the negative prompt, or `null` itself."""
        if state.negative != self._negative:
            self._negative = state.negative
            self._encode_plain()
        return self._uncond

    def _now(self) -> torch.Tensor:
        return crossfade(self._from, self._to, self._gone, self._model.spec.spherical)

    def _encode(self, prompts: tuple[Prompt, ...]) -> torch.Tensor:
        shown = [prompt for prompt in prompts if prompt.weight > 0 and prompt.text.strip()]
        if not shown:
            return self.null
        tokens = self._model.text.encode([prompt.text for prompt in shown]).tokens
        return mix(tokens, [prompt.weight for prompt in shown], self.null)


def _texts(prompts: tuple[Prompt, ...]) -> list[str]:
    return [prompt.text for prompt in prompts]
