"""Noise schedules: x_t = alpha_t x0 + sigma_t eps, the way back from a prediction to x0, and on to the next timestep.

From t to s, with the frame's own noise n and the noise e that is predicted in x_t:

    x_s = alpha_s x0 + sigma_s (k e + sqrt(1 - k^2) n)

| stepping      | k                                   | whose                                                        |
|---------------|-------------------------------------|--------------------------------------------------------------|
| `consistency` | 0                                   | multistep consistency sampling (Luo et al. 2023): LCM        |
| `euler`       | 1                                   | Euler's method, DDIM (Song et al. 2021): SD-Turbo, Lightning |
| `ancestral`   | sigma_s alpha_t / (alpha_s sigma_t) | ancestral sampling (Ho et al. 2020): SDXL-Turbo              |
"""

from __future__ import annotations

import torch

from tpos_models.contracts import ModelSpec

_SIGMA_DATA = 0.5  # Luo et al. 2023, latent consistency models: boundary condition
_TIMESTEP_SCALING = 10.0


class NoiseSchedule:
    """The schedule a model was trained on, as numbers per integer timestep 0..num_train_timesteps-1.

    `rectified_flow`: alpha = 1 - t/(T-1), sigma = t/(T-1) (Liu et al. 2022); at t = T-1 x_t is the noise itself.
    `scaled_linear`: Stable Diffusion's, alpha^2 + sigma^2 = 1, betas from 0.00085 to 0.012 linear in their root.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        steps = spec.num_train_timesteps
        if spec.schedule == "rectified_flow":
            sigma = torch.linspace(0, 1, steps, dtype=torch.float64)
            alpha = 1 - sigma
        else:
            betas = torch.linspace(0.00085**0.5, 0.012**0.5, steps, dtype=torch.float64) ** 2
            cumulative = torch.cumprod(1 - betas, 0)
            alpha, sigma = cumulative.sqrt(), (1 - cumulative).sqrt()
        self.alpha, self.sigma = alpha.tolist(), sigma.tolist()

    def timesteps(self, steps: int, strength: float = 1.0) -> list[int]:
        """`steps` of the model's few-step timesteps, evenly, noisiest first; fewer where there are no more.

        `strength` 0..1 leaves only that share of them, the least noisy ones and at least one: where a picture is given,
        it is the noise that is put on it, whatever the number of steps (as diffusers' LCM scheduler has it).
        """
        available = self.spec.timesteps
        if not 1 <= steps <= len(available):
            raise ValueError(f"steps is {steps}; 1 to {len(available)} would be accepted for {self.spec.name}")
        left = available[len(available) - max(1, round(strength * len(available))) :]
        steps = min(steps, len(left))
        return [left[i * len(left) // steps] for i in range(steps)]

    def add_noise(self, x0: torch.Tensor, eps: torch.Tensor, t: int) -> torch.Tensor:
        """x_t."""
        return self.alpha[t] * x0 + self.sigma[t] * eps

    def to_x0(self, prediction: torch.Tensor, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """x0 from a prediction of the model's type (epsilon, v or sample)."""
        alpha, sigma = self.alpha[t], self.sigma[t]
        if self.spec.prediction_type == "sample":
            return prediction
        if self.spec.prediction_type == "epsilon":
            return (x_t - sigma * prediction) / alpha
        return alpha * x_t - sigma * prediction

    def residual(self, x0: torch.Tensor, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """The prediction of who sees exactly `x0` in x_t (`to_x0` undone); t > 0."""
        if self.spec.prediction_type == "sample":
            return x0
        if self.spec.prediction_type == "epsilon":
            return (x_t - self.alpha[t] * x0) / self.sigma[t]
        return (self.alpha[t] * x_t - x0) / self.sigma[t]

    def first(self, noise: torch.Tensor, t: int, start: torch.Tensor | None = None) -> torch.Tensor:
        """x_t with noise on `start`, or of nothing but noise; consistency models are then given the noise itself."""
        if start is not None:
            return self.add_noise(start, noise, t)
        return noise if self.spec.stepping == "consistency" else self.sigma[t] * noise

    def step(
        self, prediction: torch.Tensor, x_t: torch.Tensor, noise: torch.Tensor, t: int, following: int | None
    ) -> torch.Tensor:
        """The x_t of the `following` timestep, None: x0."""
        x0 = self.consistency(self.to_x0(prediction, x_t, t), x_t, t)
        if following is None:
            return x0
        kept = self._kept(t, following)
        if kept:
            noise = kept * self.to_epsilon(prediction, x_t, t) + (1 - kept**2) ** 0.5 * noise
        return self.add_noise(x0, noise, following)

    def _kept(self, t: int, following: int) -> float:
        """k of the table above."""
        if self.spec.stepping == "ancestral":
            return self.sigma[following] * self.alpha[t] / (self.alpha[following] * self.sigma[t])
        return float(self.spec.stepping == "euler")

    def transition(
        self, t: int, following: int | None, residual_scale: float = 1.0
    ) -> tuple[float, float, float, float]:
        """What x_t, a prediction, the start and the noise are multiplied by in `step`, which is linear in all four.

        The prediction is `residual_scale` times what a network says, and the rest `residual`.
        """
        rest = 1 - residual_scale

        def share(which: int) -> float:
            x_t, prediction, start, noise = torch.eye(4, dtype=torch.float64)[which].split(1)
            return float(self.step(prediction + rest * self.residual(start, x_t, t), x_t, noise, t, following))

        return share(0), share(1), share(2), share(3)

    def to_epsilon(self, prediction: torch.Tensor, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """The noise in x_t from a prediction of the model's type; t > 0."""
        if self.spec.prediction_type == "epsilon":
            return prediction
        return (x_t - self.alpha[t] * self.to_x0(prediction, x_t, t)) / self.sigma[t]

    def consistency(self, x0: torch.Tensor, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """c_skip x_t + c_out x0: the boundary condition of latent consistency models; x0 for all others."""
        if self.spec.schedule == "rectified_flow" or self.spec.stepping != "consistency":
            return x0
        scaled = t * _TIMESTEP_SCALING
        c_skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
        c_out = scaled / (scaled**2 + _SIGMA_DATA**2) ** 0.5
        return c_skip * x_t + c_out * x0
