#version 330 core
// Upside down: the way of effects in ISF, whose row 0 is the lowest, and back.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;

void main() {
    colour = texture(picture, vec2(uv.x, 1.0 - uv.y));
}
