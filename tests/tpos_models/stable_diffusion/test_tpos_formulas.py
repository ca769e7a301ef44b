"""LSTM, TAM and MAP against a plain statement in numpy float64, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import torch

from tpos_models.audio.encoder import EncoderConfig, TokenMap, TPoSEncoder
from tpos_models.stable_diffusion.tpos import Attention, Mapping

CONFIG = EncoderConfig(size=24, widths=(4, 4, 8, 8), map_hidden=40, map_out=76 * 8)


def numbers(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_lstm(features: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """Hochreiter & Schmidhuber 1997 as PyTorch orders its gates: input, forget, cell, output."""
    h = c = np.zeros(features.shape[1])
    outputs = []
    for x in features:
        gates = w["lstm.weight_ih_l0"] @ x + w["lstm.bias_ih_l0"] + w["lstm.weight_hh_l0"] @ h + w["lstm.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


def plain_attention(outputs: np.ndarray, w: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Each output at unit length, scored by a 1x1 convolution; softmax over the segments; each times its share."""
    outputs = outputs / np.sqrt((outputs**2).sum(1, keepdims=True))
    score = outputs @ w["cnn.weight"][0, :, 0] + w["cnn.bias"][0]
    beta = np.exp(score) / np.exp(score).sum()
    return beta[:, None] * outputs, beta


def plain_map(sound: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """Linear, GELU, Linear, GELU."""
    gelu = np.vectorize(lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2)
    hidden = gelu(w["linear1.weight"] @ sound + w["linear1.bias"])
    return gelu(w["linear2.weight"] @ hidden + w["linear2.bias"]).reshape(76, -1)


@torch.no_grad()
def test_tam_and_map_are_the_papers() -> None:
    torch.manual_seed(0)
    encoder, mapping, start = TPoSEncoder(CONFIG).eval(), TokenMap(CONFIG).eval(), torch.randn(8)
    encoder.cnn.weight *= 20  # attention that prefers
    features = torch.randn(5, 24)
    weighed, want_beta = plain_attention(plain_lstm(features.double().numpy(), numbers(encoder)), numbers(encoder))
    sound, joint, beta = Attention(encoder)(features[None])
    assert want_beta.max() > 0.3
    np.testing.assert_allclose(beta[0].numpy(), want_beta, rtol=1e-5)
    want_sound, total = 5 * weighed[-1], weighed.sum(0)  # played on the newest of five; compared with text as a whole
    np.testing.assert_allclose(sound[0].numpy(), want_sound, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(joint[0].numpy(), total / np.linalg.norm(total), rtol=1e-5, atol=1e-6)
    tokens = Mapping(mapping, start)(sound)[0]
    want = plain_map(want_sound, numbers(mapping))
    assert torch.equal(tokens[0], start)
    np.testing.assert_allclose(tokens[1:].numpy(), want, rtol=1e-5, atol=1e-5 * np.abs(want).max())
