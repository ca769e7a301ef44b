"""The section network in numpy beside torch's GRU, and its features where they can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from other_device import trains_there

from tpos_models.errors import InputError
from tpos_models.sections.features import BANDS, FEATURES, LEVELS, ONSETS, TICK_HOPS, TICK_S, Comparison, tick
from tpos_models.sections.network import SectionNet
from tpos_models.training.music import sections
from tpos_models.training.music.piece import Piece
from tpos_models.training.music.sections import SectionModule, SectionStage, hop_powers, labels_of, train_sections


def test_the_network_in_numpy_says_what_torch_s_does() -> None:
    torch.manual_seed(1)
    module = SectionModule(12)
    x = torch.randn(1, 30, FEATURES)
    with torch.no_grad():
        expected = torch.softmax(module(x), -1)[0].numpy()
    net = SectionNet({name: tensor.numpy() for name, tensor in module.state_dict().items()})
    np.testing.assert_allclose([net.push(row) for row in x[0].numpy()], expected, atol=1e-5)


def test_a_full_scale_sine_lies_in_its_band_at_its_level() -> None:
    sine = np.sin(2 * np.pi * 2000 * np.arange(44_100) / 44_100).astype(np.float32)
    level_db = 10 * np.log10(hop_powers(sine)[10:].mean(0) + 1e-12)
    assert int(level_db.argmax()) == 4  # 1200-3000 Hz
    assert level_db[4] == pytest.approx(10 * np.log10(0.375), abs=0.2)  # a Hann window's power spread over its bins
    assert np.delete(level_db, 4).max() < -40


def test_levels_are_compared_with_the_past_and_no_level_of_the_input_matters() -> None:
    rng = np.random.default_rng(2)
    powers = rng.uniform(0.001, 0.01, (60 * TICK_HOPS, BANDS))
    powers[40 * TICK_HOPS :] *= 0.01
    rows = [[tick(part, part[0]) for part in np.split(powers * gain, 60)] for gain in (1.0, 10.0)]
    soft, loud = (
        np.array([each.push(row) for row in of]) for each, of in zip((Comparison(), Comparison()), rows, strict=True)
    )
    np.testing.assert_allclose(soft, loud, atol=0.02)
    assert soft.shape == (60, FEATURES)
    np.testing.assert_allclose(soft[39, :LEVELS], 0, atol=0.15)
    assert (soft[50, :LEVELS] < -0.9).all()  # 20 dB below the fullest of the last minute, in units of 15 dB
    assert (soft[50, LEVELS : LEVELS + ONSETS] > -0.2).all()  # as many rises as before
    newest = soft[:, 3 * (LEVELS + ONSETS) :][:, :LEVELS]
    left = np.exp(-TICK_S / 0.5)  # of 20 dB, of which a tick's share of half a second has gone into its mean
    np.testing.assert_allclose(newest[40], -20 / 15 * left, atol=0.05)
    np.testing.assert_allclose(newest[50], 0, atol=0.05)


def test_a_drop_is_asked_for_four_bars_and_what_a_piece_begins_with_is_not() -> None:
    downbeats = tuple(float(k) for k in range(0, 40, 2))
    sections = ((0.0, 8.0, "breakdown"), (8.0, 12.0, "build"), (12.0, 32.0, "drop"), (32.0, 40.0, "verse"))
    piece = Piece("", "", 40.0, (4, 4), (), downbeats, sections, {})
    times_s = np.arange(0.5, 40, 1.0)
    labels = labels_of(piece, times_s)
    assert list(labels[:8]) == [-1] * 8
    assert list(labels[8:12]) == [2] * 4
    assert list(labels[12:20]) == [3] * 8
    assert not labels[20:].any()


def test_a_section_s_first_second_and_a_half_weighs_more_but_not_before_it_can_be_heard() -> None:
    labels = torch.tensor([[0] * 3 + [2] * 10 + [3] * 3, [1] * 16])
    assert sections._earliness(labels).tolist() == [
        [1.0] * 5 + [3.0] * 6 + [1.0] * 4 + [3.0],
        [1.0] * 16,
    ]


def test_it_is_trained_on_another_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "STREAMS", 4)
    parts = ((0.0, 40.0, "verse"), (40.0, 60.0, "build"), (60.0, 120.0, "drop"))
    piece = Piece("", "", 120.0, (4, 4), (), tuple(range(0, 120, 2)), parts, {})
    powers = np.random.default_rng(3).uniform(0.001, 0.01, (120 * 86, BANDS))
    trains_there(SectionStage([(powers, piece)] * 10, [powers]), tmp_path / "sheet.png")


@pytest.mark.parametrize(
    ("sound", "labels", "told"),
    [
        (b"no sound", None, r"a\.wav: not a readable sound"),
        (b"", "{", r"a\.json: .*; labels as"),
        (b"", '{"name": 3}', r"a\.json: Expected `str`, got `int`"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(sound: bytes, labels: str | None, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(sound)
    if labels:
        (tmp_path / "a.json").write_text(labels)
    with pytest.raises(InputError, match=told):
        train_sections(tmp_path / "runs", tmp_path, [tmp_path])
