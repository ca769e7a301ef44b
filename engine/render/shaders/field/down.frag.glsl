#version 330 core
// The smooth fields of z at samples, four a texel: those of LEVELS, one channel beside the other, then the stretched.
out vec4 field;

uniform sampler2D blurred;    // across.frag.glsl
uniform sampler2D matrix;     // as there, for columns

const int BLUR[LEVELS] = LEVEL_BLURS;
const ivec3 STRETCH[STRETCHED] = STRETCHES;       // channel, blur down, blur across

vec4 at_row(int blur, int column, int row) {
    return texelFetch(blurred, ivec2(column, blur * CELLS + row), 0);
}

float summed(ivec3 channel_down_across, ivec2 at) {
    float sum = 0.0;
    for (int k = 0; k < CELLS / 4; ++k) {
        vec4 weights = texelFetch(matrix, ivec2(k, channel_down_across.y * SAMPLES_DOWN + at.y), 0);
        for (int c = 0; c < 4; ++c)
            sum += weights[c] * at_row(channel_down_across.z, at.x, 4 * k + c)[channel_down_across.x];
    }
    return sum;
}

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    int layer = at.y / SAMPLES_DOWN;
    at.y -= layer * SAMPLES_DOWN;
    field = vec4(0.0);
    if (layer < LEVELS) {
        for (int k = 0; k < CELLS / 4; ++k) {
            vec4 weights = texelFetch(matrix, ivec2(k, BLUR[layer] * SAMPLES_DOWN + at.y), 0);
            for (int c = 0; c < 4; ++c)
                field += weights[c] * at_row(BLUR[layer], at.x, 4 * k + c);
        }
    } else {
        for (int j = 0; j < min(4, STRETCHED - 4 * (layer - LEVELS)); ++j)
            field[j] = summed(STRETCH[4 * (layer - LEVELS) + j], at);
    }
}
