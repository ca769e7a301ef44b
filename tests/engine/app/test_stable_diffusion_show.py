"""Stable Diffusion played end to end: small models as diffusers saves them, through `tpos render` and `tpos live`."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from PIL import Image
from safetensors.torch import save_file
from small_diffusers import pipelines

from engine.app.builder import OscOptions
from engine.app.live import LiveOptions, open_live
from engine.app.options import LookOptions
from engine.app.stats import LiveSummary
from engine.cli import main
from engine.core.clock import VirtualClock
from engine.core.messages import Frame, GuidanceTier, Prompt, Rule, ShowState, SoundWindow
from engine.inference.frame_pipeline import FramePipeline, encode_picture
from engine.inference.plan import choose_plan
from engine.recording.session import open_session
from engine.recording.start_picture import starting_picture
from export.media.reading import read_frames, read_last_frame, read_video_info
from tpos_models import registry
from tpos_models.errors import InputError, MediaError, MissingFileError
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.registry import Additions

__all__ = ["pipelines"]

RATE = 44_100
SEA = ShowState(prompts=(Prompt("the sea"),), motion=0.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small are slower on two threads, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def thunder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "thunder.wav"
    sf.write(path, synthesise("thunder", 2.0, 1), RATE)
    return path


def play(look: LookOptions, record: Path | None = None) -> LiveSummary:
    """`tpos live`, until three frames were sampled and a second was heard, however long that takes."""
    options = LiveOptions(
        look=look,
        source="synth",
        mute=True,
        headless=True,
        osc=OscOptions(port=0),
        size=(64, 64),
        record=record,
        seconds=300.0,
        max_fps=10.0,
    )
    with open_live(options) as live:

        class Enough(threading.Event):
            def is_set(self) -> bool:
                return live.engine.frames.count >= 3 and live.engine.capture.counters().samples > RATE

        return live.run(Enough())


KINDS = pytest.mark.parametrize("kind", ["sd15", "sd21", "turbo", "lcm", "sample", "sdxl"])


@KINDS
def test_a_saved_pipeline_renders(tpos, pipelines, thunder, tmp_path, kind):
    folder = str(pipelines(kind)[0])
    film = tmp_path / "film.mp4"
    rendered = tpos(
        *("render", thunder, "-o", film, "--model", folder, "--ear", "pocket", "--fps", 4, "--seconds", 1),
        *("--size", "64x64", "--steps", 2, "--guidance", "reference"),
    )
    assert rendered["frames"] == read_video_info(film).frames == 4
    assert next(iter(read_frames(film)))[1].std() > 0


@KINDS
def test_a_saved_pipeline_plays(pipelines, kind):
    played = play(LookOptions(model=str(pipelines(kind)[0]), ear="pocket"))
    assert played.frames >= 3
    assert played.restarts == 0
    assert played.troubles == ()


def test_a_session_keeps_lora_picture_and_size_and_plays_again(tpos, thunder, tmp_path):
    lora = tmp_path / "style.safetensors"
    layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    save_file({f"{layer}.lora_A.weight": torch.randn(2, 32), f"{layer}.lora_B.weight": torch.randn(32, 2)}, lora)
    Image.new("RGB", (90, 60), (250, 40, 10)).save(tmp_path / "red.png")
    look = LookOptions(
        model="random:tiny-turbo",
        model_size="64x96",
        lora=[f"{lora}:0.5"],
        ear="pocket",
        init_image=str(tmp_path / "red.png"),
        settings={"strength": 0.25, "feedback": 0.3},
    )
    session = open_session(play(look, tmp_path / "shows").recordings[0].path)
    assert session.record.options == {
        "model": "random:tiny-turbo",
        "model_size": "64x96",
        "lora": [f"{lora}:0.5"],
        "ear": "pocket",
        "precision": "fp32",
        "sampler": None,
    }
    began = session.picture()
    assert began is not None
    assert began[0, 0].tolist() == [250, 40, 10]
    assert (session.states[0][1].strength, session.states[0][1].feedback) == (0.25, 0.3)
    again = tmp_path / "again.mp4"
    exported = tpos("sessions", "export", session.info.path, "-o", again, "--fps", 2)
    assert exported["frames"] > 0
    lora.unlink()
    with pytest.raises(SystemExit):
        main(["sessions", "export", str(session.info.path), "-o", str(tmp_path / "x.mp4")])
    continued = tmp_path / "continued.mp4"
    tpos("render", thunder, "-o", continued, "--model", "random:tiny-turbo", "--ear", "pocket", "--seconds", 0.5,
         "--fps", 4, "--size", "64x64", "--init-image", session.info.path)  # fmt: skip
    assert read_video_info(continued).frames == 2


def test_the_command_line_of_live_takes_them_all(tpos, tmp_path):
    Image.new("RGB", (90, 60), (250, 40, 10)).save(tmp_path / "red.png")
    played = tpos(
        *("live", "--headless", "--input", "synth", "--seconds", 1, "--osc-port", 0, "--size", "64x64"),
        *("--model", "random:tiny-lcm", "--model-size", "64x64", "--ear", "pocket", "--negative", "people"),
        *("--init-image", tmp_path / "red.png", "--strength", 0.5, "--feedback", 0.3, "--steps", 2, "--no-agc"),
    )
    assert played["troubles"] == []


@pytest.fixture(scope="module")
def tiny():
    return registry.load("random:tiny-sd15", size_px=(64, 64), additions=Additions(audio_encoder="pocket"))


def stage(model, reference_steps=0, **given) -> FramePipeline:
    return FramePipeline(model, VirtualClock(), choose_plan(model, reference_steps), **given)


def latents(played: FramePipeline, state: ShowState) -> torch.Tensor:
    """What the next frame is decoded from."""
    decoded, plan = [], played.plan
    played.plan = replace(plan, decode=lambda x0: decoded.append(x0) or plan.decode(x0))
    played.frame(state)
    played.plan = plan
    return decoded[0]


def test_strength_is_how_far_a_frame_leaves_the_picture(tiny):
    picture = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    start = encode_picture(tiny, picture)
    distances = [
        float((latents(stage(tiny, picture=picture), replace(SEA, strength=s)) - start).norm()) for s in (0.0, 0.5, 1.0)
    ]
    assert distances == sorted(distances)
    assert distances[0] < distances[2] / 2


def test_feedback_keeps_the_last_frame_and_fresh_noise_keeps_it_alive(tiny):
    def kept(feedback):
        clock = VirtualClock()
        played = FramePipeline(tiny, clock, choose_plan(tiny))
        first = latents(played, SEA)
        clock.sleep(20.0)  # the noise moves on
        second = latents(played, replace(SEA, motion=0.8, feedback=feedback))
        return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])

    assert kept(0.0) < kept(0.5) < kept(1.0)
    still = stage(tiny)
    feeding = replace(SEA, feedback=0.8)
    frames = [latents(still, feeding) for _ in range(12)]
    assert (frames[-1] - frames[-2]).abs().mean() < 0.2 * (frames[1] - frames[0]).abs().mean()
    moving = stage(tiny)
    frames = [latents(moving, replace(feeding, motion=1.0)) for _ in range(12)]
    assert (frames[-1] - frames[-2]).abs().mean() > 0.05, "no fresh noise"
    assert frames[-1].std() < 3


def test_a_negative_prompt_counts_where_the_tier_has_an_unconditional_branch(tiny):
    def picture(tier, negative):
        return stage(tiny).frame(replace(SEA, guidance=tier, guidance_scale=3.0, negative=negative)).image

    assert not np.array_equal(picture("reference", ""), picture("reference", "fog, people"))
    for tier in ("blend", "semantic"):
        assert np.array_equal(picture(tier, ""), picture(tier, "fog, people"))


def test_the_guidance_scale_costs_no_evaluation_in_the_cheaper_tiers(tiny):
    for tier in (GuidanceTier.BLEND, GuidanceTier.SEMANTIC):
        plain, guided = (stage(tiny).frame(replace(SEA, guidance=tier, guidance_scale=s)) for s in (1.0, 2.0))
        assert (plain.evaluations, guided.evaluations) == (1, 1)
        assert not np.array_equal(plain.image, guided.image)
    pocket = registry.load("pocket")  # it answers with x0: stretched latents would be no guidance
    blend = replace(SEA, guidance=GuidanceTier.BLEND)
    one, other = (stage(pocket).frame(replace(blend, guidance_scale=scale)).image for scale in (1.0, 2.0))
    assert np.array_equal(one, other)


def heard(model, reference_steps, state) -> Frame:
    played = stage(model, reference_steps)
    played.hear(SoundWindow(synthesise("thunder", 9.0, 1), 9 * 44_100, 9.0), state)
    return played.frame(state)


def test_the_reference_sampler_is_plms_with_three_evaluations_however_many_rules_there_are(tiny):
    rules = (Rule("thunder", "lightning"), Rule("rain", "heavy rain"), Rule("birds", "birds in the sky"))
    for state in (SEA, replace(SEA, rules=rules)):
        assert heard(tiny, 5, state).evaluations == (5 + 1) * 3
        assert heard(tiny, 0, replace(state, guidance=GuidanceTier.REFERENCE, steps=2)).evaluations == 2 * 3


@pytest.mark.parametrize("reference_steps", [0, 5])
@pytest.mark.parametrize("asked", [{"audio_scale": 9.0}, {"quantile": 0.5}, {"warmup": 1.0}, {"guidance_scale": 3.0}])
def test_every_strength_of_the_guidance_can_be_asked_for(tiny, reference_steps, asked):
    state = replace(SEA, guidance=GuidanceTier.REFERENCE, steps=2)
    own, other = (heard(tiny, reference_steps, one).image for one in (state, replace(state, **asked)))
    assert not np.array_equal(own, other)


def test_the_reference_sampler_has_the_papers_strengths(tiny):
    paper = replace(SEA, guidance_scale=7.5, audio_scale=5.0, quantile=0.95, warmup=0.2)
    assert np.array_equal(heard(tiny, 5, SEA).image, heard(tiny, 5, paper).image)


def test_a_flow_has_no_reference_sampler(tiny):
    flow = replace(tiny, spec=replace(tiny.spec, schedule="rectified_flow"))
    with pytest.raises(InputError, match="--sampler reference"):
        stage(flow, reference_steps=5)


def test_where_a_show_can_start(thunder, tmp_path, monkeypatch):
    monkeypatch.setenv("TPOS_RECORDINGS", str(tmp_path))
    with pytest.raises(MissingFileError, match=r"absent\.png: no such picture"):
        starting_picture(str(tmp_path / "absent.png"))
    with pytest.raises(MissingFileError, match=r"video\.mp4"):
        starting_picture(str(tmp_path))
    with pytest.raises(MediaError, match="no picture in"):
        read_last_frame(thunder)
