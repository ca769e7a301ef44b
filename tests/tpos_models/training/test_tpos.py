"""The paper's training against a small CLIP, on a folder of labelled sounds, and the result played."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from tpos_models.audio.encoder import EncoderConfig
from tpos_models.errors import MediaError, MissingFileError
from tpos_models.stable_diffusion import load, open_text
from tpos_models.stable_diffusion.tpos import load_tpos
from tpos_models.training.audio.tpos import TposStage, config_for, labelled_sounds, to_segments, train_tpos
from tpos_models.training.loop import Recipe, Trainer

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


@torch.no_grad()
def mean_loss(stage):
    batches = [stage.make_batch(0, torch.Generator().manual_seed(seed)) for seed in range(3)]
    return np.mean([float(stage.losses(batch)["loss"]) for batch in batches])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_small_clip_is_learned_and_then_heard_through(sounds, pipelines, tmp_path):
    text = open_text(str(pipelines("sd15")[0]))
    clip = type(text)(text._tokenizers, text._run)
    assert config_for(clip, SMALL).map_out == 76 * 32
    stage = TposStage(labelled_sounds(sounds), clip, SMALL, batch=4)
    assert stage.labels == ["a high tone", "wind"]
    before = mean_loss(stage)
    recipe = Recipe(steps=12, lr=3e-3, warmup=2, sheet_every=100)
    Trainer(stage, tmp_path / "runs", recipe).run()
    assert mean_loss(stage) < before
    out = train_tpos(sounds, clip, tmp_path / "runs", tmp_path / "out", recipe, SMALL, batch=4)
    encoder, _ = load_tpos(out)
    assert encoder.config.size == 32
    model = load(str(pipelines("sd15")[0]), audio_encoder=out)
    heard = model.audio.hear(np.random.default_rng(1).normal(0, 0.1, 400_000).astype(np.float32), 400_000, 9.0)
    assert model.spec.joint_size == 32  # the text encoder's own: what it was trained on
    weights = model.audio.score(heard, model.text.encode(["wind", "a high tone"]).joint)
    assert weights.shape == (2,)
    assert torch.isfinite(heard.tokens).all()


def test_preprocessing_gives_five_segments_of_any_length(sounds, tmp_path):
    rng = np.random.default_rng(0)
    picture = to_segments(sounds / "wind" / "0.wav", rng)
    assert picture.shape == (5, 128, 153)
    assert picture.max() > 0.95
    soundfile.write(tmp_path / "long.wav", rng.normal(0, 0.1, (500_000, 2)), 48_000)
    assert to_segments(tmp_path / "long.wav", rng).shape == (5, 128, 153)


def test_bad_sounds_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="no labelled sounds"):
        labelled_sounds(tmp_path)
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(MediaError, match=r"bad.wav: not a readable sound"):
        to_segments(tmp_path / "bad.wav", np.random.default_rng(0))
