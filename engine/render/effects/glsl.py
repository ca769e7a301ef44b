"""An effect in ISF as GLSL 3.30 core: what the format promises is put before the user's text, whose lines keep their
numbers; and what a driver says of it, in one line."""

from __future__ import annotations

import re

from engine.core.isf import InputKind, IsfFile

_TYPES = {
    InputKind.EVENT: "bool",
    InputKind.BOOL: "bool",
    InputKind.LONG: "int",
    InputKind.FLOAT: "float",
    InputKind.POINT: "vec2",
    InputKind.COLOUR: "vec4",
}
_BUILT_IN = """
uniform int PASSINDEX;
uniform vec2 RENDERSIZE;
uniform float TIME;
uniform float TIMEDELTA;
uniform vec4 DATE;
uniform int FRAMEINDEX;
#define texture2D texture
#define texture2DLod textureLod
#define vv_FragNormCoord isf_FragNormCoord
#define vv_vertShaderInit isf_vertShaderInit
#define IMG_SIZE(image) vec2(textureSize(image, 0))
#define IMG_NORM_PIXEL(image, place) texture(image, place)
#define IMG_PIXEL(image, place) texture(image, (place) / IMG_SIZE(image))
#define IMG_THIS_NORM_PIXEL(image) texture(image, isf_FragNormCoord)
#define IMG_THIS_PIXEL(image) texture(image, isf_FragNormCoord)
"""
_FRAGMENT = """
#define varying in
#define gl_FragColor isf_FragColor
out vec4 isf_FragColor;
in vec2 isf_FragNormCoord;
"""
_VERTEX = """
#define varying out
#define attribute in
out vec2 isf_FragNormCoord;
void isf_vertShaderInit() {
    isf_FragNormCoord = vec2(gl_VertexID & 1, gl_VertexID >> 1);
    gl_Position = vec4(2.0 * isf_FragNormCoord - 1.0, 0.0, 1.0);
}
"""
_PLAIN = "void main() { isf_vertShaderInit(); }"
_SAID = re.compile(
    r"^\W*(?:ERROR:\s*)?\d+[:(](\d+)\)?(?:\(\d+\))?\s*:\s*(?:error\b)?\s*(?:C\d+)?[:\s]*(.+)$", re.MULTILINE
)


def samplers(file: IsfFile) -> tuple[str, ...]:
    """Every image that the shader can look up, in the order of their units."""
    header = file.header
    inputs = [one.name for one in header.inputs if one.kind.is_image]
    targets = [one.target for one in header.passes if one.target]
    return tuple(dict.fromkeys([*inputs, *(name for name, _ in header.imported), *targets]))


def fragment(file: IsfFile) -> str:
    """The fragment shader."""
    return _whole(file, _FRAGMENT, file.source)


def vertex(file: IsfFile) -> str:
    """The vertex shader: the user's own, else one that covers the picture."""
    return _whole(file, _VERTEX, file.vertex or _PLAIN)


def _whole(file: IsfFile, stage: str, text: str) -> str:
    inputs = [f"uniform {_TYPES[one.kind]} {one.name};\n" for one in file.header.inputs if one.kind in _TYPES]
    images = [f"uniform sampler2D {name};\n" for name in samplers(file)]
    own = re.sub(r"^[ \t]*#[ \t]*version\b", "//", text, flags=re.MULTILINE)
    return f"#version 330 core{_BUILT_IN}{''.join([*inputs, *images])}{stage}#line 1\n{own}\n"


def complaint(log: str) -> tuple[int, str]:
    """The line and the words of the first error in what a driver said; line 1 where it names none."""
    said = next((m for m in _SAID.finditer(log) if "warning" not in m[0].lower()), None)
    if said:
        return int(said[1]), said[2].strip()
    return 1, " ".join(log.split())[:200] or "does not compile"
