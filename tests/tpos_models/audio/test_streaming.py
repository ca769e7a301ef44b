from dataclasses import replace

import numpy as np
import pytest
import torch

from tpos_models.audio.encoder import EncoderConfig, SegmentHalf, TemporalHalf, TokenMap, TPoSEncoder
from tpos_models.audio.loudness import loudness_db
from tpos_models.audio.spectrogram import FLOOR_DB, columns_db, in_rows, segments, to_picture
from tpos_models.audio.streaming import Listener
from tpos_models.contracts import AudioWindow
from tpos_models.network import MAX_BATCH

WINDOW = AudioWindow(sample_rate=8000, n_fft=128, hop_length=64, rows=32, frames=228)  # segments of 45 columns
SMALL = EncoderConfig(size=16, rows=32, widths=(4, 4, 8, 8), map_hidden=8, map_out=64)
HOP = 5 * 64
SIZE = 5 * 45 * 64 + 1000


@pytest.fixture
def parts() -> tuple[SegmentHalf, TemporalHalf]:
    torch.manual_seed(0)
    encoder = TPoSEncoder(SMALL).eval()
    return SegmentHalf(encoder), TemporalHalf(encoder, TokenMap(SMALL).eval(), torch.zeros(16))


def sound(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    n = round(seconds * WINDOW.sample_rate)
    return (0.1 * rng.standard_normal(n) * np.linspace(0.1, 1, n)).astype(np.float32)


@pytest.mark.parametrize(("scale", "reference"), [("linear", "absolute"), ("slaney", "peak")])
def test_streaming_equals_the_whole_window(parts, scale, reference) -> None:
    """At every answer: also when the loudest point of all has just come in, and when it has gone."""
    window = replace(WINDOW, scale=scale)
    samples = sound(6)
    samples[9_000:9_400] *= 30
    listener = Listener(parts[0], parts[1], window, reference)
    db = columns_db(np.pad(samples, window.n_fft // 2), window)
    db = np.pad(
        db if scale == "linear" else in_rows(db, window), ((0, 0), (window.frames, 0)), constant_values=FLOOR_DB
    )
    for end in range(HOP, samples.size, HOP):
        heard = listener.hear(samples[max(0, end - SIZE) : end], end, end / window.sample_rate)
        at = end // 64 // 5 * 5
        heard_together = db[:, at : at + window.frames]
        picture = to_picture(heard_together, window, reference, heard_together.max())
        tokens, joint, beta = parts[1](parts[0](torch.from_numpy(segments(picture, window).copy()))[None])
        torch.testing.assert_close(heard.tokens, tokens[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(heard.joint, joint[0], atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(heard.beta, beta[0].detach(), atol=1e-5)
    assert heard.beta.sum() == pytest.approx(1, abs=1e-5)


def test_two_streams_through_the_same_networks_are_heard_as_if_each_had_its_own(parts) -> None:
    one, two = sound(4), sound(4)[::-1].copy()
    shared, alone, own = (Listener(parts[0], parts[1], WINDOW) for _ in range(3))
    shared.hear(one[:HOP], HOP, 0.0)
    beside = shared.another()
    assert beside.segments_computed == 0
    alone.hear(one[:HOP], HOP, 0.0)
    for end in range(2 * HOP, one.size, HOP):
        newest = slice(max(0, end - SIZE), end)
        for listener, same, samples in ((shared, alone, one), (beside, own, two)):
            heard, other = (each.hear(samples[newest], end, end / WINDOW.sample_rate) for each in (listener, same))
            torch.testing.assert_close(heard.tokens, other.tokens, rtol=0, atol=0)
    assert beside.segments_computed == own.segments_computed


@pytest.mark.parametrize("reference", ["segment", "absolute"])
def test_a_hop_costs_one_segment_from_the_start(parts, reference) -> None:
    samples = sound(3)
    samples[: HOP // 2] *= 100  # the loudest point of all: while it is heard, nothing older changes
    listener = Listener(parts[0], parts[1], WINDOW, reference)
    listener.hear(samples[:HOP], HOP, 0.0)
    for k in range(2, 45):
        before = listener.segments_computed
        listener.hear(samples[max(0, k * HOP - SIZE) : k * HOP], k * HOP, k * HOP / WINDOW.sample_rate)
        assert listener.segments_computed - before == 1
    whole = listener.segments_computed
    end = 48 * HOP  # and now it is gone
    listener.hear(samples[:end], end, end / WINDOW.sample_rate)
    assert listener.segments_computed - whole == (1 if reference == "segment" else 5)


def test_attention_is_the_newest_segments_where_the_tokens_do_not_hold_it(parts) -> None:
    samples = sound(3)
    for attends in (True, False):
        segment, temporal = parts
        heard = Listener(segment, temporal, WINDOW, attends=attends).hear(samples, samples.size, 0.0)
        assert heard.attention == (float(heard.beta[-1]) if attends else 1.0)


def test_a_network_is_never_given_more_segments_than_it_takes(parts: tuple[SegmentHalf, TemporalHalf]) -> None:
    """Five are due when a stream is joined in its middle; TensorRT's engines take four."""
    samples, batches = sound(6), []

    def segment(pictures: torch.Tensor) -> torch.Tensor:
        batches.append(len(pictures))
        return parts[0](pictures)

    joined = (samples.size - SIZE) // HOP * HOP
    heard = Listener(segment, parts[1], WINDOW).hear(samples[joined:], samples.size, 6.0)
    assert max(batches) <= MAX_BATCH
    assert sum(batches) == 5
    again = Listener(*parts, WINDOW)
    for end in range(HOP, samples.size + 1, HOP):
        want = again.hear(samples[max(0, end - SIZE) : end], end, end / WINDOW.sample_rate)
    torch.testing.assert_close(heard.tokens, want.tokens, atol=1e-5, rtol=1e-4)


def test_between_grid_steps_the_answer_stays(parts: tuple[SegmentHalf, TemporalHalf]) -> None:
    samples = sound(2)
    listener = Listener(*parts, WINDOW)
    first = listener.hear(samples[: 10 * HOP], 10 * HOP, 0.0)
    assert listener.hear(samples[: 10 * HOP + 64], 10 * HOP + 64, 64 / WINDOW.sample_rate) is first
    assert listener.hear(samples[: 11 * HOP], 11 * HOP, HOP / WINDOW.sample_rate) is not first


def test_an_answer_tells_when_the_newest_sound_in_it_was_captured(parts: tuple[SegmentHalf, TemporalHalf]) -> None:
    samples = sound(1)
    listener = Listener(*parts, WINDOW)
    end = 10 * HOP + 3 * 64  # three columns past the grid wait for the next answer
    assert listener.hear(samples[:end], end, 7.0).time_s == pytest.approx(7.0 - 3 * 64 / 8000)
    end = 12 * HOP
    assert listener.hear(samples[:end], end, 8.0).time_s == pytest.approx(8.0)


def test_a_long_pause_and_a_new_stream_are_caught_up(parts: tuple[SegmentHalf, TemporalHalf]) -> None:
    samples = sound(6)
    listener, fresh = Listener(*parts, WINDOW), Listener(*parts, WINDOW)
    listener.hear(samples[:3000], 3000, 0.0)
    late = listener.hear(samples[20_000:36_000], 36_000, 4.0)
    expected = fresh.hear(samples[20_000:36_000], 36_000, 4.0)
    torch.testing.assert_close(late.joint, expected.joint)


def test_short_empty_and_broken_input(parts: tuple[SegmentHalf, TemporalHalf]) -> None:
    listener = Listener(*parts, WINDOW)
    assert torch.isfinite(listener.hear(np.zeros(0, np.float32), 0, 0.0).joint).all()
    heard = listener.hear(np.full(50_000, np.nan, np.float32), 50_000, 1.0)
    assert torch.isfinite(heard.tokens).all()
    assert heard.loudness_db == -90


def test_relative_segments_are_heard_the_same_at_any_level(parts: tuple[SegmentHalf, TemporalHalf]) -> None:
    samples = sound(2)
    loud, quiet = Listener(*parts, WINDOW, "segment"), Listener(*parts, WINDOW, "segment")
    heard, softly = loud.hear(samples, samples.size, 0.0), quiet.hear(0.1 * samples, samples.size, 0.0)
    torch.testing.assert_close(heard.joint, softly.joint, atol=1e-4, rtol=1e-3)
    assert heard.loudness_db == pytest.approx(softly.loudness_db + 20, abs=0.01)


def test_what_repeats_with_the_hop_is_heard_the_same(parts: tuple[SegmentHalf, TemporalHalf]) -> None:
    samples = np.tile(sound(HOP / WINDOW.sample_rate), 80)
    listener = Listener(*parts, WINDOW)
    ends = range(HOP, samples.size + 1, HOP)
    answers = [listener.hear(samples[max(0, end - SIZE) : end], end, end / WINDOW.sample_rate) for end in ends]
    before, last = answers[-2:]
    assert torch.equal(before.tokens, last.tokens)
    assert torch.equal(before.joint, last.joint)
    assert before.loudness_db == last.loudness_db


def test_loudness_is_rms_in_db_of_full_scale() -> None:
    assert loudness_db(np.ones(100, np.float32)) == pytest.approx(0)
    assert loudness_db(np.full(100, 0.1, np.float32)) == pytest.approx(-20, abs=1e-4)
