"""A frame as two networks: a step with its guidance, to the next x_t, and a decode down to bytes.

Compiled, they leave nothing to do between them. Everything a show can change is a number it is given, so one
network serves every tier, every strength and every number of steps. Its batch is the evaluations of one frame. They
are mixed from the same few sets of tokens (row M), and each says what part it has in the plain prediction (p), in what
sounds are compared with (b), and how strongly it steers (k):

| tier                       | evaluation | M                           | p     | b | k                     |
|----------------------------|------------|-----------------------------|-------|---|-----------------------|
| `blend`                    | e_t        | c_t + sum w_i (c_a_i - c_0) | r     | 1 | 0                     |
| `semantic`                 | e_t        | c_t                         | r     | 1 | 0                     |
|                            | e_a        | c_t + sum w_i (c_a_i - c_0) | 0     | 0 | audio_scale           |
| `reference`                | e_u        | c_u                         | 1 - s | 1 | 0                     |
|                            | e_t        | c_t                         | s     | 0 | 0                     |
|                            | e_a        | sum w_i / W c_a_i           | 0     | 0 | audio_scale W         |
| with a negative prompt     | e_u        | c_u                         | 1 - s | 0 | 0                     |
|                            | e_0        | c_0                         | 0     | 1 | 0                     |
| silence (s = 1 in `reference`) | e_t    | c_t                         | r (1) | 1 | 0                     |

    base = sum b e     d = sum k keep_largest(e - base)     g = d + s_m v     v <- beta_m v + (1 - beta_m) g
    x <- f_x x + f_e (sum p e + g) + f_s start + f_n noise

Formulas, letters and sources: `diffusion.guidance`. Every prediction type and the consistency boundary are linear in x
and e, so four numbers f lead from a prediction to the next x_t, or at the last step to x0; e_v, the rest of r, is in
f_x and f_s.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import Conditions, merged
from tpos_models.diffusion.guidance import Guidance, Tier, cells_kept, keep_largest, warmup_steps
from tpos_models.diffusion.local_mask import acting
from tpos_models.diffusion.sampler import Sampled, Sampler, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.network import MAX_BATCH, Network, Run, Tensors

TOKEN_SETS = 12
"""Prompt, "", what guidance moves away from, and sounds; those beyond are folded into the last."""
_SOUNDS = TOKEN_SETS - 3
MOST_KEPT = 3840
"""The most values that TensorRT's TopK gives: a fifth of a picture of 1.2 megapixels."""
NUMBERS = (
    "t", "plain", "base", "direction", "carried", "guided", "momentum_scale", "momentum_beta", "from_x",
    "from_prediction", "from_start", "from_noise",
)  # fmt: skip
"""Columns of `numbers` behind M's: the first four are an evaluation's own, the others the step's. `carried` is 0 where
there is no v yet, `guided` 0 during the warm-up and in silence."""
_MOMENTUM = slice(TOKEN_SETS + NUMBERS.index("carried"), TOKEN_SETS + NUMBERS.index("momentum_beta") + 1)


class Step(nn.Module):
    """A denoiser and the arithmetic around it.

    `numbers` (n, `TOKEN_SETS` + len(`NUMBERS`)), `x_t`, `start`, `noise` and `v` (1, C, h, w), `tokens` (`TOKEN_SETS`,
    L, D) -> the next x_t and v. `quantile` is `Guidance.quantile`: how many cells it keeps is part of the network.
    """

    halves = ("denoiser",)
    """What float16 rounds; the rest stays in float32."""

    def __init__(self, denoiser: nn.Module, quantile: float) -> None:
        super().__init__()
        self.denoiser, self._quantile = denoiser, quantile

    def forward(
        self,
        numbers: torch.Tensor,
        x_t: torch.Tensor,
        start: torch.Tensor,
        noise: torch.Tensor,
        v: torch.Tensor,
        tokens: torch.Tensor,
    ) -> Tensors:
        conditions = (numbers[:, :TOKEN_SETS] @ tokens.flatten(1)).view(-1, *map(int, tokens.shape[1:]))
        t, plain, base, direction = numbers[:, TOKEN_SETS : TOKEN_SETS + 4, None, None, None].unbind(1)
        carried, guided, momentum_scale, momentum_beta, from_x, from_e, from_start, from_noise = numbers[
            :1, TOKEN_SETS + 4 :, None, None, None
        ].unbind(1)
        # not `expand`: the tracing exporter would take the batch for a number
        e = self.denoiser(torch.ones_like(plain) * x_t, t.flatten().long(), conditions)
        apart = keep_largest(e - (base * e).sum(0, keepdim=True), self._quantile)
        g = (direction * apart).sum(0, keepdim=True) + momentum_scale * carried * v
        prediction = (plain * e).sum(0, keepdim=True) + guided * g
        return (
            from_x * x_t + from_e * prediction + from_start * start + from_noise * noise,
            momentum_beta * carried * v + (1 - momentum_beta) * g,
        )


class Pixels(nn.Module):
    """A decoder and what turns its colours, 0..1, into bytes: latents (B, C, h, w) to opaque RGBA uint8 (B, H, W, 4).

    What screens take: a GPU uploads four bytes a pixel as they are, three only after somebody has moved them apart.
    """

    halves = ("decoder",)

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return to_rgba(self.decoder(latents))


def to_rgba(colours: torch.Tensor) -> torch.Tensor:
    """RGB (B, 3, H, W) in 0..1 to opaque RGBA uint8 (B, H, W, 4)."""
    rgba = torch.cat([colours, torch.ones_like(colours[:, :1])], 1)  # in floats: TensorRT casts bytes, and no more
    return (255 * rgba).clamp(0, 255).round().permute(0, 2, 3, 1).to(torch.uint8)


def pixels_network(decoder: Network) -> Network:
    """The bytes behind a decoder, for any runner."""
    made_of = f"{decoder.fingerprint} {inspect.getsource(Pixels)} {inspect.getsource(to_rgba)}"
    return Network(
        decoder.name.replace("decoder", "pixels"),
        lambda: Pixels(decoder.build()).eval(),
        decoder.example,
        decoder.inputs,
        ("pixels",),
        hashlib.sha256(made_of.encode()).hexdigest(),
        decoder.max_batch,
        rounding=1.0,
    )


def compiles(spec: ModelSpec) -> bool:
    """Whether TensorRT takes a model's step: what its quantile keeps of a channel is chosen by a TopK."""
    return cells_kept(spec.guidance.quantile, spec.sample_size[0] * spec.sample_size[1]) <= MOST_KEPT


def step_network(denoiser: Network, quantile: float) -> Network:
    """The step around a denoiser, for any runner."""

    def example(batch: int) -> Tensors:
        x_t, t, tokens = denoiser.example(batch)
        sets = torch.cat([tokens] * TOKEN_SETS)[:TOKEN_SETS]
        mixing = torch.eye(TOKEN_SETS)[:batch].to(x_t)
        # what hardly steers hardly jumps where float16 rounds a cell across the quantile
        own = torch.tensor([[1.0, 1.0, 0.0], *[[0.0, 0.0, 0.03]] * (batch - 1)])
        shared = torch.tensor([0.5, 1.0, 0.3, 0.6, 0.3, 0.7, 0.2, 0.1]).expand(batch, -1)
        numbers = torch.cat([mixing, t[:, None].to(x_t), own.to(x_t), shared.to(x_t)], 1)
        one = x_t[:1]
        return numbers, one, one.flip(-2, -1), one.flip(-1), one.flip(-2), sets

    inputs = ("numbers", "x_t", "start", "noise", "v", "tokens")
    code = inspect.getsource(Step) + inspect.getsource(keep_largest)
    made_of = f"{denoiser.fingerprint} {quantile} {TOKEN_SETS} {NUMBERS} {code}"
    return Network(
        denoiser.name.replace("denoiser", "step"),
        lambda: Step(denoiser.build(), quantile).eval(),
        example,
        inputs,
        ("x_next", "v_next"),
        hashlib.sha256(made_of.encode()).hexdigest(),
        max_batch=MAX_BATCH,
        unbatched=(*inputs[1:], "x_next", "v_next"),
        comparable=_unsteered,
        adapters=denoiser.adapters,
    )


def _unsteered(inputs: Tensors) -> Tensors:
    """A step's inputs without guidance: what sound adds may be as small as float16's error in what it is added to."""
    numbers = inputs[0].clone()
    numbers[:, TOKEN_SETS + NUMBERS.index("direction")] = 0.0
    return numbers, *inputs[1:]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the network in a step: a row of the table above."""

    mixing: Sequence[float]
    plain: float
    base: float
    direction: float = 0.0


class StepSampler:
    """The `Sampler` of few steps for a step that is one network.

    A frame is `steps` calls of it, one function of tensors. Conditions that change in mid-frame are not accepted.
    Another quantile than the network's is left to `otherwise`.
    """

    concurrent = False

    def __init__(self, step: Run, spec: ModelSpec, otherwise: Sampler) -> None:
        self.otherwise = otherwise
        self._step, self._spec, self._schedule = step, spec, NoiseSchedule(spec)
        self._frame: Run = self._steps
        self._masked_frame: Run = partial(self._steps, masked=True)
        self._sets: tuple[torch.Tensor, ...] = ()
        self._tokens = torch.empty(0)

    def captured(
        self, capture: Callable[[Run], Run], decode: Callable[[torch.Tensor], torch.Tensor], otherwise: Sampler
    ) -> StepSampler:
        """The same, frames captured with their pixels: once for each number of steps and evaluations, with a mask once
        more, and for nothing else."""
        other = StepSampler(self._step, self._spec, otherwise)

        def frame(*tensors: torch.Tensor, masked: bool = False) -> Tensors:
            x0, *mask = other._steps(*tensors, masked=masked)
            return x0, decode(x0), *mask

        other._frame, other._masked_frame = capture(frame), capture(partial(frame, masked=True))
        return other

    def __call__(self, request: SampleRequest) -> Sampled:
        """Sample the request's frame."""
        if request.guidance.quantile != self._spec.guidance.quantile:
            return self.otherwise(request)
        conditions = _folded(request.at(0))
        rows = evaluations(request.tier, request.guidance, conditions)
        timesteps = self._schedule.timesteps(request.steps, 1.0 if request.start is None else request.strength)
        noise = request.noise
        x_t = self._schedule.first(noise, timesteps[0], request.start)
        latents = () if request.start is None else (request.start,)
        start = () if x_t is noise else (*latents, x_t)
        numbers = self._numbers(rows, request, timesteps)
        run = self._masked_frame if request.masked else self._frame
        x0, *made = run(numbers, noise, self._stacked(conditions), *start)
        mask = made.pop() if request.masked else None
        pixels = made[0] if made else None
        return Sampled(x0, len(rows) * len(timesteps), request, pixels, mask)

    def _steps(
        self,
        numbers: torch.Tensor,
        noise: torch.Tensor,
        tokens: torch.Tensor,
        *start: torch.Tensor,
        masked: bool = False,
    ) -> Tensors:
        """x0, and the mask, as a function of tensors.

        `start` is the latents, if any, and the first x_t where it is not the noise.
        """
        *latents, x_t = start or (noise,)
        started = latents[0] if latents else noise  # multiplied by 0 where nothing is started from
        v = noise  # as this is at the first step
        numbers, masks = numbers.to(noise.device), []
        for one in numbers:
            before = v
            x_t, v = self._step(one, x_t, started, noise, v, tokens)
            if masked:
                masks.append(acting(_direction(one, before, v), self._spec.guidance.quantile))
        if not masked:
            return (x_t,)
        guided = numbers[:, 0, TOKEN_SETS + NUMBERS.index("guided"), None, None]
        return x_t, ((guided * torch.stack(masks)).sum(0) / guided.sum().clamp_min(1)).float()

    def _numbers(self, rows: Sequence[Evaluation], request: SampleRequest, timesteps: Sequence[int]) -> torch.Tensor:
        """(steps, n, columns): everything about a frame that is no tensor."""
        guidance, steers = request.guidance, any(row.direction for row in rows)
        residual_scale = 1.0 if request.tier is Tier.REFERENCE else guidance.residual_scale
        plain_until = warmup_steps(guidance, len(timesteps))
        steps = []
        for i, t in enumerate(timesteps):
            following = timesteps[i + 1] if i + 1 < len(timesteps) else None
            guided = steers and i >= plain_until
            from_x, from_prediction, from_start, from_noise = self._schedule.transition(t, following, residual_scale)
            kept = guidance.momentum_beta if guided else 1.0
            shared = (
                float(i > plain_until), float(guided), guidance.momentum_scale, kept,
                from_x, from_prediction, 0.0 if request.start is None else from_start, from_noise,
            )  # fmt: skip
            steps.append([(*row.mixing, float(t), row.plain, row.base, row.direction, *shared) for row in rows])
        return torch.tensor(steps)

    def _stacked(self, conditions: Conditions) -> torch.Tensor:
        """The sets of tokens as one tensor (`TOKEN_SETS`, L, D), made when one of them is another than last time."""
        sets = (conditions.text, conditions.null, conditions.uncond, *(term.tokens for term in conditions.sounds))
        sets += (conditions.null,) * (TOKEN_SETS - len(sets))
        if len(sets) != len(self._sets) or any(a is not b for a, b in zip(sets, self._sets, strict=True)):
            self._sets, self._tokens = sets, torch.stack(sets)
        return self._tokens


def _direction(numbers: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """d of a step, read from v before and after it: what is compiled need not say it. 0 where nothing was guided."""
    carried, _, momentum_scale, momentum_beta = numbers[0, _MOMENTUM].unbind()
    v = carried * before
    return (after - momentum_beta * v) / (1 - momentum_beta).clamp_min(1e-6) - momentum_scale * v


def evaluations(tier: Tier, guidance: Guidance, conditions: Conditions) -> list[Evaluation]:
    """The table's rows for what a frame is conditioned on; weights are numbers."""
    weights = [float(term.weight) for term in conditions.sounds]
    rest = [0.0] * (_SOUNDS - len(weights))
    scale, k = guidance.guidance_scale, guidance.audio_scale
    text = Evaluation(_unit(0), 1.0 if tier is Tier.REFERENCE else guidance.residual_scale, 1.0)
    blended = [1.0, -sum(weights), 0.0, *weights, *rest]
    if tier is Tier.BLEND:
        return [replace(text, mixing=blended)]
    if not weights and (tier is Tier.SEMANTIC or scale == 1):
        return [text]
    if tier is Tier.SEMANTIC:
        return [text, Evaluation(blended, 0.0, 0.0, k)]
    rows = [Evaluation(_unit(2), 1 - scale, 1.0), Evaluation(_unit(0), scale, 0.0)]
    if not weights:
        return rows
    mean = [one / sum(weights) for one in weights]
    sound = Evaluation([0.0, 0.0, 0.0, *mean, *rest], 0.0, 0.0, k * sum(weights))
    if not conditions.negative:
        return [*rows, sound]
    return [replace(rows[0], base=0.0), rows[1], sound, Evaluation(_unit(1), 0.0, 1.0)]


def _unit(index: int) -> list[float]:
    return [float(i == index) for i in range(TOKEN_SETS)]


def _folded(conditions: Conditions) -> Conditions:
    """With no more sounds than there are sets for: the rest is one."""
    sounds = conditions.sounds
    if len(sounds) <= _SOUNDS:
        return conditions
    rest = merged(replace(conditions, audio=sounds[_SOUNDS - 1 :]))
    return replace(conditions, audio=(*sounds[: _SOUNDS - 1], rest))
