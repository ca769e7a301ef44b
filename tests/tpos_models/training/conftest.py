"""Fixtures of the small Stable Diffusion models, which training also meets."""

from small_diffusers import empty_hub, pipelines

__all__ = ["empty_hub", "pipelines"]
