import os
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

from tpos_models.audio.spectrogram import (
    FLOOR_DB,
    SpectrogramStream,
    columns_db,
    faded,
    in_rows,
    mel_bands,
    relative,
    resize,
    segments,
)
from tpos_models.audio.spectrogram import (
    spectrogram as whole,
)
from tpos_models.contracts import AudioWindow

WINDOW = AudioWindow()


def plain_picture(samples: np.ndarray) -> np.ndarray:
    """The paper's preprocessing said again, one column, one bin and one row at a time, in float64.

    Decibels of the amplitude itself (reference 1.0), no lower than 80 dB under the loudest, / 80 + 1, then resized.
    """
    padded = np.concatenate([np.zeros(512), samples.astype(np.float64), np.zeros(512)])
    hann = np.array([0.5 * (1 - np.cos(2 * np.pi * n / 1024)) for n in range(1024)])
    columns = []
    for k in range(1 + (padded.size - 1024) // 512):
        spectrum = np.fft.fft(padded[512 * k : 512 * k + 1024] * hann)[:513]
        columns.append(20 * np.log10(np.maximum(np.abs(spectrum), 1e-5)))
    db = np.array(columns)
    unit = np.maximum(db, db.max() - 80) / 80 + 1
    picture = np.zeros((128, len(columns)))
    for row in range(128):
        centre = min(max((row + 0.5) * 513 / 128 - 0.5, 0), 512)
        low = min(int(centre), 511)
        picture[row] = unit[:, low] * (1 - (centre - low)) + unit[:, low + 1] * (centre - low)
    return picture


def noisy_tone(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * WINDOW.sample_rate)) / WINDOW.sample_rate
    return (0.3 * np.sin(2 * np.pi * 440 * t**1.3) + 0.05 * rng.standard_normal(t.size)).astype(np.float32)


def test_agrees_with_a_plain_statement_of_the_facts() -> None:
    samples = noisy_tone(1.5)
    picture = whole(samples, WINDOW, "absolute")
    np.testing.assert_allclose(picture, plain_picture(samples), atol=1e-5)
    assert picture.dtype == np.float32


def test_mel_pictures_are_the_usual_ones() -> None:
    """Against torchaudio's definitions as transformers has them: power, Slaney's filters, dB under the peak."""
    from transformers.audio_utils import mel_filter_bank, power_to_db, spectrogram, window_function

    samples = noisy_tone(1.5)
    filters = mel_filter_bank(513, 128, 0, 22_050, 44_100, norm="slaney", mel_scale="slaney")
    power = spectrogram(
        np.pad(samples.astype(np.float64), 512), window_function(1024, "hann"), 1024, 512, power=2.0, center=False,
        mel_filters=filters, mel_floor=1e-14,
    )  # fmt: skip
    want = power_to_db(power, reference=power.max(), min_value=1e-14, db_range=80) / 80 + 1
    np.testing.assert_allclose(whole(samples, AudioWindow(scale="slaney"), "peak"), want, atol=1e-4)


@pytest.mark.parametrize(("window", "reference"), [(WINDOW, "absolute"), (AudioWindow(scale="slaney"), "peak")])
def test_silence_is_no_white_picture(window: AudioWindow, reference: Literal["absolute", "peak"]) -> None:
    picture = whole(np.zeros(44_100, np.float32), window, reference)
    np.testing.assert_allclose(picture, -0.25 if reference == "absolute" else 0.0, atol=1e-5)
    noise = 1e-5 * np.random.default_rng(0).standard_normal(44_100).astype(np.float32)  # dither
    assert whole(noise, window, reference).max() < 0.4


def test_a_full_scale_sine_reads_one_and_20_db_less_a_quarter_less() -> None:
    hz = 100 * WINDOW.sample_rate / WINDOW.n_fft
    sine = np.sin(2 * np.pi * hz * np.arange(20_000) / WINDOW.sample_rate).astype(np.float32)
    loud, soft = (columns_db(gain * sine, WINDOW) for gain in (1.0, 0.1))
    assert loud.max() == pytest.approx(0, abs=1e-3)
    assert soft.max() == pytest.approx(-20, abs=1e-3)


def test_level_survives_in_the_papers_pictures_only() -> None:
    loud = noisy_tone(0.5)
    absolute, mel = WINDOW, AudioWindow(scale="slaney")
    soft = whole(0.1 * loud, absolute, "absolute")
    np.testing.assert_allclose(whole(loud, absolute, "absolute"), soft + 20 / 80, atol=1e-5)
    np.testing.assert_allclose(whole(loud, mel, "peak"), whole(0.1 * loud, mel, "peak"), atol=1e-4)


def test_a_window_is_five_segments_of_153_columns_of_128_rows() -> None:
    picture = whole(noisy_tone(WINDOW.frames * WINDOW.hop_length / WINDOW.sample_rate), WINDOW, "absolute")
    cut = segments(picture, WINDOW)
    assert cut.shape == (5, 128, 153)
    np.testing.assert_array_equal(cut[-1], picture[:, -153:])
    np.testing.assert_array_equal(cut[0], picture[:, -765:-612])


def test_resizing_keeps_constants_and_order() -> None:
    ramp = np.arange(513, dtype=np.float32)[:, None]
    np.testing.assert_allclose(resize(np.ones((513, 2), np.float32), 128), 1, atol=1e-6)
    assert (np.diff(resize(ramp, 128), axis=0) > 0).all()


def test_mel_rows_are_means_over_the_bins_in_rising_order() -> None:
    bands = mel_bands(64, 513)
    np.testing.assert_allclose(bands.sum(1), 1, atol=1e-6)
    assert (np.diff(bands @ np.arange(513)) > 0).all()
    db = in_rows(np.full((513, 2), -30, np.float32), AudioWindow(rows=64, scale="mel"))
    np.testing.assert_allclose(db, np.full((64, 2), -30), atol=1e-3)


MEL = """
import sys, numpy as np
from tpos_models.audio.spectrogram import columns_db, in_rows
from tpos_models.contracts import AudioWindow
samples = np.random.default_rng(1).standard_normal(44_100).astype(np.float32)
window = AudioWindow(rows=64, scale="mel")
sys.stdout.buffer.write(in_rows(columns_db(samples, window), window).tobytes())
"""


def test_mel_rows_do_not_depend_on_how_many_threads_numpy_has() -> None:
    one, two = (
        subprocess.run([sys.executable, "-c", MEL], env=os.environ | {"OPENBLAS_NUM_THREADS": n}, stdout=-1, check=True)
        for n in "12"
    )
    assert len(one.stdout) > 1000
    assert one.stdout == two.stdout


def test_a_relative_picture_knows_no_level_but_silence_is_dark() -> None:
    db = columns_db(noisy_tone(0.5), WINDOW)
    np.testing.assert_allclose(relative(db), relative(db - 20), atol=1e-6)
    assert relative(db).max() == 1
    assert relative(np.stack([db, db - 200]))[1].max() == 0


def test_faded_what_began_outweighs_what_ended() -> None:
    old, new = np.full((4, 153), -20.0, np.float32), np.full((4, 153), -90.0, np.float32)
    old[:, 80:] = -90
    new[:, 80:] = -22  # for 0.85 s, softer than the sound before it
    picture = relative(faded(np.maximum(old, new)))
    assert picture[:, -1].min() == 1
    assert picture[:, :80].max() < 1
    assert (np.diff(picture[:, :80]) > 0).all()
    np.testing.assert_array_equal(relative(faded(old))[:, 79], 1)  # alone it is as bright as ever


def test_streamed_columns_are_the_whole_clips_columns() -> None:
    samples = noisy_tone(4.0)
    stream = SpectrogramStream(WINDOW, WINDOW.frames)
    for end in (700, 9_001, 9_002, 44_100, 100_000, samples.size):
        assert stream.advance(samples[max(0, end - 90_000) : end], end) is (end == 700)
    whole = columns_db(np.pad(samples, (512, 0)), WINDOW)
    assert stream.columns == whole.shape[1]
    np.testing.assert_array_equal(stream.db[:, -whole.shape[1] :], whole)


def test_streamed_rows_are_the_whole_clips_rows() -> None:
    samples, window = noisy_tone(2.0), AudioWindow(rows=64, scale="mel")
    stream = SpectrogramStream(window, window.frames, rows=True)
    assert stream.db.shape == (64, window.frames)
    np.testing.assert_allclose(stream.db, FLOOR_DB, atol=1e-3)
    for end in (700, 9_001, 44_100, samples.size):
        stream.advance(samples[:end], end)
    whole = in_rows(columns_db(np.pad(samples, (512, 0)), window), window)
    np.testing.assert_allclose(stream.db[:, -whole.shape[1] :], whole, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_however_a_stream_is_cut_its_columns_are_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = np.tile(noisy_tone(0.25), 12)  # that the sound repeats itself must not matter
    stream = SpectrogramStream(WINDOW, WINDOW.frames)
    end = 0
    while end < samples.size:
        new = min(int(rng.integers(0, 20_000)), samples.size - end)
        end += new
        seen_again = int(rng.integers(0, end - new + 1))
        stream.advance(samples[end - new - seen_again : end], end)
    whole = columns_db(np.pad(samples, (512, 0)), WINDOW)
    assert stream.columns == whole.shape[1]
    np.testing.assert_array_equal(stream.db[:, -whole.shape[1] :], whole)


@pytest.mark.parametrize(
    ("size", "end_index", "begins"),
    [
        (0, 60_000, False),
        (30_000, 60_000, False),
        (5_000, 65_000, False),
        (5_000, 65_001, True),  # sample 60 000 is missing
        (30_000, 59_999, True),
    ],
)
def test_a_window_that_goes_back_or_leaves_a_hole_begins_a_new_stream(size: int, end_index: int, begins: bool) -> None:
    stream, fresh = (SpectrogramStream(WINDOW, WINDOW.frames) for _ in range(2))
    stream.advance(noisy_tone(2.0)[:60_000], 60_000)
    samples = noisy_tone(1.0, seed=9)[:size]
    assert stream.advance(samples, end_index) is begins
    if begins:
        fresh.advance(samples, size)
        np.testing.assert_array_equal(stream.db, fresh.db)
        assert stream.columns == fresh.columns


def test_nan_and_infinity_are_silence() -> None:
    samples = noisy_tone(0.3)
    broken = samples.copy()
    broken[5000:5100] = np.nan
    broken[6000] = np.inf
    clean = np.where(np.isfinite(broken), broken, 0).astype(np.float32)
    np.testing.assert_array_equal(whole(broken, WINDOW, "absolute"), whole(clean, WINDOW, "absolute"))
