"""TPoS on Stable Diffusion: models from a hub, a folder or `random:ARCH`, behind the same contract as `pocket`.

diffusers and transformers are imported only when a network is built.
"""

from tpos_models.stable_diffusion.lora import Lora
from tpos_models.stable_diffusion.model import Opened, load, open_model, open_text

__all__ = ["Lora", "Opened", "load", "open_model", "open_text"]
