"""The network in numpy against torch's own convolutions, and weights that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.audio.spectrum import Spectrum
from tpos_models import weights
from tpos_models.beats.bands import HOP, band_powers
from tpos_models.beats.network import SLOWEST_BPM, TEMPI, BeatNetwork, load_network, shapes, tempo_class
from tpos_models.errors import ModelError
from tpos_models.training.beats.augment import features
from tpos_models.training.beats.network import BeatNet


def test_hop_by_hop_it_is_what_torch_makes_of_the_whole() -> None:
    torch.manual_seed(0)
    net = BeatNet().eval()
    sound = (0.1 * np.random.default_rng(0).standard_normal(1200 * HOP)).astype(np.float32)
    with torch.no_grad():
        whole = net(torch.from_numpy(features(band_powers(sound)[None])))[0].numpy()
    spectrum, stream = Spectrum(), BeatNetwork({name: value.numpy() for name, value in net.state_dict().items()})
    for hop in range(1200):
        heard = stream.push(spectrum.push(sound[hop * HOP : (hop + 1) * HOP]))
        np.testing.assert_allclose([heard.beat, heard.downbeat, heard.rhythm], whole[:3, hop], atol=2e-5)
        np.testing.assert_allclose(np.exp(heard.tempi).sum(), 1, rtol=1e-4)
        assert heard.tempi.argmax() == whole[3:, hop].argmax()


def test_torch_trains_the_arrays_that_numpy_plays() -> None:
    assert {name: tuple(value.shape) for name, value in BeatNet().state_dict().items()} == shapes()


def test_a_tone_is_loudest_in_its_own_band_from_the_hop_on_in_which_it_begins() -> None:
    t = np.arange(20 * HOP) / 44_100
    sound = np.where(t >= t[10 * HOP + 200], np.sin(2 * np.pi * 1000 * t), 0).astype(np.float32)
    powers = band_powers(sound)
    assert powers.shape == (20, 40)
    assert powers[:10].max() == 0 < powers[10].max()
    assert powers[15].argmax() == np.abs(2595 * np.log10(1 + 1000 / 700) - _mel_centres()).argmin()


def _mel_centres() -> np.ndarray:
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (30, 16_000))
    return np.linspace(low, high, 42)[1:-1]


def test_tempo_classes_divide_octaves_evenly() -> None:
    classes = tempo_class(np.array([53.9, 54.1, 108.1, 199.9, 200.1]))
    assert classes[0] < 0 == classes[1]
    assert classes[2] == int(TEMPI / np.log2(200 / SLOWEST_BPM))
    assert classes[3] == TEMPI - 1
    assert classes[4] >= TEMPI


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights.save(tmp_path, "beats", {"first.weight": torch.zeros(3, 3)}, {})
    with pytest.raises(ModelError, match=r"weights do not fit: missing first\.bias"):
        load_network(tmp_path)
