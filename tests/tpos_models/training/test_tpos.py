"""The paper's training against a small CLIP, on a folder of labelled sounds, and the result played."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from tpos_models.audio.encoder import EncoderConfig
from tpos_models.errors import MediaError
from tpos_models.stable_diffusion import load, open_text
from tpos_models.stable_diffusion.tpos import load_tpos
from tpos_models.training.audio.labelled import Labelled, labelled_sounds
from tpos_models.training.audio.tpos import TposStage, config_for, optimizers, train_tpos
from tpos_models.training.loop import Recipe, Trainer
from tpos_models.weights import read_record

SMALL = EncoderConfig(widths=(4, 4, 8, 8))


@pytest.fixture
def sounds(tmp_path):
    rng = np.random.default_rng(0)
    t = np.arange(2 * 44_100) / 44_100
    for label, wave in {"a_high_tone": np.sin(2 * np.pi * 6000 * t), "wind": rng.normal(size=t.size)}.items():
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for i in range(2):
            soundfile.write(tmp_path / "sounds" / label / f"{i}.wav", 0.1 * (i + 1) * wave, 44_100)
    return tmp_path / "sounds"


@pytest.fixture
def clip(pipelines):
    return open_text(str(pipelines("sd15")[0])).compared_in(None)


@torch.no_grad()
def mean_loss(stage):
    batches = [stage.make_batch(step, torch.Generator()) for step in range(3)]
    return np.mean([float(stage.losses(batch)["loss"]) for batch in batches])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_small_clip_is_learned_and_then_heard_through(sounds, clip, pipelines, tmp_path):
    assert config_for(clip, SMALL).map_out == 76 * 32
    stage = TposStage(labelled_sounds(sounds), clip, SMALL, batch=4, workers=0)
    assert stage.labels == ["a high tone", "wind"]
    before = mean_loss(stage)
    recipe = Recipe(steps=12, lr=3e-3, warmup=2, sheet_every=100)
    Trainer(stage, tmp_path / "runs", recipe, optimizers).run()
    assert mean_loss(stage) < before
    out = tmp_path / "out"
    result = train_tpos([sounds], clip, tmp_path / "runs", out, recipe, SMALL, batch=4, workers=0)
    assert result["scores"]["recall@5"] == 1.0
    assert read_record(out / "tpos_encoder.json")["labels"] == ["a high tone", "wind"]
    encoder, _ = load_tpos(out)
    assert encoder.config.size == 32
    model = load(str(pipelines("sd15")[0]), audio_encoder=out)
    heard = model.audio.hear(np.random.default_rng(1).normal(0, 0.1, 400_000).astype(np.float32), 400_000, 9.0)
    assert model.spec.joint_size == 32  # the text encoder's own: what it was trained on
    scores = model.audio.score(heard, model.text.encode(["wind", "a high tone"]).joint)
    assert scores.shape == (2,)
    assert torch.isfinite(heard.tokens).all()


def test_the_first_weights_follow_the_seed(sounds, clip, tmp_path):
    def trained(name, seed):
        recipe = Recipe(steps=1, seed=seed, ema=0.0)
        train_tpos([sounds], clip, tmp_path / name, tmp_path / f"{name}-out", recipe, SMALL, batch=2, workers=0)
        return load_tpos(tmp_path / f"{name}-out")[0].cnn.weight

    torch.manual_seed(5)
    first = trained("a", 3)
    torch.manual_seed(6)
    assert torch.equal(trained("b", 3), first)
    assert not torch.equal(trained("c", 4), first)


def test_validation_ranks_each_label_among_all(sounds, clip):
    """An encoder that has one answer only; held out are the labels that come first, second, fifth and sixth for it."""
    path, bad = sounds / "wind" / "0.wav", sounds / "bad.wav"
    bad.write_bytes(b"no sound")
    stage = TposStage([Labelled(path, f"label {i}") for i in range(8)], clip, SMALL, batch=3, workers=0)
    joint, tokens = stage._joint, stage._tokens
    answer = 3 * joint[2] + joint[5]
    order = np.argsort(-(joint @ answer).numpy())[[0, 1, 4, 5]]
    stage._held_out = [Labelled(path, stage.labels[i], held_out=True) for i in order]
    stage._held_out.insert(1, Labelled(bad, "label 0", held_out=True))

    class Fixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.any = torch.nn.Parameter(torch.zeros(1))

        def forward(self, clean, augmented):
            return None, answer.expand(len(clean), -1), None, tokens[:1].expand(len(clean), -1)

    stage.module = Fixed()
    with torch.no_grad():
        scores = stage.validate()
    error = np.mean([float((tokens[0] - tokens[i]).square().mean()) for i in order])
    assert scores == pytest.approx({"recall@1": 1 / 4, "recall@5": 3 / 4, "map_error": error}, rel=1e-5)
    assert stage.unreadable == {str(bad)}


def test_sounds_none_of_which_can_be_read_end_the_training(clip, tmp_path):
    for i in range(2):
        (tmp_path / f"{i}.wav").write_bytes(b"no sound")
    stage = TposStage([Labelled(tmp_path / f"{i}.wav", "wind") for i in range(2)], clip, SMALL, batch=1, workers=0)
    with pytest.raises(MediaError, match=r".wav: not a readable sound, and those before it neither"):
        stage.make_batch(0, torch.Generator())
