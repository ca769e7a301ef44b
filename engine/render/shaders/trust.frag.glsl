#version 330 core
// Keeps of a motion estimate what explains the pictures better than standing still does.
in vec2 uv;
out vec4 colour;

uniform sampler2D older;
uniform sampler2D newer;
uniform sampler2D flow;
uniform vec2 cell;
uniform float reach;

const float STILL = 128.0 / 255.0;
const float NOISE = 0.0003;       // squared difference that is no reason to move anything

void main() {
    vec2 move = (texture(flow, uv).xy - STILL) * reach;
    float moved = 0.0, stayed = 0.0;
    for (int y = -1; y <= 1; ++y)
        for (int x = -1; x <= 1; ++x) {
            vec2 at = uv + vec2(x, y) * cell;
            vec3 d = texture(older, at - 0.5 * move).rgb - texture(newer, at + 0.5 * move).rgb;
            vec3 s = texture(older, at).rgb - texture(newer, at).rgb;
            moved += dot(d, d);
            stayed += dot(s, s);
        }
    float gain = 1.0 - (moved + 9.0 * NOISE) / (stayed + 1e-6);
    colour = vec4(STILL + smoothstep(0.15, 0.5, gain) * move / reach, 0.0, 1.0);
}
