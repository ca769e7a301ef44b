"""The beat network as torch trains it: whole excerpts at once, the same arrays by the same names."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.beats.bands import FEATURES
from tpos_models.beats.network import BLOCKS, CHANNELS, OUTPUTS, TAPS


class Block(nn.Module):
    """See `tpos_models.beats.network`; whole channels are dropped in training."""

    def __init__(self, dilation: int, dropout: float) -> None:
        super().__init__()
        self.spread = nn.Conv1d(CHANNELS, CHANNELS, TAPS, dilation=dilation)
        self.mix = nn.Conv1d(CHANNELS, CHANNELS, 1)
        self._before, self._dropout = (TAPS - 1) * dilation, dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.relu(self.spread(F.pad(x, (self._before, 0))))
        return x + self.mix(F.dropout1d(inner, self._dropout, self.training))


class BeatNet(nn.Module):
    """(B, FEATURES, T) to (B, OUTPUTS, T): beat, downbeat, rhythm, tempo classes, all before any sigmoid."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.first = nn.Conv1d(FEATURES, CHANNELS, 1)
        self.blocks = nn.ModuleList(Block(2**index, dropout) for index in range(BLOCKS))
        self.last = nn.Conv1d(CHANNELS, OUTPUTS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(F.relu(x))
