"""The shipped audio encoder on sounds it never met."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tpos_models.audio.encoder import SegmentHalf
from tpos_models.errors import ModelError
from tpos_models.pocket import scene
from tpos_models.pocket.audio_encoder import PHRASES, PocketAudioEncoder
from tpos_models.pocket.audio_networks import (
    NAME,
    UNLIKELY,
    AudioEncoderNet,
    Recognition,
    TemporalPart,
    load_net,
    save_net,
)
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.pocket.text import PocketText
from tpos_models.training.audio.encoder import joint_of
from tpos_models.training.audio.evaluation import (
    average_precision,
    condition_bank,
    evaluate_music,
    instruments_heard,
    listen,
    louder_steers_further,
    name_clip,
    phrase_weights,
    silence_weight,
    spearman,
    stream,
    strengths,
)
from tpos_models.training.music.piece import Piece

SEED = 20_000


@pytest.fixture(scope="module")
def net() -> AudioEncoderNet:
    return load_net(WEIGHTS)


@pytest.fixture(scope="module")
def bank() -> torch.Tensor:
    return condition_bank(joint_of(PocketText.load(WEIGHTS)))


def test_weights_are_small() -> None:
    assert (WEIGHTS / f"{NAME}.safetensors").stat().st_size <= 7_000_000


def test_unseen_synthetic_conditions_are_named(net: AudioEncoderNet, bank: torch.Tensor) -> None:
    named = [name_clip(net, synthesise(name, 3, SEED), bank) for name in scene.CONDITIONS]
    right = sum(i == k for k, i in enumerate(named))
    assert right >= 12, [scene.CONDITIONS[i] for i in named]


def test_silence_hears_nothing(net: AudioEncoderNet) -> None:
    assert silence_weight(net, joint_of(PocketText.load(WEIGHTS))) < 0.2
    heard = listen(stream(net), np.zeros(88_200, np.float32))[-1]
    torch.testing.assert_close(heard.tokens, scene.to_tokens(torch.zeros(scene.SCENE_SIZE)))
    assert heard.loudness_db == -90


def test_louder_steers_further(net: AudioEncoderNet) -> None:
    ranks = louder_steers_further(net, SEED, (-30, -20, -10, 0), ("fire", "thunder", "aurora"))
    assert min(ranks.values()) >= 0.9, ranks


@pytest.mark.parametrize(
    ("new", "old", "seed"), [("fire", "wind", 20_002), ("waves", "sunset", 20_006), ("waves", "thunder", 20_009)]
)
def test_a_soft_sound_is_heard_over_the_end_of_a_loud_one(net: AudioEncoderNet, new: str, old: str, seed: int) -> None:
    clip = np.concatenate([synthesise(old, 3.0, seed), synthesise(new, 2.0, seed)])
    heard = [answer for answer in listen(stream(net), clip) if answer.time_s <= 4.0][-1]
    assert int(strengths(heard).argmax()) == scene.CONDITIONS.index(new)


def test_half_sure_is_shown_at_three_quarters_and_doubts_beside_it_are_not(
    net: AudioEncoderNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = torch.zeros(1, len(scene.CONDITIONS))
    said[0, :4] = torch.tensor([1.0, 0.5, 0.2, -0.1])
    monkeypatch.setattr(net, "strengths", lambda weighted: said)
    monkeypatch.setattr(net, "resembled", lambda joint: torch.ones_like(said))
    tokens, _, _ = TemporalPart(net, floor=0.0)(torch.zeros(1, 5, net.encoder.config.size))
    shown = scene.from_tokens(tokens)[0, scene.CONDITION]
    torch.testing.assert_close(shown[:4], torch.tensor([1.0, 0.75, 0.0, 0.0]), rtol=0, atol=1e-5)


def test_what_does_not_resemble_its_phrase_is_not_shown() -> None:
    torch.manual_seed(0)
    net = AudioEncoderNet()
    with torch.no_grad():
        net.map.linear2.bias.fill_(5.0)  # MAP alone would show everything
        features = torch.randn(1, 5, net.encoder.config.size)
        _, joint, _ = TemporalPart(net)(features)
        sound = net.recognition.sound(joint * joint.shape[1] ** 0.5)[0]
        net.recognition.phrase.weight[:-1] = torch.eye(len(sound))
        net.phrases[3], net.phrases[5] = sound, -sound
        net.phrases *= 9
        tokens, _, _ = TemporalPart(net)(features)
    shown = scene.from_tokens(tokens)[0, scene.CONDITION]
    assert shown[3] == pytest.approx(1, abs=1e-4)
    assert shown.sum() == pytest.approx(1, abs=1e-3)


def test_the_answer_keeps_the_contract(net: AudioEncoderNet, bank: torch.Tensor) -> None:
    hearing = PocketAudioEncoder(SegmentHalf(net.encoder), TemporalPart(net), WEIGHTS)
    heard = listen(hearing, synthesise("rain", 2, SEED))[-1]
    assert heard.tokens.shape == (scene.TOKENS, scene.TOKEN_SIZE)
    assert heard.joint.norm().item() == pytest.approx(1, abs=1e-5)
    assert heard.beta.shape == (5,)
    assert heard.time_s <= 2.0
    weights = hearing.score(heard, bank)
    assert weights.argmax() == scene.CONDITIONS.index("rain")
    assert ((weights >= 0) & (weights <= 1)).all()
    assert strengths(heard).argmax() == scene.CONDITIONS.index("rain")


def test_a_phrase_that_is_heard_takes_nothing_from_another_and_an_unlikely_one_weighs_nothing() -> None:
    torch.manual_seed(0)
    recognition, sound = Recognition(16), torch.nn.functional.normalize(torch.randn(16), dim=0)
    phrases = torch.nn.functional.normalize(torch.randn(40, 16), dim=1)
    with torch.no_grad():
        recognition.phrase.bias[-1] = 0.0
        together, chances = recognition.weights(sound, phrases), recognition(sound, phrases).sigmoid()
        alone = torch.cat([recognition.weights(sound, phrase[None]) for phrase in phrases])
    torch.testing.assert_close(together, alone)
    assert (together[chances <= UNLIKELY] == 0).all()
    torch.testing.assert_close(together[chances > UNLIKELY], 1 - (1 - chances[chances > UNLIKELY]) / 0.8)


def test_rain_over_a_beat_is_rain_and_a_beat(net: AudioEncoderNet) -> None:
    beat, rain = synthesise("beat", 5, SEED), synthesise("rain", 5, SEED)
    quieter = np.float32(np.sqrt(np.mean(beat**2) / np.mean(rain**2)) * 10 ** (-6 / 20))
    weights = phrase_weights(net, joint_of(PocketText.load(WEIGHTS)), beat + quieter * rain).mean(0)
    assert {PHRASES[k] for k in np.argsort(-weights)[:2]} == {"rain", "a drum beat"}


def test_weights_travel_with_their_sizes_and_foreign_records_are_refused(tmp_path: Path, net: AudioEncoderNet) -> None:
    save_net(net, tmp_path, {"steps": 1})
    again = load_net(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    record = json.loads((tmp_path / "hearing.json").read_text())
    (tmp_path / "hearing.json").write_text(json.dumps({"sha256": record["sha256"]}))
    with pytest.raises(ModelError, match=r"hearing.json: no sizes of an audio encoder"):
        load_net(tmp_path)


def test_spearman_is_rank_correlation() -> None:
    assert spearman(np.arange(5), np.array([1, 2, 3, 5, 40])) == pytest.approx(1)
    assert spearman(np.arange(5), -np.arange(5.0)) == pytest.approx(-1)
    assert spearman(np.arange(4), np.array([0, 0, 1, 1])) == pytest.approx(0.894, abs=1e-3)


def test_average_precision_is_the_mean_precision_at_each_hit() -> None:
    """The textbook's example (Manning et al., 2008, 8.4): hits at ranks 1, 3 and 5."""
    scores, relevant = np.array([0.5, 0.9, 0.7, 0.8, 0.6]), np.array([1, 1, 1, 0, 0], bool)
    assert average_precision(scores, relevant) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_held_out_music_is_named_and_its_instruments_ranked(net: AudioEncoderNet, tmp_path: Path) -> None:
    rate, seconds = 44_100, 60.0
    beat = synthesise("beat", 8.0, SEED)
    soundfile.write(tmp_path / "track.wav", beat, rate)
    kick = np.tile(synthesise("kick", 5.0, SEED), 12)
    kick[kick.size // 2 :] *= 0  # half of it is silence, where nothing may be heard
    soundfile.write(tmp_path / "render.wav", kick, rate)
    hits = np.arange(0.0, 2 * seconds, 0.5).tolist()  # half of the piece is not in its file, and does not count
    heard = [at for at in hits if not seconds / 2 - 0.5 <= at < seconds]
    _piece({"kick": heard}, hits).save(tmp_path / "render.json")
    numbers = evaluate_music(net, joint_of(PocketText.load(WEIGHTS)), tmp_path)
    assert numbers["music_excerpts"] == numbers["music_named"] == 1
    assert numbers["music_as_nature"] == 0
    assert numbers["kick"] == numbers["instruments_map"] > 0.8


def test_instruments_that_share_a_phrase_are_one(net: AudioEncoderNet) -> None:
    """A plucked bass, then a synthesised one, then silence: a bass line throughout, and then none."""
    hits, bass = np.arange(0.0, 60.0, 0.5).tolist(), np.tile(synthesise("bass", 5.0, SEED), 12)
    bass[bass.size * 2 // 3 :] *= 0
    piece = _piece({"bass": hits[:40], "synth_bass": hits[40:79]}, hits)
    numbers = instruments_heard(net, joint_of(PocketText.load(WEIGHTS)), [(bass, piece)])
    assert set(numbers) == {"instruments_map", "bass"}
    assert numbers["bass"] > 0.95


def _piece(hits: dict[str, list[float]], beats: list[float]) -> Piece:
    notes = {name: [(at, at + 0.2, 1.0) for at in times] for name, times in hits.items()}
    return Piece("render", "techno", beats[-1] + 0.5, (4, 4), tuple(beats), (0.0,), (), notes)
