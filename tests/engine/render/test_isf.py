"""Users' effects in ISF, in pixels: what the format promises, the examples, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from render_scenes import CONTEXT, LOUD, STILL, flat, frame, picture

from engine.control import isf_files
from engine.core.isf import InputKind, IsfLayer, Values
from engine.core.messages import SILENCE, AudioFeatures
from engine.core.sound_shape import SoundShape
from engine.render.effects.glsl import complaint
from engine.render.renderer import Renderer
from tpos_models.errors import InputError

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "isf").glob("*/*.fs"))
IMAGE = '{"NAME": "inputImage", "TYPE": "image"}'
NUMBERS = np.arange(1024) / 44_100
WAVE = (0.5 * np.sin(2 * np.pi * 1000 * NUMBERS)).astype(np.float32)
TONE = SoundShape(WAVE, np.abs(np.fft.rfft(WAVE * np.hanning(1025)[:-1])).astype(np.float32) * 2 / 1024)
HEARD = replace(LOUD, shape=TONE)


def effect(folder: Path, body: str, inputs: str = "", rest: str = "", name: str = "own") -> IsfLayer:
    """One written by the test, read as a user's."""
    path = folder / f"{name}.fs"
    path.write_text(f'/*{{ "ISFVSN": "2", "INPUTS": [{inputs}] {rest} }}*/\n{body}\n')
    return IsfLayer(isf_files.read(path))


def film(
    layers: Sequence[tuple[IsfLayer, ...]],
    image: np.ndarray | None = None,
    features: AudioFeatures = HEARD,
    rate_hz: float = 10.0,
    images: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """A picture for each tuple of layers, one after the other, of an image, or of several."""
    shown = images or [picture() if image is None else image]
    renderer = Renderer(CONTEXT, shown[0].shape[1::-1])
    drawn = []
    for k, now in enumerate(layers):
        renderer.show(frame(shown[min(k, len(shown) - 1)], k, k / rate_hz))
        redrawn = renderer.redraw(lambda: features, replace(STILL, isf=now), k / rate_hz)
        assert redrawn.trouble == ""
        drawn.append(renderer.read().astype(int))
    return np.stack(drawn)


def one(layer: IsfLayer, image: np.ndarray | None = None, features: AudioFeatures = HEARD) -> np.ndarray:
    return film([(layer,)], image, features)[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_plays_and_is_seen(path: Path):
    layer = IsfLayer(isf_files.read(path))
    images = [np.roll(picture(), 3 * k, 1) for k in range(6)]
    drawn = film([(layer,)] * 6, images=images)
    assert np.abs(drawn[-1] - images[-1]).max() > 8
    assert drawn[-1].std() > 1.0
    off = film([(replace(layer, mix=0.0),)] * 2, images=images)
    assert np.array_equal(off[-1], images[1])


def test_there_are_twenty_and_they_use_every_kind_of_input():
    assert len(EXAMPLES) >= 20
    used = {one.kind for path in EXAMPLES for one in isf_files.read(path).header.inputs}
    assert used == set(InputKind)


@pytest.mark.parametrize(
    "read",
    [
        "IMG_THIS_PIXEL(inputImage)",
        "IMG_THIS_NORM_PIXEL(inputImage)",
        "IMG_NORM_PIXEL(inputImage, isf_FragNormCoord)",
        "IMG_PIXEL(inputImage, gl_FragCoord.xy)",
        "texture2D(inputImage, gl_FragCoord.xy / RENDERSIZE)",
        "texture2D(inputImage, gl_FragCoord.xy / IMG_SIZE(inputImage))",
    ],
)
def test_every_way_to_look_at_the_picture_finds_it(tmp_path, read):
    layer = effect(tmp_path, f"void main() {{ gl_FragColor = {read}; }}", IMAGE)
    assert np.array_equal(one(layer), picture())


@pytest.mark.parametrize("place", ["isf_FragNormCoord", "gl_FragCoord.xy / RENDERSIZE"])
def test_its_origin_is_at_the_lower_left(tmp_path, place):
    drawn = one(effect(tmp_path, f"void main() {{ gl_FragColor = vec4({place}, 0.0, 1.0); }}"))
    x, y = (np.arange(128) + 0.5) / 128, (np.arange(72)[::-1] + 0.5) / 72
    assert np.abs(drawn[..., 0] - 255 * x[None]).max() <= 1
    assert np.abs(drawn[..., 1] - 255 * y[:, None]).max() <= 1


@pytest.mark.parametrize(
    ("kind", "value", "glsl", "seen"),
    [
        ("float", (0.25,), "vec3(given)", (64, 64, 64)),
        ("bool", (1.0,), "vec3(given ? 0.2 : 0.8)", (51, 51, 51)),
        ("long", (3.0,), "vec3(float(given) / 5.0)", (153, 153, 153)),
        ("point2D", (0.2, 0.6), "vec3(given, 1.0)", (51, 153, 255)),
        ("color", (0.2, 0.4, 0.6, 1.0), "given.rgb", (51, 102, 153)),
    ],
)
def test_an_input_s_value_reaches_the_shader(tmp_path, kind, value: Values, glsl, seen):
    layer = effect(
        tmp_path, f"void main() {{ gl_FragColor = vec4({glsl}, 1.0); }}", f'{{"NAME": "given", "TYPE": "{kind}"}}'
    )
    drawn = one(layer.with_value("given", value))
    assert np.abs(drawn - seen).max() <= 1


def test_an_event_is_true_in_the_one_redraw_after_it_happened(tmp_path):
    layer = effect(tmp_path, "void main() { gl_FragColor = vec4(vec3(go), 1.0); }", '{"NAME": "go", "TYPE": "event"}')
    counts = [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 0.0]
    drawn = film([(layer.with_value("go", (count,)),) for count in counts])
    assert [int(image.max()) for image in drawn] == [0, 0, 255, 0, 255, 0, 0]


def test_time_counts_from_its_first_picture(tmp_path):
    body = "void main() { gl_FragColor = vec4(TIME, TIMEDELTA, float(FRAMEINDEX) / 10.0, 1.0); }"
    drawn = film([(), (), *[(effect(tmp_path, body),)] * 4])[2:, 0, 0]
    assert drawn == pytest.approx(255 * np.array([[0, 0, 0], [0.1, 0.1, 0.1], [0.2, 0.1, 0.2], [0.3, 0.1, 0.3]]), abs=1)


def test_what_a_persistent_buffer_holds_is_there_in_the_next_picture(tmp_path):
    """Each redraw adds 0.001, less than half a code value: only a buffer of floats counts them."""
    body = """void main() {
        if (PASSINDEX == 0) gl_FragColor = vec4(IMG_THIS_PIXEL(sum).rgb + 0.001, 1.0);
        else gl_FragColor = vec4(100.0 * IMG_THIS_PIXEL(sum).rgb / 5.0, 1.0);
    }"""
    passes = ', "PASSES": [{"TARGET": "sum", "PERSISTENT": true, "FLOAT": true}, {}]'
    drawn = film([(effect(tmp_path, body, rest=passes),)] * 12)[:, 0, 0, 0]
    assert drawn == pytest.approx(np.arange(1, 13) * 0.02 * 255, abs=1)


def test_a_buffer_is_as_large_as_its_expression_says(tmp_path):
    body = """void main() {
        if (PASSINDEX == 0) gl_FragColor = vec4(RENDERSIZE / 255.0, 0.0, 1.0);
        else gl_FragColor = vec4(IMG_THIS_PIXEL(small).rg, IMG_SIZE(small).x / 255.0, 1.0);
    }"""
    passes = ', "PASSES": [{"TARGET": "small", "WIDTH": "floor($WIDTH*$part)", "HEIGHT": "max(5, $HEIGHT/100.0)"}, {}]'
    layer = effect(tmp_path, body, '{"NAME": "part", "TYPE": "float", "DEFAULT": 0.25}', passes)
    drawn = film([(layer,), (layer.with_value("part", (0.5,)),)])[:, 0, 0]
    assert drawn.tolist() == [[32, 5, 32], [64, 5, 64]]


def test_the_last_pass_may_have_a_buffer_of_its_own(tmp_path):
    layer = effect(tmp_path, "void main() { gl_FragColor = vec4(0.2); }", rest=', "PASSES": [{"TARGET": "all"}]')
    assert np.abs(one(layer, flat(0)) - 51 * 0.2).max() <= 1, "a fifth opaque, over black"


def test_what_is_drawn_lies_over_the_picture_and_a_filter_takes_its_place(tmp_path):
    half = "void main() { gl_FragColor = vec4(1.0, 0.0, 0.0, isf_FragNormCoord.x < 0.5 ? 1.0 : 0.0); }"
    drawn = one(effect(tmp_path, half), flat(100))
    assert drawn[0, 0].tolist() == [255, 0, 0]
    assert drawn[0, -1].tolist() == [100, 100, 100]
    assert one(effect(tmp_path, half, IMAGE), flat(100))[0, -1].tolist() == [0, 0, 0]
    assert one(replace(effect(tmp_path, half), mix=0.5), flat(100))[0, 0].tolist() == pytest.approx(
        [178, 50, 50], abs=1
    )


def test_effects_follow_each_other_in_their_order(tmp_path):
    add = effect(tmp_path, "void main() { gl_FragColor = IMG_THIS_PIXEL(inputImage) + 0.2; }", IMAGE, name="add")
    double = effect(tmp_path, "void main() { gl_FragColor = IMG_THIS_PIXEL(inputImage) * 2.0; }", IMAGE, name="double")
    drawn = film([(add, double), (double, add)], flat(50))[:, 0, 0, 0]
    assert drawn.tolist() == pytest.approx([2 * (50 + 51), 2 * 50 + 51], abs=1)


def test_the_wave_is_drawn_around_a_half(tmp_path):
    body = "void main() { gl_FragColor = vec4(IMG_NORM_PIXEL(sound, vec2(isf_FragNormCoord.x, 0.5)).rgb, 1.0); }"
    drawn = one(effect(tmp_path, body, '{"NAME": "sound", "TYPE": "audio"}'), flat(0, 4, 1024))
    assert np.abs(drawn[0, :, 0] - 255 * (0.5 + 0.5 * WAVE)).max() <= 1
    drawn = one(effect(tmp_path, body, '{"NAME": "sound", "TYPE": "audio", "MAX": 1}'), flat(0, 4, 16))
    assert np.abs(np.abs(drawn - 127.5) - 255 * 0.25).max() <= 1.5, "the peak of a sine of 0.5"


def test_the_spectrum_peaks_where_the_tone_is(tmp_path):
    body = "void main() { gl_FragColor = vec4(IMG_NORM_PIXEL(tones, vec2(isf_FragNormCoord.x, 0.5)).rgb, 1.0); }"
    drawn = one(effect(tmp_path, body, '{"NAME": "tones", "TYPE": "audioFFT"}'), flat(0, 4, 512))[0, :, 0]
    assert (drawn.argmax() + 0.5) / 512 * 22_050 == pytest.approx(1000, abs=45)
    assert drawn.max() == pytest.approx(255 * (1 - 6.02 / 80), abs=6), "half of full scale is 6 dB less"
    quiet = one(effect(tmp_path, body, '{"NAME": "tones", "TYPE": "audioFFT"}'), flat(0, 4, 512), SILENCE)
    assert quiet.max() == 0


def test_an_imported_picture_stands_upright(tmp_path):
    image = picture(36, 64)
    Image.fromarray(image).save(tmp_path / "own.png")
    body = "void main() { gl_FragColor = vec4(IMG_NORM_PIXEL(own, isf_FragNormCoord).rgb, 1.0); }"
    layer = effect(tmp_path, body, rest=', "IMPORTED": {"own": {"PATH": "own.png"}}')
    assert np.array_equal(one(layer, flat(0)), image)


def test_a_vertex_shader_hands_on_what_varies(tmp_path):
    vertex = "varying vec2 twice;\nvoid main() { isf_vertShaderInit(); twice = 0.5 * isf_FragNormCoord; }"
    (tmp_path / "own.vs").write_text(vertex)
    layer = effect(tmp_path, "varying vec2 twice;\nvoid main() { gl_FragColor = vec4(twice, 0.0, 1.0); }")
    drawn = one(layer, flat(0))
    assert drawn[0, -1].tolist() == pytest.approx([127, 126, 0], abs=2)


def test_a_version_of_the_user_s_own_is_no_trouble(tmp_path):
    body = "#version 120\n#ifdef GL_ES\nprecision mediump float;\n#endif\nvoid main() { gl_FragColor = vec4(1.0); }"
    assert one(effect(tmp_path, body), flat(0)).min() == 255


def write(folder: Path, text: str, vertex: str = "") -> Path:
    (folder / "own.fs").write_text(text)
    if vertex:
        (folder / "own.vs").write_text(vertex)
    return folder / "own.fs"


HEAD = '/*{ "INPUTS": [\n  %s\n] }*/\n'
DONE = "void main() { gl_FragColor = vec4(1.0); }\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("void main() {}\n", 1, "no header"),
        ('/*{\n"INPUTS": [\n{ "NAME": "a", "TYPE": "float", }\n]}*/\n' + DONE, 3, "not valid JSON"),
        ("/*[1]*/\n" + DONE, 1, "no JSON object"),
        (HEAD % '{"NAME": "a", "TYPE": "vec9"}' + DONE, 2, "TYPE = 'vec9'; accepted: event, bool"),
        (HEAD % '{"NAME": "2 fast", "TYPE": "float"}' + DONE, 2, "NAME = '2 fast'; accepted"),
        (HEAD % '{"NAME": "a", "TYPE": "bool"}, {"NAME": "a", "TYPE": "float"}' + DONE, 2, "two things are called 'a'"),
        (HEAD % '{"NAME": "a", "TYPE": "float", "MIN": 2, "MAX": 1}' + DONE, 2, "MIN is above MAX"),
        (HEAD % '{"NAME": "a", "TYPE": "color", "DEFAULT": [1, 0]}' + DONE, 2, "DEFAULT = [1, 0]"),
        (
            HEAD % '{"NAME": "a", "TYPE": "long", "VALUES": [1, 2], "LABELS": ["one"]}' + DONE,
            2,
            "2 VALUES and 1 LABELS",
        ),
        ('/*{ "PASSES": [\n{"TARGET": "b",\n"WIDTH": "$WIDTH/$zoom"}] }*/\n' + DONE, 3, "$zoom; accepted: $HEIGHT"),
        ('/*{ "PASSES": [\n{"WIDTH": "__import__(1)"}] }*/\n' + DONE, 2, "a function; accepted: floor"),
        ('/*{ "PERSISTENT_BUFFERS": ["b"] }*/\n' + DONE, 1, "accepted: PERSISTENT in PASSES"),
        ('/*{ "IMPORTED": {\n"p": "x.png"} }*/\n' + DONE, 2, "IMPORTED p; accepted"),
        ("/*{}*/\nvoid main() {\n    gl_FragColor = vec4(wrong);\n}\n", 3, "wrong"),
        ("/*{}*/\nvoid main() {\n    gl_FragColor = vec4(1.0)\n}\n", 4, "syntax error"),
        (HEAD % '{"NAME": "a", "TYPE": "float"}' + "uniform vec2 a;\n" + DONE, 4, "a"),
    ],
)
def test_what_is_broken_is_refused_in_a_line_and_the_show_goes_on(tmp_path, text, line, words):
    renderer, image = Renderer(CONTEXT, (128, 72)), picture()
    renderer.show(frame(image))
    path = write(tmp_path, text)
    try:
        layer = IsfLayer(isf_files.read(path))
    except InputError as error:
        said = str(error)
    else:
        said = renderer.redraw(lambda: SILENCE, replace(STILL, isf=(layer,)), 0.0).trouble
        assert np.array_equal(renderer.read(), image)
        assert renderer.redraw(lambda: SILENCE, replace(STILL, isf=(layer,)), 0.1).trouble == "", "said once"
    assert said.startswith(f"{path}, line {line}: ")
    assert words in said
    assert "accepted" in said
    assert "\n" not in said


def test_of_two_that_are_broken_both_are_said_in_one_line(tmp_path):
    renderer = Renderer(CONTEXT, (16, 16))
    renderer.show(frame(flat(9, 16, 16)))
    broken = tuple(effect(tmp_path, "void main() { wrong; }", name=name) for name in ("one", "other"))
    said = renderer.redraw(lambda: SILENCE, replace(STILL, isf=broken), 0.0).trouble
    assert "one.fs, line 2" in said
    assert "other.fs, line 2" in said
    assert "\n" not in said


def test_an_error_in_the_vertex_shader_names_its_own_file_and_line(tmp_path):
    path = write(tmp_path, "/*{}*/\n" + DONE, "void main() {\n    isf_vertShaderInit();\n    nothing();\n}\n")
    renderer = Renderer(CONTEXT, (16, 16))
    renderer.show(frame(flat(9, 16, 16)))
    said = renderer.redraw(lambda: SILENCE, replace(STILL, isf=(IsfLayer(isf_files.read(path)),)), 0.0).trouble
    assert said.startswith(f"{tmp_path / 'own.vs'}, line 3: ")
    assert "nothing" in said


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"no picture", "p.png: no picture; accepted: PNG")]
)
def test_an_imported_picture_that_is_none_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "p.png").write_bytes(content)
    with pytest.raises(InputError) as error:
        isf_files.read(write(tmp_path, '/*{ "IMPORTED": {"p": {"PATH": "p.png"}} }*/\n' + DONE))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_an_imported_picture_that_is_cut_short_is_refused_where_it_is_drawn(tmp_path):
    whole = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)).save(whole)
    file = isf_files.read(write(tmp_path, '/*{ "IMPORTED": {"p": {"PATH": "p.png"}} }*/\n' + DONE))
    layer = IsfLayer(replace(file, images=(("p", whole.read_bytes()[:900]),)))
    renderer = Renderer(CONTEXT, (16, 16))
    renderer.show(frame(flat(9, 16, 16)))
    assert "IMPORTED p is no picture" in renderer.redraw(lambda: SILENCE, replace(STILL, isf=(layer,)), 0.0).trouble


def test_of_a_broken_edit_the_last_good_version_goes_on(tmp_path):
    body = "void main() { gl_FragColor = vec4(vec3(%s), 1.0); }"
    good = effect(tmp_path, body % "0.2")
    renderer = Renderer(CONTEXT, (16, 16))
    renderer.show(frame(flat(9, 16, 16)))

    def drawn(layer: IsfLayer, now_s: float) -> tuple[int, str]:
        trouble = renderer.redraw(lambda: SILENCE, replace(STILL, isf=(layer,)), now_s).trouble
        return int(renderer.read()[0, 0, 0]), trouble

    assert drawn(good, 0.0) == (51, "")
    level, trouble = drawn(good.of(effect(tmp_path, body % "wrong").file), 0.1)
    assert level == 51
    assert "wrong" in trouble
    assert drawn(good.of(effect(tmp_path, body % "0.6").file), 0.2) == (153, "")


@pytest.mark.parametrize(
    ("log", "line", "words"),
    [
        ("0:12(5): error: `foo' undeclared\n0:13(1): error: type mismatch\n", 12, "`foo' undeclared"),
        ("0:2(1): warning: `b' used uninitialized\n0:7(3): error: syntax error", 7, "syntax error"),
        ('0(21) : error C1008: undefined variable "foo"\n', 21, 'undefined variable "foo"'),
        (
            "ERROR: 0:33: 'foo' : undeclared identifier \nERROR: 1 compilation errors.",
            33,
            "'foo' : undeclared identifier",
        ),
        ("something else\nentirely", 1, "something else entirely"),
    ],
    ids=["Mesa", "a warning before", "NVIDIA", "Intel and Apple", "unknown"],
)
def test_what_drivers_say_is_read(log, line, words):
    assert complaint(log) == (line, words)
