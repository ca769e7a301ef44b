"""Noise schedules: x_t = alpha_t x0 + sigma_t eps, and the way back from a prediction to x0."""

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

    def transition(
        self, t: int, following: int | None, residual_scale: float = 1.0
    ) -> tuple[float, float, float, float]:
        """What x_t, a prediction, the start and the noise are multiplied by and added up to the next x_t, None: to x0.

        `to_x0`, `consistency` and `add_noise` in one, the prediction being `residual_scale` times what a network says
        and the rest `residual`: all of them are linear.
        """
        one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        rest = 1 - residual_scale

        def x0(x_t: torch.Tensor, prediction: torch.Tensor, start: torch.Tensor) -> float:
            whole = prediction + rest * self.residual(start, x_t, t)
            return float(self.consistency(self.to_x0(whole, x_t, t), x_t, t))

        alpha, sigma = (1.0, 0.0) if following is None else (self.alpha[following], self.sigma[following])
        return alpha * x0(one, zero, zero), alpha * x0(zero, one, zero), alpha * x0(zero, zero, one), sigma

    def to_epsilon(self, prediction: torch.Tensor, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """The noise in x_t from a prediction of the model's type; t > 0."""
        if self.spec.prediction_type == "epsilon":
            return prediction
        return (x_t - self.alpha[t] * self.to_x0(prediction, x_t, t)) / self.sigma[t]

    def consistency(self, x0: torch.Tensor, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """c_skip x_t + c_out x0: the boundary condition of latent consistency models; x0 for a rectified flow."""
        if self.spec.schedule == "rectified_flow":
            return x0
        scaled = t * _TIMESTEP_SCALING
        c_skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
        c_out = scaled / (scaled**2 + _SIGMA_DATA**2) ** 0.5
        return c_skip * x_t + c_out * x0
