#version 330 core
// The picture's place in the output: one triangle, whose uv run over the visible part.
out vec2 uv;
out vec2 place;           // 0..1 over the output, for the grain

uniform vec2 span;        // part of the picture that is visible, 1 = all: "fill" crops and zoom enlarges
uniform float up;         // 1 draws the first row at the top of the target, -1 at its row 0

void main() {
    place = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
    uv = 0.5 + (place - 0.5) * span;
    vec2 corner = place * 2.0 - 1.0;
    gl_Position = vec4(corner.x, -up * corner.y, 0.0, 1.0);
}
