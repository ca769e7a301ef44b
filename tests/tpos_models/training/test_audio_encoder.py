from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from other_device import trains_there

from tpos_models.errors import MediaError, MissingFileError
from tpos_models.pocket.audio_networks import AudioEncoderNet
from tpos_models.pocket.scene import CONDITIONS
from tpos_models.training import loop
from tpos_models.training.audio.data import Clip, recorded_clips, synthetic_clips
from tpos_models.training.audio.encoder import AudioEncoderStage, TemporalStage, only_memory, self_contrast, takeovers
from tpos_models.training.audio.evaluation import never_trained_on
from tpos_models.training.audio.labels import phrases
from tpos_models.training.audio.scenes import Composer, audible, spec_augment, strength_of


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return synthetic_clips(range(2), 2.0, ("rain", "night", "kick"))


def joint(prompts: list[str]) -> torch.Tensor:
    """Every phrase of a label is the same corner of a cube."""
    order = ["kick", "night", "noise", "rain", "silence"]
    return torch.eye(5, 128)[[next(i for i, name in enumerate(order) if p in phrases(name)) for p in prompts]]


def test_a_scene_says_how_surely_each_of_its_sounds_is_heard(clips: list[Clip]) -> None:
    composer = Composer(clips, segments=2)
    batch = composer.batch(np.random.default_rng(0), 120)
    assert batch.pictures.shape == (120, 2, 64, 153)
    assert batch.pictures.min() >= 0
    assert batch.pictures.max() <= 1
    assert batch.chances.min() >= 0
    np.testing.assert_array_equal(batch.chances.max(1), 1)
    silent = batch.chances[:, composer.bank.index("silence")] == 1
    assert 0 < silent.sum() < 20
    noise = batch.chances[:, composer.bank.index("noise")] == 1
    assert not batch.strengths[silent | noise].any()
    assert batch.pictures[silent].mean() < batch.pictures[~silent].mean()
    rain = batch.chances[:, composer.bank.index("rain")] > 0
    assert (batch.strengths[~rain, CONDITIONS.index("rain")] == 0).all()


def test_masks_stay_within_their_limits() -> None:
    pictures = np.ones((6, 1, 128, 153), np.float32)
    masked = spec_augment(np.random.default_rng(0), pictures)
    assert (pictures == 1).all()
    rows_gone = (masked == 0).all(axis=(1, 3)).mean(axis=1)
    columns_gone = (masked == 0).all(axis=(1, 2)).mean(axis=1)
    assert rows_gone.max() <= 0.30
    assert columns_gone.max() <= 0.60
    assert (masked == 0).any()


def test_strength_is_that_of_the_loudest_and_less_below() -> None:
    assert [strength_of(below_db) for below_db in (0, 12, 24, 60)] == [1, 0.5, 0, 0]


def test_what_lies_12_db_below_is_heard_as_surely_and_what_lies_24_below_is_not() -> None:
    assert [audible(below_db) for below_db in (0, 12, 18, 24)] == [1, 1, 0.5, 0]


def test_of_two_sounds_mostly_one_is_music_and_synthesised_beats_are_music_too(clips: list[Clip]) -> None:
    composer = Composer(clips)
    chances = composer.batch(np.random.default_rng(0), 300).chances > 0
    kick = chances[:, composer.bank.index("kick")]
    two = chances.sum(1) == 2
    assert two.sum() > 50
    assert (two & kick).sum() > 0.7 * two.sum()


def test_of_takeovers_nearly_all_are_of_conditions_in_the_bank_of_all(clips: list[Clip]) -> None:
    clips = clips + synthetic_clips(range(2), 2.0, ("thunder",))
    some = takeovers(clips, 1)
    assert some.bank == Composer(clips).bank
    chances = some.batch(np.random.default_rng(0), 400).chances
    assert not chances[:, some.bank.index("kick")].any()
    rain, night, thunder = (chances[:, some.bank.index(name)] > 0 for name in ("rain", "night", "thunder"))
    assert (rain | night | thunder).mean() > 0.85
    for latest in (rain, night):
        assert 2.5 < latest.sum() / thunder.sum() < 6, "what takes over latest comes four times as often"


@pytest.mark.parametrize(("share", "at_least"), [(0.25, 6), (0.5, 4)])
def test_a_share_of_a_batch_are_takeovers_and_come_last(clips: list[Clip], share: float, at_least: int) -> None:
    stage, kick = AudioEncoderStage(clips, joint, batch=8), np.zeros(8, bool)
    stage.taken_over = share
    for seed in range(40):
        scenes, _, _ = stage.make_batch(0, torch.Generator().manual_seed(seed))
        assert scenes.chances.shape == (8, 5)
        assert len(scenes.pictures) == 10
        kick |= scenes.chances[:, stage.composer.bank.index("kick")] > 0
    assert kick[:at_least].all()
    assert not kick[at_least:].any()


def test_a_mixture_of_one_label_is_that_label_alone(clips: list[Clip]) -> None:
    chances = Composer(clips).batch(np.random.default_rng(0), 60).chances
    assert 30 < ((chances > 0).sum(1) == 1).sum() < 60


def test_recordings_are_read_by_label_and_held_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "sea_waves").mkdir()
    for name in ("1-a.wav", "2-b.wav"):
        soundfile.write(tmp_path / "sea_waves" / name, np.random.default_rng(0).uniform(-0.1, 0.1, (8000, 2)), 16_000)
    found = recorded_clips(tmp_path, held_out=("1",))
    assert [(clip.label, clip.group) for clip in found] == [("waves", "sea_waves/2-b.wav")]
    assert found[0].db.shape == (64, 44)
    unheard = never_trained_on({"recordings": [clip.group for clip in found]}, tmp_path)
    assert [recording.name for recording in unheard] == ["sea_waves/1-a.wav"]
    with pytest.raises(MissingFileError, match="LABEL/NAME"):
        recorded_clips(tmp_path / "none")
    (tmp_path / "sea_waves" / "3-c.wav").write_bytes(b"not a sound")
    with pytest.raises(MediaError, match=r"3-c.wav: not a readable sound"):
        recorded_clips(tmp_path)


def test_views_of_one_scene_attract_and_equal_labels_do_not_repel() -> None:
    one = torch.eye(3)
    labels = torch.eye(3)
    assert self_contrast(one, one, labels) < self_contrast(one, one.roll(1, 0), labels)
    twins = torch.tensor([[1.0, 0], [1.0, 0]])
    assert self_contrast(twins, twins, torch.tensor([[1.0, 0], [1.0, 0]])) < 1e-3


def test_seconds_of_training_lower_every_loss(tmp_path: Path, clips: list[Clip]) -> None:
    torch.manual_seed(0)
    first = AudioEncoderStage(clips, joint, batch=16)
    trained = lowers_every_loss(first, tmp_path / "segments", quick(48, lr=1e-3))
    first.module.load_state_dict(trained)
    second = TemporalStage(first.net, clips, joint, scenes=64, batch=32)
    second.module.load_state_dict(lowers_every_loss(second, tmp_path / "time", quick(96, lr=3e-3)))
    second.keep_phrases()
    assert first.net.phrases[CONDITIONS.index("rain")].norm() > 0
    for stage in ("segments", "time"):
        assert list((tmp_path / stage).glob("sheet-*.png"))
        assert (tmp_path / stage / "losses.png").exists()


def test_both_stages_are_trained_on_another_device(tmp_path: Path, clips: list[Clip]) -> None:
    first = AudioEncoderStage(clips, joint, batch=8)
    trains_there(first, tmp_path / "segments.png")
    trains_there(TemporalStage(AudioEncoderNet(), clips, joint, scenes=32, batch=8), tmp_path / "time.png")


def test_the_second_stage_learns_memory_and_attention_only() -> None:
    torch.manual_seed(0)
    net = AudioEncoderNet()
    only_memory(net)
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 1.0)
    _, joint, strengths, _ = net.temporal(torch.randn(4, 3, net.encoder.config.size))
    told = strengths.sum() + net.recognition(joint, torch.eye(joint.shape[1])).square().sum()
    (joint.square() @ torch.arange(joint.shape[1]).float()).sum().add(told).backward()
    optimizer.step()
    size = net.encoder.config.size
    forget = torch.zeros(4 * size, dtype=torch.bool)
    forget[size : 2 * size] = True
    moved = {name: value != before[name] for name, value in net.named_parameters()}
    assert not any(change.any() for name, change in moved.items() if name.startswith(("map", "recognition")))
    for name in ("weight_ih_l0", "bias_ih_l0"):
        assert moved[f"encoder.lstm.{name}"][forget].any()
        assert not moved[f"encoder.lstm.{name}"][~forget].any()
    assert moved["encoder.lstm.weight_hh_l0"].any()


def test_training_that_stopped_goes_on(tmp_path: Path, clips: list[Clip]) -> None:
    loop.run(AudioEncoderStage(clips, joint, batch=4), tmp_path, quick(2))
    again = loop.Trainer(AudioEncoderStage(clips, joint, batch=4), tmp_path, quick(3))
    assert again.step == 2
    again.run()
    assert again.step == 3


def quick(steps: int, lr: float = 1e-3) -> loop.Recipe:
    return loop.Recipe(steps=steps, lr=lr, warmup=4, sheet_every=1000, ema=0.8)


def lowers_every_loss(stage: loop.Stage, folder: Path, recipe: loop.Recipe) -> dict[str, torch.Tensor]:
    """Train, and compare each loss of the first quarter with the last quarter's."""
    seen: list[dict[str, float]] = []
    trained = loop.Trainer(stage, folder, recipe).run(lambda step, losses: seen.append(losses))
    quarter = recipe.steps // 4
    for name in seen[0]:
        before, after = (np.mean([losses[name] for losses in part]) for part in (seen[:quarter], seen[-quarter:]))
        assert after < before, (name, before, after)
    return trained
