"""What the encoder is trained on: windows, masks, their order, and workers that read them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import soundfile
import torch

from tpos_models.training.audio.labelled import Labelled
from tpos_models.training.audio.windows import UNREADABLE, Order, WindowSet, loader


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Nine seconds of noise, eleven of it, a moment of it, and a file that is no sound."""
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    for name, seconds in (("a", 9), ("b", 11), ("c", 1)):
        soundfile.write(folder / f"{name}.wav", rng.normal(0, 0.1, seconds * 44_100), 44_100)
    (folder / "d.wav").write_bytes(b"no sound")
    return [Labelled(folder / f"{name}.wav", label) for name, label in zip("abcd", "xxyy", strict=True)]


def plain_picture(samples):
    """The paper's: amplitudes in dB of 1 with a floor 80 dB under the loudest point, over 80 plus 1; of 513 bins."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 512), 1024)[::512][:768]
    hann = np.sin(np.pi * np.arange(1024) / 1024) ** 2
    db = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(frames * hann)), 1e-9))
    return np.maximum(db, db.max() - 80).T / 80 + 1


def test_a_window_is_five_segments_of_its_spectrogram(sounds):
    window = WindowSet(sounds, ["x", "y"])[0, 0]
    assert window.clean.shape == window.augmented.shape == (5, 128, 153)
    whole = plain_picture(soundfile.read(sounds[0].path)[0])  # 9 s: a window of 8.92 s starts within its first 0.08 s
    rows = window.clean.swapaxes(0, 1).reshape(128, 765)
    assert rows.mean(1)[10:-10] == pytest.approx(whole.mean(1)[np.arange(128) * 4 + 2][10:-10], abs=0.02)
    short = WindowSet(sounds, ["x", "y"])[0, 2].clean
    assert short[0].mean() > short[1:].max() + 0.2
    assert short[1:].min() == short[1:].max() == short.min()  # silence lies at the floor


def test_a_window_depends_on_epoch_number_and_seed(sounds):
    first = WindowSet(sounds, ["x", "y"], seed=1)
    again = WindowSet(sounds, ["x", "y"], seed=1)
    other = WindowSet(sounds, ["x", "y"], seed=2)
    assert (first[3, 1].augmented == again[3, 1].augmented).all()
    for window in (first[4, 1], other[3, 1]):
        assert (window.clean != first[3, 1].clean).any()
        assert (window.augmented != first[3, 1].augmented).any()


def test_masks_are_two_of_each_and_within_the_papers_limits(sounds):
    windows = WindowSet(sounds, ["x", "y"])
    rows_gone, columns_gone = [], []
    for epoch in range(12):
        clean, augmented = (view.swapaxes(0, 1).reshape(128, 765) for view in windows[epoch, 0][:2])
        masked = (augmented == 0) & (clean > 0)
        rows, columns = masked.all(1), masked.all(0)
        assert (augmented[~rows][:, ~columns] == clean[~rows][:, ~columns]).all()
        assert (np.diff(np.pad(rows, 1).astype(int)) == 1).sum() <= 2
        assert (np.diff(np.pad(columns, 1).astype(int)) == 1).sum() <= 2
        rows_gone.append(rows.mean())
        columns_gone.append(columns.mean())
    assert 0.05 < np.mean(rows_gone) < 0.2
    assert max(rows_gone) <= 2 * 0.15
    assert 0.15 < np.mean(columns_gone) < 0.4
    assert max(columns_gone) <= 2 * 0.30


def test_the_next_one_stands_in_for_what_cannot_be_read(sounds):
    window = WindowSet(sounds, ["x", "y"])[0, 3]
    assert window.label == 0
    assert window.skipped == (str(sounds[3].path),)
    assert window.clean.max() > 0.9
    alone = WindowSet(sounds, ["x", "y"], tries=1)[0, 3]
    assert (alone.label, alone.skipped) == (UNREADABLE, (str(sounds[3].path),))


def test_the_order_takes_each_once_an_epoch_and_goes_on_anywhere():
    keys = [key for batch in islice(Order(10, 4, seed=1), 10) for key in batch]
    assert [epoch for epoch, _ in keys] == [epoch for epoch in range(4) for _ in range(10)]
    epochs = [[number for _, number in keys[10 * k : 10 * k + 10]] for k in range(4)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert [key for batch in islice(Order(10, 4, seed=1, start=7), 3) for key in batch] == keys[28:]
    assert [key for batch in islice(Order(10, 8, seed=1), 5) for key in batch] == keys


def test_loading_leaves_torchs_random_numbers_alone(sounds):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    batch = next(iter(loader(WindowSet(sounds, ["x", "y"]), Order(4, 2), workers=0)))
    assert torch.equal(torch.rand(1), expected)
    assert batch.clean.shape == (2, 5, 128, 153)
