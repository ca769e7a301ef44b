#version 330 core
// Every blur of z along its rows, seen at samples: one of them below the other.
out vec4 blurred;

uniform int cells_across;
uniform sampler2D z;          // a cell's four channels
uniform sampler2D matrix;     // the blurs' rows one below the other, four cells a texel

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    int row = at.y % CELLS, line = at.y / CELLS * (INTERPOLATED * cells_across + 2) + at.x;
    blurred = vec4(0.0);
    for (int k = 0; k < cells_across / 4; ++k) {
        vec4 weights = texelFetch(matrix, ivec2(k, line), 0);
        for (int c = 0; c < 4; ++c)
            blurred += weights[c] * texelFetch(z, ivec2(4 * k + c, row), 0);
    }
}
