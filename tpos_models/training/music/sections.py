"""Teaching the section network: renders whose sections are known, and music of which it is known that it has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
import torch

from tpos_models import weights
from tpos_models.errors import InputError
from tpos_models.sections import features
from tpos_models.sections.features import FEATURES, HOP, SAMPLE_RATE, TICK_S, Comparison
from tpos_models.sections.network import CLASSES
from tpos_models.training import loop
from tpos_models.training.audio.labelled import read_file
from tpos_models.training.music.piece import Piece

HIDDEN = 64
DROP_BARS = 4
_UNSURE_S = 8.0
"""After a splice nobody is asked what section it is."""
_NOT_ASKED, _PLAIN = -1, -2
STREAMS, TICKS, BATCH = 3000, 360, 24
MOST_SKIPPED = 120
LEAST_PIECES, MOST_S = 2, 240
PLAIN_SHARE = 0.25
WEIGHT = torch.tensor([1.0, 1.5, 2.0, 2.0])
EARLY, EARLY_TICKS = 3.0, range(2, 8)
"""How much more these ticks of a section weigh: what is known after a bar is known too late."""
RECIPE = loop.Recipe(steps=3000, lr=4e-3, ema=0.99, weight_decay=1e-4, sheet_every=500)


class SectionModule(torch.nn.Module):
    """`SectionNet` as torch trains it."""

    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.gru = torch.nn.GRU(FEATURES, hidden, batch_first=True)
        self.out = torch.nn.Linear(hidden, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, FEATURES) to (B, T, 4) scores."""
        return self.out(self.gru(x)[0])


def hop_powers(samples: np.ndarray) -> np.ndarray:
    """(n,) samples to (n // HOP, BANDS) band powers, windowed as the live analysis does."""
    hops = len(samples) // HOP
    padded = np.concatenate([np.zeros(features.N_FFT - HOP, np.float32), samples[: hops * HOP].astype(np.float32)])
    window = np.hanning(features.N_FFT + 1)[:-1].astype(np.float32) * np.float32(2 / features.N_FFT)
    frames = np.lib.stride_tricks.sliding_window_view(padded, features.N_FFT)[::HOP]
    return np.concatenate(
        [features.band_powers(np.abs(np.fft.rfft(part * window))) for part in np.array_split(frames, 16)]
    )


def ticks(powers: np.ndarray, hops: int) -> np.ndarray:
    """(n, BANDS) hop powers to one row of `features.tick` for every `hops` of them."""
    parts = powers[: len(powers) // hops * hops].reshape(-1, hops, features.BANDS)
    return features.tick(parts, np.concatenate([parts[:1, 0], parts[:-1, -1]]))


def labels_of(piece: Piece, times_s: np.ndarray) -> np.ndarray:
    """The class of each tick that ends at `times_s`; a drop lasts four bars, what a piece begins with is not asked."""
    labels = np.zeros(len(times_s), np.int64)
    bar_s = np.median(np.diff(piece.downbeats_s)) if len(piece.downbeats_s) > 1 else 2.0
    for start_s, end_s, kind in piece.sections:
        if kind in CLASSES:
            end_s = min(end_s, start_s + DROP_BARS * bar_s) if kind == "drop" else end_s
            labels[(times_s > start_s) & (times_s <= end_s)] = CLASSES.index(kind)
    if piece.sections and piece.sections[0][2] not in ("intro", "verse"):
        labels[times_s <= piece.sections[0][1]] = _NOT_ASKED
    return labels


def read(path: Path) -> np.ndarray:
    """Band powers of the first four minutes of a sound file; raises `MediaError`."""
    samples, rate = read_file(path)
    return hop_powers(soxr.resample(samples[: MOST_S * rate].mean(1), rate, SAMPLE_RATE))


class SectionStage:
    """Cross-entropy of each tick's section, over streams of two minutes spliced from renders at many tempi.

    `plain` is music of which only this is known, that nothing builds up or drops in it.
    """

    name = "sections"

    def __init__(
        self, labelled: Sequence[tuple[np.ndarray, Piece]], plain: Sequence[np.ndarray], seed: int = 0
    ) -> None:
        self.module: torch.nn.Module = SectionModule()
        rng = np.random.default_rng(seed)
        held = labelled[::10]  # they are sorted by style: some of each
        others = [one for number, one in enumerate(labelled) if number % 10]
        self._held = _streams(rng, held, plain[:0], len(held))
        self._streams = _streams(rng, others, plain, STREAMS)

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, FEATURES) and what each tick is, (B, T)."""
        x, labels = self._streams
        device = generator.device
        chosen = torch.randint(len(x), (BATCH,), generator=generator, device=device).cpu()
        return x[chosen].to(device), labels[chosen].to(device)

    def losses(self, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Of what is asked; of plain music that it is neither build-up nor drop."""
        x, labels = batch
        log = torch.log_softmax(self.module(x), -1)
        weight = WEIGHT.to(x)[labels.clamp(min=0)] * (labels >= 0) * _earliness(labels)
        named = -(weight * log.gather(-1, labels.clamp(min=0)[..., None])[..., 0]).sum() / weight.sum()
        calm = -torch.logsumexp(log[..., :2], -1)[labels == _PLAIN]
        return {"loss": named + calm.mean() if calm.numel() else named, "named": named}

    def validate(self) -> dict[str, float]:
        """Share of held-out ticks that are named rightly, averaged over the classes."""
        x, labels = self._held
        guess = self._scores(x).argmax(-1)
        right = [float((guess == k)[labels == k].float().mean()) for k in range(len(CLASSES)) if (labels == k).any()]
        return {"recall": float(np.mean(right))}

    def _scores(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x.to(next(self.module.parameters()).device)).cpu()

    def sheet(self, path: Path) -> None:
        """Held-out streams: what is likely above what is true."""
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        x, labels = self._held
        figure, axes = pyplot.subplots(min(6, len(x)), 1, figsize=(14, 10), squeeze=False)
        for axis, likely, true in zip(axes[:, 0], torch.softmax(self._scores(x), -1), labels, strict=False):
            axis.plot(likely.numpy())
            axis.plot(true.numpy() / 3 - 1.2, "k")
        figure.savefig(path, dpi=70)
        pyplot.close(figure)


def _earliness(labels: torch.Tensor) -> torch.Tensor:
    """(B, T): EARLY where a section began EARLY_TICKS ago, else 1."""
    number = torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
    began = torch.zeros_like(labels, dtype=torch.bool)
    began[:, 1:] = labels[:, 1:] != labels[:, :-1]
    since = number - torch.where(began, number, -EARLY_TICKS.stop).cummax(1).values
    return torch.where((since >= EARLY_TICKS.start) & (since < EARLY_TICKS.stop), EARLY, 1.0)


def _streams(
    rng: np.random.Generator, labelled: Sequence[tuple[np.ndarray, Piece]], plain: Sequence[np.ndarray], count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(count, TICKS, FEATURES) and labels (count, TICKS): pieces one after another, each as fast and loud as it may."""
    rows_of, labels = np.zeros((count, TICKS, FEATURES), np.float32), np.zeros((count, TICKS), np.int64)
    for stream in range(count):
        rows: list[np.ndarray] = []
        kinds: list[np.ndarray] = []
        while sum(map(len, rows)) < TICKS + MOST_SKIPPED:
            row, kind = _piece(rng, labelled, plain)
            rows.append(row)
            kinds.append(kind)
        span = slice(first := int(rng.integers(MOST_SKIPPED)), first + TICKS)
        comparison = Comparison()
        rows_of[stream] = [comparison.push(row) for row in np.concatenate(rows)[span]]
        labels[stream] = np.concatenate(kinds)[span]
    return torch.from_numpy(rows_of), torch.from_numpy(labels)


def _piece(
    rng: np.random.Generator, labelled: Sequence[tuple[np.ndarray, Piece]], plain: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """One piece's ticks and their classes.

    Faster or slower by a fifth, louder or softer, with a little noise, its sections shorter or longer: that they come
    in fours and eights is nothing to rely on.
    """
    hops = int(rng.integers(18, 29))
    if plain and rng.random() < PLAIN_SHARE:
        row = ticks(plain[int(rng.integers(len(plain)))], hops)
        kind = np.full(len(row), _PLAIN)
    else:
        powers, piece = labelled[int(rng.integers(len(labelled)))]
        row = ticks(powers, hops)
        times_s = (np.arange(len(row)) + 1) * hops * HOP / SAMPLE_RATE
        kept = _cut(rng, [np.flatnonzero((times_s > a) & (times_s <= b)) for a, b, _ in piece.sections])
        row, kind = row[kept], labels_of(piece, times_s)[kept]
    row[:, : features.LEVELS] += rng.uniform(-8, 8)
    kind[: round(_UNSURE_S / TICK_S)] = _NOT_ASKED
    return row + rng.normal(0, 0.7, row.shape), kind


def _cut(rng: np.random.Generator, spans: Sequence[np.ndarray]) -> np.ndarray:
    """Ticks of sections, some of which lose a part, begin late, end early or go on longer."""
    kept = []
    for span in spans:
        size = int(rng.uniform(0, 0.5) * len(span))
        first = int(rng.integers(len(span) - size + 1))
        lost, again = rng.random() < 0.45, rng.random() < 0.15
        kept += [span[:first], span[first + size * lost :]]
        kept += [span[first:]] if again and not lost else []
    return np.concatenate(kept)


def train_sections(
    runs: Path, weights_folder: Path, sounds: Sequence[Path], recipe: loop.Recipe = RECIPE
) -> dict[str, float]:
    """Train on renders whose labels have sections; other sound files are music without. Saves sections.safetensors."""
    labelled, plain = [], []
    for path in sorted(
        path for folder in sounds for path in folder.rglob("*") if path.suffix in (".flac", ".ogg", ".wav")
    ):
        piece = Piece.load(path.with_suffix(".json")) if path.with_suffix(".json").exists() else None
        if piece and piece.sections:
            labelled.append((read(path), piece))
        else:
            plain.append(read(path))
    if len(labelled) < LEAST_PIECES:
        raise InputError(
            f"train sections: {len(labelled)} renders with sections in --sounds; {LEAST_PIECES} would be accepted: "
            "`tpos music` makes them"
        )
    average = loop.run(SectionStage(labelled, plain), runs, recipe)
    scores = loop.best_scores(runs)
    record = {"steps": recipe.steps, "pieces": len(labelled), "without": len(plain), **scores}
    weights.save(weights_folder, "sections", average, record)
    return scores
