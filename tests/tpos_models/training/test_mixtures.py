from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tpos_models.errors import InputError, MissingFileError, ModelError
from tpos_models.training.audio import mixtures
from tpos_models.training.audio.corpus import Teachers
from tpos_models.training.audio.data import synthetic_clips
from tpos_models.training.audio.encoder import AudioEncoderStage
from tpos_models.training.audio.mixtures import Mixtures, Sources, Taught, collect_mixtures, load_mixtures, mixture

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
    for spectrum in spectra:  # at up to a third more or less than its speed
        peak_hz = float(np.argmax(spectrum)) * RATE / (2 * (spectrum.size - 1))
        assert LOW_HZ * 0.7 < peak_hz < LOW_HZ * 1.4
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


def test_a_mixture_is_as_loud_as_any_other_and_holds_one_sound_or_two() -> None:
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


def drawn(count: int, size: int = 3) -> Mixtures:
    rng = np.random.default_rng(0)
    db = rng.uniform(-80, -10, (count, 64, 153)).astype(np.float16)
    features = rng.normal(2.0, 3.0, (count, size)).astype(np.float16)
    return Mixtures(db, rng.uniform(0, 1, (count, 2)).astype(np.float16), features)


def test_what_is_taught_is_lost_only_where_it_differs() -> None:
    told = drawn(200)
    taught = Taught(8, told)
    scores, features = (torch.from_numpy(x.astype(np.float32)) for x in (told.scores, told.features))
    standard = (features - features.mean(0)) / (features.std(0, correction=0) + 0.05)
    exact = torch.cat([standard, torch.logit(scores.clamp(1e-4, 1 - 1e-4))], 1)
    entropy = -(scores * scores.log2() + (1 - scores) * (1 - scores).log2()).nansum(1).mean() * np.log(2)
    assert float(taught.loss(exact, scores, features)) == pytest.approx(0.4 * float(entropy), rel=1e-3)
    off = exact.clone()
    off[:, 0] += 0.5
    assert float(taught.loss(off, scores, features)) == pytest.approx(0.4 * float(entropy) + 4 * 0.25 / 3, rel=1e-3)


def test_pictures_of_mixtures_are_as_the_encoder_sees_them() -> None:
    told = drawn(6)
    pictures, scores, features = told.batch(np.random.default_rng(0), 10)
    assert pictures.shape == (10, 64, 153)
    assert pictures.min() >= 0
    assert pictures.max() == 1
    rows = [int(np.flatnonzero((told.features == one).all(1))[0]) for one in features.astype(np.float16)]
    np.testing.assert_array_equal(scores, told.scores[rows].astype(np.float32))


def test_the_encoder_learns_what_teachers_hear() -> None:
    torch.manual_seed(0)
    clips = synthetic_clips(range(1), 2.0, ("rain",))
    told = drawn(4)
    stage = AudioEncoderStage(clips, lambda prompts: torch.eye(len(prompts), 128), told, batch=4, mixed=4)
    batch = stage.make_batch(0, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(stage.module.parameters(), lr=2e-3)
    taught = []
    for _ in range(12):
        losses = stage.losses(batch)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        taught.append(losses["taught"].item())
    assert taught[-1] < 0.7 * taught[0]
    untaught = AudioEncoderStage(clips, lambda prompts: torch.eye(len(prompts), 128), batch=4)
    assert "taught" not in untaught.losses(untaught.make_batch(0, torch.Generator().manual_seed(0)))
