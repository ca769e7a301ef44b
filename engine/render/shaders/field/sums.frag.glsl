#version 330 core
// What is linear between samples of the first layers' sums, four rows of them a texel, one four below the other.
out vec4 sum;

layout(std140) uniform Summing { mat4 weights[INPUTS * ROWS]; };
uniform int cells_across;
uniform sampler2D fields;     // down.frag.glsl
uniform sampler2D profiles;   // a row each
uniform sampler2D bias;       // maps on their own grid, four a texel, one four below the other

const float TAU = 6.283185307179586;
const ivec2 GRID = ivec2(GRID_COLUMNS, GRID_ROWS);

vec4 biased(int four, vec2 on) {
    ivec2 first = min(ivec2(on), GRID - 2);
    vec2 share = on - vec2(first);
    first.y += four * GRID.y;
    vec4 above = mix(texelFetch(bias, first, 0), texelFetch(bias, first + ivec2(1, 0), 0), share.x);
    vec4 below = mix(texelFetch(bias, first + ivec2(0, 1), 0), texelFetch(bias, first + 1, 0), share.x);
    return mix(above, below, share.y);
}

vec4 waves(int first, vec2 p) {       // sines and cosines of x, and then of y, each twice as fast as the last
    vec4 wave;
    for (int i = 0; i < 4; ++i) {
        int k = (first + i) % (2 * PERIODS);
        float angle = TAU * p[(first + i) / (2 * PERIODS)] * float(1 << (k / 2));
        wave[i] = k % 2 == 0 ? sin(angle) : cos(angle);
    }
    return wave;
}

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    int row = at.y / SAMPLES_DOWN;
    at.y -= row * SAMPLES_DOWN;
    vec2 cells = vec2(cells_across, CELLS), away = (vec2(at) - 0.5) / float(INTERPOLATED) - 0.5 * cells;
    vec2 on = away * float(GRID.y) / float(CELLS) + 0.5 * vec2(GRID) - 0.5;
    sum = vec4(0.0);
    int k = row;
    for (int j = 0; j < FIELDS; ++j, k += ROWS)
        sum += weights[k] * texelFetch(fields, at + ivec2(0, j * SAMPLES_DOWN), 0);
    for (int j = 0; j < WAVES; ++j, k += ROWS)
        sum += weights[k] * waves(4 * j, away / float(CELLS) + 0.5);
    for (int j = 0; j < BLURS; ++j, k += ROWS)
        sum += weights[k] * texelFetch(profiles, ivec2(at.x, j), 0);
    sum += weights[k] * vec4(2.0 * away / float(CELLS), 0.0, 0.0);
    k += ROWS;
    for (int j = 0; j < BIAS; ++j, k += ROWS)
        sum += weights[k] * biased(j, clamp(on, vec2(0.0), vec2(GRID - 1)));
}
