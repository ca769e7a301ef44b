#version 330 core
// One half of the picture, and the same half seen in a mirror along the middle.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform vec2 folds;       // 1 along an axis that is folded, 0 along one that is not
uniform vec2 side;        // -1 keeps the left or upper half, 1 the other

void main() {
    vec2 folded = 0.5 + side * abs(uv - 0.5);
    colour = texture(picture, mix(uv, folded, folds));
}
