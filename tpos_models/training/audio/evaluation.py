"""What the audio encoder can do, measured as the show uses it: hop by hop, through `PocketAudioEncoder`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from tpos_models.audio.encoder import SegmentHalf
from tpos_models.audio.streaming import STEPS_PER_SEGMENT, Listener
from tpos_models.contracts import AudioEmbedding, AudioEncoder
from tpos_models.diffusion.conditioning import magnitude
from tpos_models.pocket import scene
from tpos_models.pocket.audio_encoder import PHRASES, SOUNDS
from tpos_models.pocket.audio_networks import AudioEncoderNet, TemporalPart
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.training.audio.corpus import played, sounds_of
from tpos_models.training.audio.data import SCORED_EVERY_S, WINDOW, Recording, recordings
from tpos_models.training.audio.encoder import Joint
from tpos_models.training.audio.labels import label_of, phrases
from tpos_models.training.music.general_midi import INSTRUMENTS
from tpos_models.training.music.piece import Piece

UNSEEN_SEEDS = range(10_000, 10_005)
"""Seeds that training never draws."""
NATURE_HEARD = 0.2
"""Mean weight from which on a phrase of nature counts as heard."""
OFTEN = 15
"""Moments in which an instrument must play to be counted."""
HOP_SAMPLES = WINDOW.segment_samples // STEPS_PER_SEGMENT


def evaluate_audio_encoder(
    net: AudioEncoderNet,
    joint: Joint,
    unheard: Sequence[Recording] = (),
    seeds: Sequence[int] = UNSEEN_SEEDS,
) -> dict[str, float]:
    """The hearing rows of the table; the recordings' row only where there are `unheard` ones."""
    takeovers = takeover_s(net, joint, seeds)
    ranks = louder_steers_further(net, seeds[0])
    numbers = {
        "synthetic_named": named_conditions(net, joint, seeds),
        "synthetic_shown": shown_conditions(net, seeds),
        "takeover_median_s": float(np.median(takeovers)),
        "takeover_within_1_s": float(np.mean(np.array(takeovers) <= 1.0)),
        "magnitude_spearman_lowest": min(ranks.values()),
        "silence_weight": silence_weight(net, joint),
        "under_a_beat": under_a_beat(net, joint, seeds),
    }
    if unheard:
        numbers |= {"recordings_named": named_recordings(net, joint, unheard), "recordings": len(unheard)}
    return numbers


def stream(net: AudioEncoderNet) -> Listener:
    """A new stream through a trained network."""
    return Listener(SegmentHalf(net.eval().encoder), TemporalPart(net), WINDOW, "segment")


def listen(hearing: Listener | AudioEncoder, samples: np.ndarray) -> list[AudioEmbedding]:
    """Play a clip into an encoder hop by hop, as the show does."""
    hop, kept = HOP_SAMPLES, WINDOW.segments * WINDOW.segment_samples
    ends = range(hop, samples.size + 1, hop)
    return [hearing.hear(samples[max(0, end - kept) : end], end, end / WINDOW.sample_rate) for end in ends]


def joints(answers: Sequence[AudioEmbedding]) -> torch.Tensor:
    """Unit vectors (answers, size)."""
    return torch.stack([heard.joint for heard in answers])


@torch.no_grad()
def log_odds(net: AudioEncoderNet, answers: Sequence[AudioEmbedding], bank: torch.Tensor) -> torch.Tensor:
    """How surely each phrase of a bank (P, size) is heard in each answer: (answers, P)."""
    return net.recognition(joints(answers), bank)


def name_clip(net: AudioEncoderNet, samples: np.ndarray, bank: torch.Tensor) -> int:
    """The likeliest phrase of a whole clip: log odds averaged over the hops, silent ones left out."""
    answers = listen(stream(net), samples)
    loudest_db = max(heard.loudness_db for heard in answers)
    loud = [heard for heard in answers if heard.loudness_db > loudest_db - 30]
    return int(log_odds(net, loud, bank).mean(0).argmax())


def condition_bank(joint: Joint) -> torch.Tensor:
    """One phrase for every condition."""
    return joint([phrases(name)[1] for name in scene.CONDITIONS])


def named_conditions(net: AudioEncoderNet, joint: Joint, seeds: Sequence[int]) -> float:
    """Share of unseen synthetic conditions that the phrases of all conditions name rightly."""
    bank = condition_bank(joint)
    clips = [(i, seed) for i in range(len(scene.CONDITIONS)) for seed in seeds]
    right = [name_clip(net, synthesise(scene.CONDITIONS[i], 4.0, seed), bank) == i for i, seed in clips]
    return float(np.mean(right))


def shown_conditions(net: AudioEncoderNet, seeds: Sequence[int]) -> float:
    """Share of unseen synthetic conditions that are the strongest in MAP's answer, after 4 s."""
    right = []
    for i, name in enumerate(scene.CONDITIONS):
        for seed in seeds:
            heard = listen(stream(net), synthesise(name, 4.0, seed))[-1]
            right.append(int(strengths(heard).argmax()) == i)
    return float(np.mean(right))


def strengths(heard: AudioEmbedding) -> torch.Tensor:
    """The condition strengths that MAP's tokens spell."""
    return scene.from_tokens(heard.tokens)[scene.CONDITION]


def takeover_s(net: AudioEncoderNet, joint: Joint, seeds: Sequence[int], before_s: float = 3.0) -> list[float]:
    """Seconds from a sound's onset until it leads phrases and MAP, after another one; 3 s where it never does."""
    bank, delays = condition_bank(joint), []
    count = len(scene.CONDITIONS)
    for k, seed in enumerate(seeds):
        for new in range(count):
            old = (new + 1 + 3 * k) % count
            clip = synthesise(scene.CONDITIONS[old], before_s, seed), synthesise(scene.CONDITIONS[new], 3.0, seed)
            answers = listen(stream(net), np.concatenate(clip))
            late = [
                heard.time_s - before_s
                for heard in answers
                if heard.time_s > before_s
                and int(log_odds(net, [heard], bank).argmax()) == new
                and int(strengths(heard).argmax()) == new
            ]
            delays.append(min(late, default=3.0))
    return delays


def steering(heard: AudioEmbedding) -> float:
    """How far a sound moves the conditioning: the length of MAP's scene times `conditioning.magnitude`."""
    return magnitude(heard) * float(strengths(heard).norm())


def louder_steers_further(
    net: AudioEncoderNet,
    seed: int,
    gains_db: Sequence[float] = range(-30, 1, 5),
    names: Sequence[str] = scene.CONDITIONS,
) -> dict[str, float]:
    """Spearman correlation of gain with `steering`, for each condition, over the answers to 4 s of it."""
    ranks = {}
    for name in names:
        samples = synthesise(name, 4.0, seed)
        played = [listen(stream(net), samples * np.float32(10 ** (db / 20))) for db in gains_db]
        ranks[name] = spearman(np.array(gains_db), np.array([np.mean([*map(steering, heard)]) for heard in played]))
    return ranks


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation, ties sharing their mean rank; 0 where one does not vary."""
    ranks = [np.array([np.mean(np.flatnonzero(np.sort(v) == value)) for value in v]) for v in (x, y)]
    spread = np.std(ranks[0]) * np.std(ranks[1])
    return float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / spread) if spread else 0.0


def silence_weight(net: AudioEncoderNet, joint: Joint) -> float:
    """The largest weight that any condition's phrase gets in digital silence and in a quiet room's noise."""
    bank = condition_bank(joint)
    room = 10 ** (-75 / 20) * np.random.default_rng(0).standard_normal(3 * WINDOW.sample_rate).astype(np.float32)
    answers = listen(stream(net), np.zeros(3 * WINDOW.sample_rate, np.float32)) + listen(stream(net), room)
    with torch.no_grad():
        return float(net.recognition.weights(joints(answers), bank).max())


def named_recordings(net: AudioEncoderNet, joint: Joint, found: Sequence[Recording]) -> float:
    """Share of recordings whose label's phrase is the likeliest among all their labels' phrases."""
    labels = sorted({recording.label for recording in found})
    bank = joint([phrases(label)[0] for label in labels])
    return float(np.mean([labels[name_clip(net, one.read(), bank)] == one.label for one in found]))


def never_trained_on(record: Mapping[str, object], sounds: Path) -> list[Recording]:
    """The recordings that a network's record does not list."""
    trained = record.get("recordings")
    names = trained if isinstance(trained, list) else []
    return [recording for recording in recordings(sounds) if recording.name not in names]


def evaluate_music(net: AudioEncoderNet, joint: Joint, folder: Path) -> dict[str, float]:
    """The music rows of the table: of a folder's tracks how they are named, of its renders which instruments."""
    found = [(samples, piece) for _, samples, piece in sounds_of(folder)]
    tracks = [samples for samples, piece in found if piece is None]
    renders = [(samples, piece) for samples, piece in found if piece is not None]
    named = music_named(net, joint, tracks) if tracks else {}
    return named | (instruments_heard(net, joint, renders) if renders else {})


def excerpts(samples: np.ndarray, seconds: float = 20.0, most: int = 3) -> list[np.ndarray]:
    """Up to `most` stretches of a track, evenly over it; the whole of what is no longer than one."""
    length = round(seconds * WINDOW.sample_rate)
    count = min(most, max(1, samples.size // length))
    starts = np.linspace(0, max(0, samples.size - length), count + 2 if count < most else count).astype(int)
    return [samples[start : start + length] for start in (starts[1:-1] if count < most else starts)]


@torch.no_grad()
def phrase_weights(net: AudioEncoderNet, joint: Joint, samples: np.ndarray) -> np.ndarray:
    """Weights (hops, phrases) of everything that `pocket` names, while a sound plays."""
    return net.recognition.weights(joints(listen(stream(net), samples)), joint(list(PHRASES))).numpy()


def music_named(net: AudioEncoderNet, joint: Joint, tracks: Sequence[np.ndarray]) -> dict[str, float]:
    """Of excerpts of music: the share named music of some kind, and of those with a phrase of nature above 0.2."""
    weights = [phrase_weights(net, joint, part).mean(0) for track in tracks for part in excerpts(track)]
    nature = len(SOUNDS["conditions"])
    musical = range(nature, nature + len(SOUNDS["music"]))
    return {
        "music_named": float(np.mean([int(w.argmax()) in musical for w in weights])),
        "music_as_nature": float(np.mean([w[:nature].max() > NATURE_HEARD for w in weights])),
        "music_excerpts": len(weights),
    }


def under_a_beat(net: AudioEncoderNet, joint: Joint, seeds: Sequence[int], below_db: float = -6.0) -> float:
    """Share of rain, fire and waves, quieter than a beat over them, that are among the first three phrases."""
    found = []
    for name in ("rain", "fire", "waves"):
        for seed in seeds:
            beat, sound = synthesise("beat", 6.0, seed), synthesise(name, 6.0, seed)
            gain = np.sqrt(np.mean(beat**2) / np.mean(sound**2)) * 10 ** (below_db / 20)
            weights = phrase_weights(net, joint, beat + np.float32(gain) * sound).mean(0)
            first = np.argsort(-weights)[:3]
            found.append(scene.CONDITIONS.index(name) in first)
    return float(np.mean(found))


def instruments_heard(
    net: AudioEncoderNet, joint: Joint, renders: Sequence[tuple[np.ndarray, Piece]], every_s: float = 1.5
) -> dict[str, float]:
    """Average precision of each instrument's phrase over moments of renders, by log odds; of those heard often enough.

    At a moment an instrument plays that is at least half as loud as the loudest, and does not where it is silent; what
    lies between does not count. Instruments of one label, such as both kinds of bass, share its phrase and are one.
    """
    likeness, truth = [], []
    labels = sorted({label_of(name) for name in INSTRUMENTS})
    alike = [[k for k, name in enumerate(INSTRUMENTS) if label_of(name) == label] for label in labels]
    bank = joint([phrases(label)[0] for label in labels])
    for samples, piece in renders:
        answers = listen(stream(net), samples)
        windows = played(piece, 0.0, int(samples.size / WINDOW.sample_rate / SCORED_EVERY_S))
        for k in range(4, len(windows), round(every_s / SCORED_EVERY_S)):
            nearest = min(answers, key=lambda heard: abs(heard.time_s - (k + 1) * SCORED_EVERY_S))
            likeness.append(log_odds(net, [nearest], bank)[0].numpy())
            truth.append([windows[k, places].max() for places in alike])
    likely, true = np.array(likeness), np.array(truth)
    scores = {}
    for k, label in enumerate(labels):
        sure = (true[:, k] >= 1) | (true[:, k] <= 0)
        if (true[sure, k] >= 1).sum() >= OFTEN:
            scores[label] = average_precision(likely[sure, k], true[sure, k] >= 1)
    return {"instruments_map": float(np.mean(list(scores.values()))) if scores else 0.0, **scores}


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Mean of the precision at the rank of each relevant item (n,), best scores first."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(relevant[order])
    return float((hits / np.arange(1, len(hits) + 1))[relevant[order]].mean())
