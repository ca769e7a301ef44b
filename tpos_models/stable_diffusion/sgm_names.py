"""Layers of SDXL's UNet as Stability's own code names them, and with it kohya's trainer: found as diffusers names them.

All blocks lie in one row there, three to a block of diffusers'; names are flat, with "_" for ".".
"""

from __future__ import annotations

import re

_BLOCK = re.compile(r"(input|output)_blocks_(\d+)_([012])_(.+)")
_MIDDLE = re.compile(r"middle_block_([012])_(.+)")
_INSIDE = {
    "in_layers_2": "conv1", "out_layers_3": "conv2", "emb_layers_1": "time_emb_proj", "skip_connection": "conv_shortcut"
}  # fmt: skip
_OUTSIDE = {
    "input_blocks_0_0": "conv_in", "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1", "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1", "label_emb_0_2": "add_embedding_linear_2",
}  # fmt: skip


def from_sgm(name: str) -> str:
    """A layer's name in diffusers; one that is none of Stability's stays."""
    if match := _MIDDLE.fullmatch(name):
        place = ("resnets_0", "attentions_0", "resnets_1")[int(match[1])]
        return f"mid_block_{place}_{_INSIDE.get(match[2], match[2])}"
    if match := _BLOCK.fullmatch(name):
        is_down, layer_name = match[1] == "input", match[4]
        side = "down" if is_down else "up"
        block, layer = divmod(int(match[2]) - is_down, 3)
        if layer_name in ("op", "conv"):
            return f"{side}_blocks_{block}_{side}samplers_0_conv"
        kind = "resnets" if match[3] == "0" else "attentions"
        return f"{side}_blocks_{block}_{kind}_{layer}_{_INSIDE.get(layer_name, layer_name)}"
    return _OUTSIDE.get(name, name)
