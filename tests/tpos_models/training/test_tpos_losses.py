"""The paper's losses, stated in numpy float64 one number at a time, and what the networks are given to make them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tpos_models.audio.encoder import EncoderConfig
from tpos_models.training.audio.tpos import CLIMB, Tpos, cyclic_rate, paper_losses

SMALL = EncoderConfig(size=12, widths=(4, 4, 8, 8), map_hidden=20, map_out=3 * 12, dropout=0.0)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).sum(-1, keepdims=True))


def cross_entropies(one: np.ndarray, other: np.ndarray, label: list[int]) -> float:
    """How surprised each row is by its partner among the others of other labels, mean over rows, one way."""
    total = 0.0
    for i, x in enumerate(one):
        rivals = [j for j in range(len(other)) if j == i or label[j] != label[i]]
        odds = [math.exp(math.exp(0.07) * float(x @ other[j])) for j in rivals]
        total -= math.log(odds[rivals.index(i)] / sum(odds))
    return total / len(one)


def info_nce(one: np.ndarray, other: np.ndarray, label: list[int]) -> float:
    return cross_entropies(one, other, label) + cross_entropies(other, one, label)


def test_losses_and_their_weights_are_the_papers():
    rng, label = np.random.default_rng(0), [0, 1, 2, 1, 3]
    last, joint = unit(rng.normal(size=(5, 6))), unit(rng.normal(size=(4, 6)))[label]
    sound, view = rng.normal(size=(2, 5, 6))
    mapped, tokens = rng.normal(size=(2, 5, 30))
    a, b, c, d, e, f = (torch.from_numpy(x) for x in (last, sound, view, joint, mapped, tokens))
    losses = paper_losses(a, b, c, d, torch.tensor(label), e, f)
    text = (info_nce(last, joint, label) + info_nce(unit(sound), joint, label)) / 4
    contrast = info_nce(unit(sound), unit(view), label) / 6
    error = ((mapped - tokens) ** 2).sum() / 150
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        {"loss": text + contrast + error, "text": text, "self": contrast, "map": error}, rel=1e-9
    )


@torch.no_grad()
def test_text_and_map_see_the_clean_view_and_map_the_unscaled_sum():
    torch.manual_seed(0)
    net = Tpos(SMALL).double().eval()
    clean, augmented = torch.rand(2, 2, 5, 128, 153, dtype=torch.float64)
    last, sound, view, mapped = net(clean, augmented)
    features = net.encoder.segment(clean.flatten(0, 1)).view(2, 5, -1)
    h = unit(net.encoder.lstm(features)[0].numpy())
    score = h @ net.encoder.cnn.weight[0, :, 0].numpy() + net.state_dict()["encoder.cnn.bias"].numpy()
    beta = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    want = sum(beta[:, i, None] * h[:, i] for i in range(5))
    np.testing.assert_allclose(sound, want, atol=1e-12)
    np.testing.assert_allclose(last, h[:, -1], atol=1e-12)
    torch.testing.assert_close(mapped, net.map(torch.from_numpy(want)))
    torch.testing.assert_close(view, net.encoder(augmented).weighted.sum(1))


def test_the_encoders_rate_is_torchs_triangle():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.CyclicLR(optimizer, base_lr=1e-3, max_lr=1e-1, cycle_momentum=False)
    for step in range(2 * CLIMB + 500):
        if step % 250 == 0:
            assert cyclic_rate(step) == pytest.approx(torchs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        torchs.step()
