from pathlib import Path

import numpy as np
import pytest
import soundfile

from tpos_models.errors import InputError, MissingFileError, ModelError
from tpos_models.training.audio import mixtures
from tpos_models.training.audio.corpus import Teachers
from tpos_models.training.audio.mixtures import Sources, collect_mixtures, load_mixtures, mixture, stage_grids

RATE = 44_100
HELD_OUT_HZ, LOW_HZ = 9000.0, 400.0


class Ear:
    """Hears how much lies below 5 kHz; its features are the shares of power in four bands."""

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []

    def scores(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        assert rate == RATE
        power = np.abs(np.fft.rfft(samples)) ** 2
        return {"Hum": float(power[: power.size // 4].sum() / max(float(power.sum()), 1e-9)), "Music": 0.0}

    def embed(self, samples: np.ndarray, rate: int) -> np.ndarray:
        self.heard.append(samples)
        power = np.abs(np.fft.rfft(samples)) ** 2
        return np.array([part.sum() for part in np.array_split(power, 4)]) / power.sum()


class Deaf:
    def scores(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        return {"Hum": 0.5}


def tone(hz: float, seconds: float = 3.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files of one label, one of them to be held out; four mixtures a file of mixtures, no synthesised sounds."""
    monkeypatch.setattr(mixtures, "PER_FILE", 4)
    monkeypatch.setattr(mixtures, "REMADE", {})
    monkeypatch.setattr(mixtures, "SYNTHESISED", 0.0)
    monkeypatch.setattr(mixtures, "SYNTHESISED_SEEDS", 0)
    folder = tmp_path / "recordings"
    (folder / "dog bark").mkdir(parents=True)
    soundfile.write(folder / "dog bark" / "1-a.wav", tone(LOW_HZ), RATE)
    soundfile.write(folder / "dog bark" / "3-b.wav", tone(HELD_OUT_HZ), RATE)
    return folder


def test_teachers_listen_to_mixtures_of_what_is_not_held_out_and_go_on_where_they_stood(
    recordings: Path, tmp_path: Path
) -> None:
    ear, out = Ear(), tmp_path / "out"
    assert collect_mixtures([recordings], out, Teachers([ear]), 8, ["3-"]) == 8
    spectra = [np.abs(np.fft.rfft(samples)) for samples in ear.heard]
    for spectrum in spectra:  # up to half as fast again, or as slow
        peak_hz = float(np.argmax(spectrum)) * RATE / (2 * (spectrum.size - 1))
        assert LOW_HZ * 0.65 < peak_hz < LOW_HZ * 1.55
    first = load_mixtures(out)
    assert first is not None
    assert first.db.shape == (8, 64, 153)
    np.testing.assert_allclose(first.features[0], ear.embed(ear.heard[0], RATE), atol=1e-3)
    np.testing.assert_allclose(first.scores[0, 0], ear.scores(ear.heard[0], RATE)["Hum"], atol=1e-3)
    assert collect_mixtures([recordings], out, Teachers([ear]), 12, ["3-"]) == 4
    more = load_mixtures(out)
    assert more is not None
    np.testing.assert_array_equal(more.db[:8], first.db)
    assert len({one.tobytes() for one in more.db}) == 12
    assert collect_mixtures([recordings], out, Teachers([ear]), 12, ["3-"]) == 0


@pytest.mark.parametrize("remade", list(mixtures.REMADE))
def test_much_of_what_is_mixed_is_made_anew(remade: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "REMADE", {remade: 1.0})
    rising = np.sin(2 * np.pi * np.cumsum(np.linspace(500, 4000, 3 * RATE)) / RATE).astype(np.float32)
    sources, rises, uneven = Sources([[rising]], np.array([1.0])), [], []
    for seed in range(24):
        samples = mixture(np.random.default_rng(seed), sources)
        assert samples.dtype == np.float32
        assert samples.shape == (2 * RATE,)
        assert np.abs(samples).max() == pytest.approx(0.5)
        centres = [np.argmax(np.abs(np.fft.rfft(part))) for part in np.array_split(samples, 4)]
        rises.append(np.mean(np.diff(centres) > 0))
        steps = samples.reshape(-1, 882)
        uneven.append((steps**2).mean(1).std() / (steps**2).mean())
    assert (np.median(uneven) > 0.35) == (remade != "reversed")  # the sound itself is as loud all the time
    if remade == "stretched":
        assert np.mean(rises) > 0.7
    elif remade == "reversed":
        assert np.mean(rises) < 0.3
    elif remade in ("texture", "strewn"):
        assert 0.2 < np.mean(rises) < 0.8


def test_a_mixture_is_as_loud_as_any_other_and_holds_one_sound_or_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "REMADE", {})
    sources = Sources([[tone(LOW_HZ)], [tone(HELD_OUT_HZ)]], np.array([0.5, 0.5]))
    both = []
    for seed in range(60):
        samples = mixture(np.random.default_rng(seed), sources)
        assert samples.dtype == np.float32
        assert samples.shape == (2 * RATE,)
        assert np.abs(samples).max() == pytest.approx(0.5)
        power = np.abs(np.fft.rfft(samples)) ** 2
        shares = [power[:6000].sum() / power.sum(), power[10_000:26_000].sum() / power.sum()]
        both.append(min(shares) > 10**-2)  # the softer one is at most 15 dB below
    assert 0.1 < np.mean(both) < 0.4  # a half holds two, of which a half are not the same


def test_other_folders_are_drawn_by_the_root_of_what_they_hold(recordings: Path, tmp_path: Path) -> None:
    for name, count in (("few", 1), ("many", 4)):
        (tmp_path / name).mkdir()
        for k in range(count):
            soundfile.write(tmp_path / name / f"{k}.wav", tone(1000.0, 0.5), RATE)
    sources = Sources.of([recordings, tmp_path / "few", tmp_path / "many"], ["3-"])
    assert [len(pool) for pool in sources.pools[::2]] == [1, 1]
    assert len(sources.pools[3]) == 4
    assert sources.shares[3] == pytest.approx(2 * sources.shares[2])
    assert sources.shares.sum() == pytest.approx(1)
    with pytest.raises(MissingFileError, match="no sounds"):
        Sources.of([recordings, tmp_path / "none"], [])


def test_a_teacher_without_features_is_refused(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="embed"):
        collect_mixtures([recordings], tmp_path / "out", Teachers([Deaf()]), 4)
    assert load_mixtures(tmp_path) is None


def test_a_damaged_file_of_mixtures_is_said(recordings: Path, tmp_path: Path) -> None:
    collect_mixtures([recordings], tmp_path / "out", Teachers([Ear()]), 4)
    (path,) = (tmp_path / "out").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="mixtures-000"):
        load_mixtures(tmp_path)


class OtherEar(Ear):
    def embed(self, samples: np.ndarray, rate: int) -> np.ndarray:
        return super().embed(samples, rate)[:3]


def test_mixtures_of_other_teachers_are_not_added(recordings: Path, tmp_path: Path) -> None:
    collect_mixtures([recordings], tmp_path / "out", Teachers([Ear()]), 2)
    collect_mixtures([recordings], tmp_path / "out", Teachers([OtherEar()]), 5)
    with pytest.raises(ModelError, match="not of the same teachers"):
        load_mixtures(tmp_path)


class Renamed(Ear):
    def scores(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        return {f"not {name}": score for name, score in super().scores(samples, rate).items()}


def test_nor_are_those_of_as_many_other_classes(recordings: Path, tmp_path: Path) -> None:
    collect_mixtures([recordings], tmp_path / "out", Teachers([Ear()]), 2)
    collect_mixtures([recordings], tmp_path / "out", Teachers([Renamed()]), 5)
    with pytest.raises(ModelError, match="not of the same teachers"):
        load_mixtures(tmp_path)


def test_where_all_is_held_out_there_is_nothing_to_mix(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every recording is held out"):
        collect_mixtures([recordings], tmp_path / "out", Teachers([Ear()]), 4, ["1-", "3-"])


def test_a_sound_of_a_few_samples_is_no_sound_and_of_a_long_one_halves_are_mixed(
    recordings: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    soundfile.write(tmp_path / "folder" / "click.wav", np.ones(50, np.float32), RATE)
    soundfile.write(tmp_path / "folder" / "long.wav", tone(LOW_HZ, 60.0 + 60.0 + 0.001), RATE)
    pool = Sources.of([recordings, tmp_path / "folder"]).pools[2]
    assert [part.size for part in pool] == [30 * RATE, 30 * RATE]


class LayeredEar(Ear):
    """Its maps say of each place which mel and which time it is of, from 0 to 1, in ever coarser grids."""

    highest_hz = 15_000.0

    def maps(self, samples: np.ndarray, rate: int) -> list[np.ndarray]:
        grids = [(np.arange(rows) + 0.5) / rows for rows in (64, 8, 4)], [(np.arange(n) + 0.5) / n for n in (50, 12, 7)]
        return [np.stack(np.meshgrid(mel, time, indexing="ij")) for mel, time in zip(*grids, strict=True)]


def test_maps_are_read_where_the_encoder_sees_the_same_pitch_and_moment(recordings: Path, tmp_path: Path) -> None:
    collect_mixtures([recordings], tmp_path, Teachers([LayeredEar()]), 4)
    told = load_mixtures(tmp_path)
    assert told is not None
    mel_of = lambda hz: np.log1p(hz / 700) / np.log1p(15_000 / 700)  # noqa: E731
    for grid, values in zip(stage_grids(), told.maps, strict=True):
        assert values.shape == (4, 2, *grid)
        mel, time = values[0].astype(np.float32)
        rows, columns = grid
        edge = 0.5 / 4  # of the coarsest map, beyond which there is nothing to read
        seen_s = 153 * 512 / RATE
        at_s = 2.0 - seen_s + seen_s * (np.arange(columns) + 0.5) / columns
        inside = (at_s / 2 > edge) & (at_s / 2 < 1 - edge)
        np.testing.assert_allclose(time[0][inside], (at_s / 2)[inside], atol=0.02)
        # 64 rows that are even in log(1 + bin / 16) up to bin 513, of 43 Hz each
        hz = 16 * np.expm1((np.arange(rows) + 0.5) / rows * np.log1p(513 / 16)) * RATE / 1024
        inside = (mel_of(hz) > edge) & (mel_of(hz) < 1 - edge)
        np.testing.assert_allclose(mel[inside, 0], mel_of(hz)[inside], atol=0.04)


def test_the_grids_are_those_of_the_encoders_stages() -> None:
    assert stage_grids() == [(16, 19), (8, 10), (4, 5)]
