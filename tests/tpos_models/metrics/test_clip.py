"""What a CLIP measures, with spaces whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tpos_models.errors import ModelError
from tpos_models.metrics.clip import Heard, HubClip, clip_direction, clip_score, cmmd, look, recall_at_1
from tpos_models.metrics.film import evaluate

RATE = 16_000


class Colours:
    """Pictures and words as their mean colour."""

    def images(self, frames):
        return torch.stack([torch.from_numpy(frame.astype(np.float32)).mean((0, 1)) / 255 for frame in frames])

    def texts(self, phrases):
        return torch.tensor([[float("red" in p), float("green" in p), float("blue" in p)] for p in phrases])


def picture(*colour):
    return np.full((8, 8, 3), colour, np.uint8)


def test_direction_points_towards_what_was_heard():
    frames = [picture(40 * i, 0, 100) for i in range(6)]
    loudness = np.arange(6.0)
    seen = Colours().images(frames)
    assert clip_direction(Colours(), seen, loudness, "blue", "red") == pytest.approx(1)
    assert clip_direction(Colours(), seen, loudness, "blue", "green") == pytest.approx(0)
    measured = evaluate(frames, 4.0, np.linspace(0, 1, 24_000), RATE, Colours(), "blue", "red")
    assert measured.clip is not None
    assert measured.clip.direction == pytest.approx(1)
    assert [row.name for row in measured.rows()][-2:] == ["CLIP score", "CLIP direction"]


def test_score_is_the_mean_of_cosines_by_a_hundred_and_never_below_none():
    """Hessel et al. 2021, equation 1, with w = 100: torchmetrics' and most papers' scale."""
    words = torch.tensor([[0.0, 2.0]])
    seen = torch.tensor([[0.0, 5.0], [3.0, 3.0], [0.0, -1.0]])
    assert clip_score(seen, words) == pytest.approx(100 * (1 + math.sqrt(0.5) + 0) / 3)
    measured = look(Colours(), Colours().images([picture(0, 80, 0)]), np.zeros(1), np.zeros(1), "a green field", "", ())
    assert measured.score == pytest.approx(100)
    assert math.isnan(measured.direction)  # nothing heard


def test_sounds_find_their_pictures():
    shown = [picture(200, 0, 0)] * 4 + [picture(0, 200, 0)] * 4 + [picture(0, 0, 200)] * 4
    heard = [Heard(i, i + 1, {name: 0.6, "else": 0.1}) for i, name in enumerate(("red", "green", "blue"))]
    swapped = [Heard(i, i + 1, {name: 0.6}) for i, name in enumerate(("red", "blue", "green"))]
    sound = np.random.default_rng(0).normal(size=3 * RATE)
    for segments, recall in ((heard, 1.0), (swapped, 1 / 3), ([*heard, Heard(9, 10, {"red": 1.0})], 1.0)):
        measured = evaluate(shown, 4.0, sound, RATE, Colours(), "", "red", segments).clip
        assert measured is not None
        assert measured.recall == pytest.approx(recall)
        assert measured.chance == pytest.approx(1 / 3)
        assert len(measured.sounds) == 3  # what sounds after the last frame has no picture


def test_sounds_that_are_all_alike_find_no_more_than_chance():
    pictures = torch.eye(4)
    assert recall_at_1(pictures[[1, 1, 1, 1]], pictures) == pytest.approx(1 / 4)
    assert recall_at_1(torch.zeros(4, 4), pictures) == pytest.approx(1 / 4)
    assert recall_at_1(pictures, pictures * torch.arange(1, 5)[:, None]) == 1


def test_cmmd_by_hand_and_without_bias():
    """Jayasumana et al. 2024: sums over pairs of exp(-d^2 / (2 * 10^2)), times 1000."""
    a, b = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[-1.0, 0.0], [0.0, -1.0]])
    near, far = math.exp(-2 / 200), math.exp(-4 / 200)
    assert cmmd(a, b) == pytest.approx(1000 * (near + near - 2 * (2 * far + 2 * near) / 4))
    draw = torch.Generator().manual_seed(0)
    sets = [torch.nn.functional.normalize(torch.randn(40, 16, generator=draw), dim=-1) for _ in range(40)]
    alike = [cmmd(x, y) for x, y in zip(sets[::2], sets[1::2], strict=True)]
    assert abs(np.mean(alike)) < 0.1
    assert cmmd(sets[0], torch.nn.functional.normalize(sets[1] + 0.5, dim=-1)) > 2
    assert math.isnan(cmmd(a[:1], b))


def test_a_clip_in_the_hubs_layout(tmp_path):
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(words), "bos_token_id": 512, "eos_token_id": 513}
    vision = {**sizes, "image_size": 32, "patch_size": 16}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(tmp_path)
    CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[]).save_pretrained(tmp_path)
    clip = HubClip(tmp_path)
    rng = np.random.default_rng(0)
    images = clip.images([rng.integers(0, 255, (72, 96, 3)).astype(np.uint8) for _ in range(2)])
    texts = clip.texts(["rain", "a much longer phrase"])
    assert images.shape == texts.shape == (2, 8)
    torch.testing.assert_close(torch.cat([images, texts]).norm(dim=-1), torch.ones(4))
    with pytest.raises(ModelError, match="no CLIP model"):
        HubClip(tmp_path / "absent")
