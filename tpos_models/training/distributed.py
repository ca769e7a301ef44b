"""What needs the whole batch when several processes share it: contrasts and batch statistics, on any device."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather, reduce
from torch import nn


class _Gather(torch.autograd.Function):
    """All processes' rows; backwards, each process gets the sum of what all of them found about its own."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor) -> torch.Tensor:
        gathered: torch.Tensor = gather(rows.contiguous())
        return gathered

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        state = PartialState()
        total: torch.Tensor = reduce(gradients[0], "sum")
        return total.chunk(state.num_processes)[state.process_index]


def gathered(rows: torch.Tensor) -> torch.Tensor:
    """Rows (B, ...) of each process as (processes * B, ...), in the processes' order, with their gradients.

    A loss of gathered rows is the same number in every process; DistributedDataParallel's mean over the processes then
    makes the gradients those of one process that has all rows.
    """
    if PartialState().num_processes == 1:
        return rows
    result: torch.Tensor = _Gather.apply(rows)
    return result


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of all processes' rows; each has as many.

    torch's SyncBatchNorm runs on GPUs only. This is one formula for every device, so that what many GPUs train is what
    a test sees in two processes on a CPU.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor
    momentum: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        processes = PartialState().num_processes
        if not self.training or processes == 1:
            return super().forward(x)
        rows = x.to(torch.promote_types(x.dtype, torch.float32))
        own = torch.stack(torch.var_mean(rows, (0, 2, 3), correction=0))
        variances, means = gathered(own[None]).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        self._follow(mean.detach(), variance.detach(), processes * x.numel() // x.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        return ((rows - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _follow(self, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
        """The running statistics, as nn.BatchNorm2d keeps them: of the variance the unbiased estimate."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked.add_(1)


def normalise_globally(module: nn.Module) -> None:
    """Exchange the fresh BatchNorm2d inside a module for `GlobalBatchNorm2d`."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, GlobalBatchNorm2d(child.num_features))
