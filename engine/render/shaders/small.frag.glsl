#version 330 core
// A small copy of the middle of a picture: the mean of 4 x 4 bilinear taps spread over each cell.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform vec2 cell;        // size of one output pixel in uv
uniform vec2 span;        // part of the picture that is copied, 1 = all

void main() {
    vec3 sum = vec3(0.0);
    for (int y = 0; y < 4; ++y)
        for (int x = 0; x < 4; ++x) {
            vec2 at = uv + (vec2(x, y) - 1.5) * 0.25 * cell;
            sum += texture(picture, 0.5 + (at - 0.5) * span).rgb;
        }
    colour = vec4(sum / 16.0, 1.0);
}
