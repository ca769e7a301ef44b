"""Audio encoders: phrases to tokens, a small CLAP saved in the hub's layout, and an imported TPoS checkpoint."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import soxr
import torch
from safetensors.torch import load_file, save_file

from tpos_models.audio.encoder import EncoderConfig, TokenMap, TPoSEncoder
from tpos_models.contracts import AudioEmbedding, AudioWindow, TextEmbedding
from tpos_models.errors import MissingFileError, ModelError
from tpos_models.network import run_in_torch
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.stable_diffusion import load
from tpos_models.stable_diffusion.audio_encoders import (
    ClapEncoder,
    ModelEncoder,
    PhraseEncoder,
    choose_audio_encoder,
)
from tpos_models.stable_diffusion.phrases import Phrase, bank, stand_out
from tpos_models.stable_diffusion.tpos import (
    Attention,
    FrontEnd,
    Mapping,
    TposAudioEncoder,
    import_tpos,
    is_tpos,
    load_tpos,
)

SMALL = EncoderConfig(size=16, widths=(4, 4, 8, 8), map_hidden=12, map_out=76 * 32)


class Words:
    """A text space of three known phrases on the axes of a cube."""

    def encode(self, prompts):
        axes = {"rain": 0, "fire": 1, "": 2}
        joint = torch.stack([torch.eye(3)[axes.get(prompt, 2)] for prompt in prompts])
        return TextEmbedding(torch.stack([torch.full((77, 4), float(len(prompt))) for prompt in prompts]), joint)

    def joint(self, prompts):
        return self.encode(prompts).joint

    def unknown(self, prompt):
        return ()


class Hearing:
    window = AudioWindow()
    phrases: tuple[str, ...] = ("rain", "fire", "an unheard-of thing")

    def another(self):
        return self

    def hear(self, samples, end_index, time_s):
        joint = torch.tensor([float(samples[0]), 1 - float(samples[0]), 0.0])
        return AudioEmbedding(torch.zeros(3, 3), joint, np.full(5, 0.2, np.float32), -20.0, time_s)

    def score(self, embedding, joint):
        return (joint @ embedding.joint).clamp(0, 1).numpy()


def test_the_bank_is_large_and_every_phrase_unique():
    assert len(bank()) >= 200
    assert len({phrase.hear for phrase in bank()}) == len(bank())
    assert all(phrase.hear and phrase.show and len(phrase.show) < 60 for phrase in bank())


def test_another_models_encoder_speaks_through_its_phrases():
    joint_encoder = ModelEncoder(Words(), Hearing())
    assert joint_encoder.phrases[0] == next(phrase for phrase in bank() if phrase.hear == "rain")
    assert joint_encoder.phrases[2] == Phrase("an unheard-of thing", "an unheard-of thing")
    listener = PhraseEncoder(joint_encoder, Words())
    rain, fire = (len(phrase.show) for phrase in joint_encoder.phrases[:2])
    for share in (0.0, 0.25, 1.0):
        heard = listener.hear(np.array([share], np.float32), 1, 1.0)
        assert heard.tokens.shape == (77, 4)
        torch.testing.assert_close(heard.tokens, torch.full((77, 4), share * rain + (1 - share) * fire))
    assert listener.score(heard, Words().encode(["fire", "rain"]).joint).tolist() == [0, 1]


def test_the_pocket_encoder_is_the_default(pipelines):
    model = load(str(pipelines("sd15")[0]))
    shown = {phrase.hear for phrase in bank()}
    assert set(model.audio.phrases) <= shown
    rustle = np.random.default_rng(0).normal(0, 0.1, 10 * 44_100).astype(np.float32)
    heard = model.audio.hear(rustle, rustle.size, 10.0)
    assert heard.tokens.shape == (77, 32)
    again = model.audio.hear(rustle, rustle.size, 10.0)
    beside = model.audio.another()
    assert torch.equal(beside.hear(rustle, rustle.size, 10.0).tokens, heard.tokens)
    beside.hear(np.zeros_like(rustle), 2 * rustle.size, 20.0)
    assert model.audio.hear(rustle, rustle.size, 10.0) is again is heard, "another stream leaves this one alone"
    assert model.spec.joint_size == heard.joint.shape[0]


def test_what_fits_no_phrase_hardly_steers():
    class Deaf(Hearing):
        def score(self, embedding, joint):
            return np.zeros(len(joint))

    encoder = PhraseEncoder(ModelEncoder(Words(), Deaf()), Words())
    assert torch.equal(encoder.hear(np.ones(4, np.float32), 4, 0.0).tokens, Words().encode([""]).tokens[0])


def test_standing_out_is_measured_by_the_banks_spread():
    background = torch.linspace(-1, 1, 101)
    np.testing.assert_allclose(stand_out(torch.tensor([0.0, 3.0]), background), [0.0067, 1.0], atol=1e-3)
    same = stand_out(torch.tensor([1.5]), background)
    np.testing.assert_allclose(stand_out(torch.tensor([1.5]) / 7 + 2, background / 7 + 2), same, rtol=1e-4)


@pytest.fixture(scope="session")
def clap_folder(tmp_path_factory):
    """CLAP's architecture, small and random, as its hub repository lies on disk."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizer

    torch.manual_seed(5)
    text = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 300,
        "max_position_embeddings": 100,
    }
    audio = {
        "patch_embeds_hidden_size": 8,
        "hidden_size": 64,
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 1, 2, 2],
        "num_hidden_layers": 4,
    }
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=12))
    folder = tmp_path_factory.mktemp("clap")
    model.save_pretrained(folder)
    ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    RobertaTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    return folder


def test_clap_hears_and_steers(clap_folder, pipelines):
    joint_encoder = ClapEncoder(clap_folder)
    model = load(str(pipelines("sd15")[0]), audio_encoder=joint_encoder)
    assert model.spec.joint_size == 12
    rate = model.audio.window.sample_rate
    t = np.arange(5 * rate) / rate
    tone = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    rustle = np.random.default_rng(0).normal(0, 0.3, t.size).astype(np.float32)
    heard = [model.audio.hear(samples, samples.size, 1.0) for samples in (tone, rustle, tone)]
    assert all(h.tokens.shape == (77, 32) and torch.isfinite(h.tokens).all() for h in heard)
    assert abs(float(heard[0].joint.norm()) - 1) < 1e-5
    assert torch.equal(heard[0].joint, heard[2].joint)
    assert not torch.equal(heard[0].joint, heard[1].joint)
    assert -14 < heard[0].loudness_db < -13
    weights = model.audio.score(heard[0], model.text.encode(list(model.audio.phrases)).joint)
    assert weights.shape == (len(bank()),)
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert model.audio.hear(np.zeros(10, np.float32), 10, 2.0).loudness_db == -90


def test_claps_joint_is_transformers_own(clap_folder):
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

    joint_encoder = ClapEncoder(clap_folder)
    model = ClapModel.from_pretrained(clap_folder).eval()
    sound = np.random.default_rng(1).normal(0, 0.1, 5 * 44_100).astype(np.float32)
    at_its_rate = soxr.resample(sound, 44_100, 48_000)
    inputs = dict(
        ClapFeatureExtractor.from_pretrained(clap_folder)(at_its_rate, sampling_rate=48_000, return_tensors="pt")
    )
    inputs |= dict(AutoTokenizer.from_pretrained(clap_folder)(["This is a sound of rain."], return_tensors="pt"))
    with torch.no_grad():
        out = model(**inputs)
    torch.testing.assert_close(
        joint_encoder.embed(sound, sound.size, 0.0).joint, out.audio_embeds[0], rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(joint_encoder.joint(["rain"])[0], out.text_embeds[0], rtol=1e-4, atol=1e-5)


def test_bad_clap_folders_are_refused(clap_folder, tmp_path):
    with pytest.raises(ModelError, match="no CLAP model"):
        ClapEncoder(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(clap_folder, copy)
    tensors = load_file(copy / "model.safetensors")
    save_file({**tensors, "logit_scale_a": torch.tensor(torch.nan)}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="logit_scale_a holds NaN"):
        ClapEncoder(copy)
    del tensors["text_projection.linear1.weight"]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"weights miss text_projection.linear1.weight"):
        ClapEncoder(copy)
    with pytest.raises(ModelError, match="tpos models fetch clap"):
        choose_audio_encoder("clap")
    with pytest.raises(ModelError, match="no such audio encoder"):
        choose_audio_encoder("nowhere")


@pytest.fixture
def released(tmp_path):
    """A synthetic checkpoint with the released names: data-parallel prefix, unused tensors."""
    torch.manual_seed(3)
    encoder, mapping = TPoSEncoder(SMALL).eval(), TokenMap(SMALL).eval()
    unused = {"T_A.weight": torch.zeros(2, 2), "T_A2.weight": torch.zeros(2)}
    torch.save({f"module.{k}": v for k, v in (encoder.state_dict() | unused).items()}, tmp_path / "encoder.pth")
    torch.save(mapping.state_dict(), tmp_path / "map.pth")
    return encoder, mapping, tmp_path


@torch.no_grad()
def test_an_imported_checkpoint_gives_the_same_bits(released):
    encoder, mapping, folder = released
    out = import_tpos(folder / "encoder.pth", folder / "map.pth", folder / "tpos", SMALL)
    again, map_again = load_tpos(out)
    pictures = torch.rand(2, 5, 128, 153)
    got, want = again(pictures), encoder(pictures)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    assert torch.equal(map_again(got.weighted.sum(1)), mapping(want.weighted.sum(1)))
    assert is_tpos(out)
    assert choose_audio_encoder(str(out)) == out
    assert json.loads((out / "tpos_map.json").read_text())["imported_from"] == "map.pth"


@torch.no_grad()
def test_stable_diffusion_hears_through_the_imported_checkpoint(released, pipelines):
    encoder, mapping, folder = released
    out = import_tpos(folder / "encoder.pth", folder / "map.pth", folder / "tpos", SMALL)
    model = load(str(pipelines("sd15")[0]), audio_encoder=out)
    sound = np.random.default_rng(0).normal(0, 0.1, 10 * 44_100).astype(np.float32)
    heard = model.audio.hear(sound, sound.size, 10.0)
    null = model.text.encode([""]).tokens[0]
    assert heard.tokens.shape == null.shape
    assert torch.equal(heard.tokens[0], null[0])
    assert abs(heard.beta.sum() - 1) < 1e-5
    sound, _, beta = Attention(encoder)(features := torch.randn(1, 5, 16))
    encoding = encoder.attend(features)
    assert torch.equal(sound, 5 * encoding.weighted[:, -1])
    assert torch.equal(beta, encoding.beta)
    assert torch.equal(Mapping(mapping, null[0])(sound)[0, 1:].flatten(), mapping(sound)[0])
    silence = load(str(pipelines("sd15")[0]), audio_encoder=out).audio.hear(
        np.zeros(441_000, np.float32), 441_000, 20.0
    )
    assert (silence.tokens - heard.tokens).abs().max() > 1e-6


def test_a_checkpoint_is_shown_the_pictures_that_its_import_names(released, models):
    _, _, folder = released
    rain = synthesise("rain", 9.0, 3)

    def heard(**front_end):
        out = import_tpos(folder / "encoder.pth", folder / "map.pth", folder / "tpos", SMALL, **front_end)
        return TposAudioEncoder(out, models("sd15").text).hear(rain, rain.size, 9.0).joint

    assert torch.equal(heard(), heard(front_end=FrontEnd.LINEAR))
    assert not torch.allclose(heard(), heard(front_end=FrontEnd.MEL), atol=1e-4)
    record = folder / "tpos" / "tpos_encoder.json"
    record.write_text(record.read_text().replace('"mel"', '"cochlea"'))
    with pytest.raises(ModelError, match="front_end is cochlea; linear or mel would be accepted"):
        TposAudioEncoder(folder / "tpos", models("sd15").text)


@pytest.mark.parametrize(("every", "maps"), [(None, 3), (1, 20)])
def test_map_runs_once_per_segment_hop_on_a_cpu_and_once_per_hop_elsewhere(released, models, every, maps):
    _, _, folder = released
    out = import_tpos(folder / "encoder.pth", folder / "map.pth", folder / "tpos", SMALL)
    calls: Counter[str] = Counter()

    def counting(network):
        run = run_in_torch(network)

        def call(*tensors):
            calls[network.name] += 1
            return run(*tensors)

        return call

    listener = TposAudioEncoder(out, models("sd15").text, runner=counting, map_every=every)
    sound = np.random.default_rng(0).normal(0, 0.1, 30 * 8704).astype(np.float32)
    for hop in range(20):
        for part in (0, 4000):  # twice in a hop: the second time nothing is new
            end = (hop + 1) * 8704 + part
            listener.hear(sound[:end], end, end / 44_100)
    assert calls["tpos-attention"] == 20
    assert calls["tpos-map"] == maps
    beside = listener.another().hear(sound[:8704], 8704, 0.2)
    alone = TposAudioEncoder(out, models("sd15").text).hear(sound[:8704], 8704, 0.2)
    assert torch.equal(beside.tokens, alone.tokens), "MAP's turns are each stream's own"


def test_what_the_imported_checkpoint_draws_is_named_by_another_encoder(released, pipelines):
    """Its joint space is CLIP's projected one, which no text encoder of Stable Diffusion reaches."""
    _, _, folder = released
    out = import_tpos(folder / "encoder.pth", folder / "map.pth", folder / "tpos", SMALL)
    model = load(str(pipelines("sd15")[0]), audio_encoder=out)
    pocket = load(str(pipelines("sd15")[0]), audio_encoder="pocket")
    rain = synthesise("rain", 9.0, 3)
    heard, by_pocket = model.audio.hear(rain, rain.size, 9.0), pocket.audio.hear(rain, rain.size, 9.0)
    assert model.audio.phrases == pocket.audio.phrases
    joint = model.text.encode(["rain", "thunder"]).joint
    weights = model.audio.score(heard, joint)
    assert weights.tolist() == pocket.audio.score(by_pocket, joint).tolist()
    assert weights[0] > 0.3 > weights[1]
    assert not torch.equal(heard.tokens, by_pocket.tokens)


def test_anything_but_a_tpos_checkpoint_is_refused(released):
    _, mapping, folder = released
    cases = {
        "differs.pth": ({**mapping.state_dict(), "head": torch.zeros(1)}, r"unexpected head"),
        "nested.pth": ({"state_dict": mapping.state_dict()}, "state dict of tensors was expected"),
        "nan.pth": ({**mapping.state_dict(), "linear1.bias": torch.full((12,), torch.nan)}, "linear1.bias holds NaN"),
        "code.pth": ({"linear1": EncoderConfig()}, "not a checkpoint of plain tensors"),
    }
    for name, (content, match) in cases.items():
        torch.save(content, folder / name)
        with pytest.raises(ModelError, match=match) as caught:
            import_tpos(folder / "encoder.pth", folder / name, folder / "out", SMALL)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    (folder / "text.pth").write_text("hello")
    with pytest.raises(ModelError, match=r"text.pth: not a checkpoint"):
        import_tpos(folder / "encoder.pth", folder / "text.pth", folder / "out", SMALL)
    with pytest.raises(MissingFileError, match="no such checkpoint"):
        import_tpos(folder / "absent.pth", folder / "map.pth", folder / "out", SMALL)
    with pytest.raises(ModelError, match=r"not a TPoS TPoSEncoder: .*conv1.weight is \(4, 3, 7, 7\), expected \(64"):
        import_tpos(folder / "encoder.pth", folder / "map.pth", folder / "out")
    assert not (folder / "out").exists()


def test_a_checkpoint_for_another_text_encoder_is_refused(released, pipelines):
    _, _, folder = released
    odd = EncoderConfig(size=16, widths=(4, 4, 8, 8), map_hidden=12, map_out=7 * 11)
    torch.save(TokenMap(odd).state_dict(), folder / "odd.pth")
    torch.save(TPoSEncoder(odd).state_dict(), folder / "encoder.pth")
    out = import_tpos(folder / "encoder.pth", folder / "odd.pth", folder / "tpos", odd)
    with pytest.raises(ModelError, match="belongs to another text encoder"):
        load(str(pipelines("sd15")[0]), audio_encoder=out)
