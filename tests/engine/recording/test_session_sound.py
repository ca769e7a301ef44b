"""A recorded set's sound comes back a block at a time: every sample in its place, and memory for none but the block."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from engine.recording.session_sound import SessionSound, open_sound

RATE = 44_100


def counted(samples: int, channels: int, first: int) -> np.ndarray:
    """Every sample another one in 24 bits, float64 (samples, channels)."""
    return (first + np.arange(samples * channels).reshape(samples, channels)) / 2**23


def sound_of(folder: Path) -> SessionSound:
    return open_sound(folder / "audio.flac", folder / "stems.flac", folder / "video.mp4", 0.0)


@pytest.mark.parametrize("stems_end", [30_000, 100_001, 120_000])
def test_stems_lie_beside_the_sound_as_long_as_it_is(stems_end: int, tmp_path: Path) -> None:
    main, stems = counted(100_001, 2, 1), counted(stems_end, 4, 10**6)
    sf.write(tmp_path / "audio.flac", main, RATE, "PCM_24")
    sf.write(tmp_path / "stems.flac", stems, RATE, "PCM_24")
    sound = sound_of(tmp_path)
    assert (sound.sample_rate, sound.channels, sound.stems, sound.samples) == (RATE, 2, 4, 100_001)
    heard = np.concatenate(list(sound.blocks()))
    np.testing.assert_array_equal(heard[:, :2], main)
    np.testing.assert_array_equal(heard[:stems_end, 2:], stems[:100_001])
    assert not heard[stems_end:, 2:].any()


def test_a_long_sound_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Three minutes at 8 kHz would be 11 MB of float32, a second 64 kB."""
    peaks = []
    for seconds in (1, 180):
        sf.write(tmp_path / "audio.flac", np.zeros((seconds * 8000, 2)), 8000, "PCM_24")
        tracemalloc.start()
        assert sum(len(block) for block in sound_of(tmp_path).blocks()) == seconds * 8000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
