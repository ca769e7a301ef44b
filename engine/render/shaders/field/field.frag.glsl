#version 330 core
// What the camera looks at where a field is drawn: what is shared of the first layers' sums, what only this place is
// asked, and the rest of the network (hypernetwork.py). Loops over inputs have bounds that no compiler knows, so that
// none unrolls all of it; those over outputs have bounds that it does, so that sums stay in registers.
layout(std140) uniform Drawing { mat4 w[MATRICES]; vec4 b[OFFSETS]; };
uniform sampler2D sums;       // sums.frag.glsl
uniform sampler2D cells;      // the same in all of a cell
uniform float aspect;         // picture width / height
uniform int cells_across;
uniform int given_fours;      // GIVEN
uniform int hidden_layers;    // 2
uniform int hidden_fours;     // HIDDEN
uniform int own_fours;        // OWN + GEOMETRY
uniform int own_hidden_fours; // OWN_HIDDEN
uniform int conditions;

const float BLOCK[BLOCKS] = BLOCK_CELLS, ANGLE[ANGLES] = ANGULAR_FREQUENCIES;
const int HIDDEN_LAYERS = GIVEN * ROWS, FINAL = HIDDEN_LAYERS + 2 * HIDDEN * HIDDEN;
const int OWNS = FINAL + HIDDEN * LAST, OWN_OFFSET = 2 * HIDDEN + LAST;
const int OWN_THIRD = (OWN + GEOMETRY) * OWN_HIDDEN, OWN_COLOURS = OWN_THIRD + OWN_HIDDEN * OWN_ALPHAS;
const float BORDER = 1e-4;    // cells; what rounding leaves before one lies in it

struct Place {
    ivec2 corner;             // above and to the left
    vec2 share;               // of the way to the next
    ivec2 cell;
};

vec4 silu(vec4 x) {
    return x / (1.0 + exp(-x));
}

vec4 sigmoid(vec4 x) {
    return 1.0 / (1.0 + exp(-x));
}

vec4 outline(vec4 x) {        // a tanh that no driver lets overflow
    return tanh(clamp(x, -12.0, 12.0));
}

vec4 sin_tanh(vec4 x, int four, int waves) {
    if (4 * four + 4 <= waves) return sin(x);
    if (4 * four >= waves) return outline(x);
    return mix(outline(x), sin(x), lessThan(4 * four + ivec4(0, 1, 2, 3), ivec4(waves)));
}

vec4 shared_sum(int row, Place at) {
    ivec2 first = at.corner + ivec2(0, row * SAMPLES_DOWN);
    vec4 above = mix(texelFetch(sums, first, 0), texelFetch(sums, first + ivec2(1, 0), 0), at.share.x);
    vec4 below = mix(texelFetch(sums, first + ivec2(0, 1), 0), texelFetch(sums, first + 1, 0), at.share.x);
    return mix(above, below, at.share.y) + texelFetch(cells, at.cell + ivec2(0, row * CELLS), 0);
}

void ask(vec2 p, out vec4 given[GIVEN]) {     // p: picture heights from the square's corner
    float asked[4 * GIVEN];
    int n = 0;
    for (int k = 0; k < BLOCKS; ++k)
        asked[n++] = 2.0 * length(2.0 * fract(p * float(CELLS) / BLOCK[k]) - 1.0) - 1.0;
    vec2 away = p - 0.5;
    float nearness = 1.0 / (abs(p.y - HORIZON) + NEAREST);
    asked[n++] = away.x * nearness;
    asked[n++] = 0.25 * nearness - 1.0;
    asked[n++] = 2.0 * atan(away.x, away.y + BEYOND);
    asked[n++] = 2.0 * atan(away.x, BEYOND - away.y);
    asked[n++] = 8.0 * away.x * away.y;
    float radius = length(away), angle = radius > 0.0 ? atan(away.y, away.x) : 0.0;
    asked[n++] = 4.0 * radius - 1.0;
    asked[n++] = log(max(radius, 0.02)) + 1.0;
    for (int k = 0; k < ANGLES; ++k) {
        asked[n++] = sin(ANGLE[k] * angle);
        asked[n++] = cos(ANGLE[k] * angle);
    }
    while (n < 4 * GIVEN) asked[n++] = 0.0;
    for (int k = 0; k < GIVEN; ++k)
        given[k] = vec4(asked[4 * k], asked[4 * k + 1], asked[4 * k + 2], asked[4 * k + 3]);
}

vec3 over(vec3 picture, int k, Place at, vec4 given[GIVEN], vec4 geometry[GEOMETRY]) {    // condition k
    vec4 x[OWN + GEOMETRY], y[OWN_HIDDEN], alphas[OWN_ALPHAS], first[OWN];
    int row = HIDDEN + k * OWN, matrix = OWNS + k * OWN_MATRICES, offset = OWN_OFFSET + k * OWN_OFFSETS;
    for (int i = 0; i < OWN; ++i) first[i] = shared_sum(row + i, at);
    for (int j = 0; j < given_fours; ++j)
        for (int i = 0; i < OWN; ++i) first[i] += w[j * ROWS + row + i] * given[j];
    for (int i = 0; i < OWN; ++i) x[i] = sin_tanh(first[i], i, OWN_WAVE_ROWS);
    for (int i = 0; i < GEOMETRY; ++i) x[OWN + i] = geometry[i];
    for (int i = 0; i < OWN_HIDDEN; ++i) y[i] = b[offset + i];
    for (int j = 0; j < own_fours; ++j)
        for (int i = 0; i < OWN_HIDDEN; ++i) y[i] += w[matrix + j * OWN_HIDDEN + i] * x[j];
    for (int i = 0; i < OWN_ALPHAS; ++i) alphas[i] = b[offset + OWN_HIDDEN + i];
    for (int j = 0; j < own_hidden_fours; ++j)
        for (int i = 0; i < OWN_ALPHAS; ++i) alphas[i] += w[matrix + OWN_THIRD + j * OWN_ALPHAS + i] * silu(y[j]);
    mat4 grade = w[matrix + OWN_COLOURS + OWN_ALPHAS];
    picture = (grade * vec4(picture, 1.0)).rgb;
    for (int i = 0; i < OWN_LAYERS; ++i) {
        float alpha = sigmoid(4.0 * alphas[i / 4])[i % 4] * grade[3][3];
        picture = mix(picture, w[matrix + OWN_COLOURS + i / 4][i % 4].rgb, alpha);
    }
    return picture;
}

vec3 there(vec2 at_uv) {
    vec2 p = vec2((at_uv.x - 0.5) * aspect + 0.5, at_uv.y);
    vec2 cell = (p - 0.5) * float(CELLS) + 0.5 * vec2(cells_across, CELLS), sampled = cell * float(INTERPOLATED) + 0.5;
    Place at;
    at.corner = ivec2(sampled);
    at.share = sampled - vec2(at.corner);
    at.cell = min(ivec2(cell + BORDER), ivec2(cells_across, CELLS) - 1);
    vec4 given[GIVEN], x[HIDDEN], sum[HIDDEN], kept[HIDDEN], last[LAST], geometry[GEOMETRY];
    ask(p, given);
    for (int i = 0; i < HIDDEN; ++i) sum[i] = shared_sum(i, at);
    for (int j = 0; j < given_fours; ++j)
        for (int i = 0; i < HIDDEN; ++i) sum[i] += w[j * ROWS + i] * given[j];
    for (int i = 0; i < HIDDEN; ++i) x[i] = sin_tanh(sum[i], i, WAVE_ROWS);
    for (int i = 0; i < HIDDEN; ++i) kept[i] = vec4(0.0);
    for (int layer = 0; layer < hidden_layers; ++layer) {     // the second, and the third, which adds to it
        for (int i = 0; i < HIDDEN; ++i) sum[i] = b[layer * HIDDEN + i];
        for (int j = 0; j < hidden_fours; ++j)
            for (int i = 0; i < HIDDEN; ++i) sum[i] += w[HIDDEN_LAYERS + (layer * HIDDEN + j) * HIDDEN + i] * x[j];
        for (int i = 0; i < HIDDEN; ++i) x[i] = kept[i] += silu(sum[i]);
    }
    for (int i = 0; i < LAST; ++i) last[i] = b[2 * HIDDEN + i];
    for (int j = 0; j < hidden_fours; ++j)
        for (int i = 0; i < LAST; ++i) last[i] += w[FINAL + j * LAST + i] * x[j];
    vec3 picture = last[0].rgb;
    for (int i = 1; i <= LAYERS; ++i) picture = mix(picture, last[i].rgb, sigmoid(4.0 * last[i].aaaa).a);
    for (int i = 0; i < GEOMETRY; ++i) geometry[i] = outline(last[1 + LAYERS + i]);
    for (int k = 0; k < conditions; ++k) picture = over(picture, k, at, given, geometry);
    return clamp(0.5 * (w[MATRICES - 1] * vec4(picture, 1.0)).rgb + 0.5, 0.0, 1.0);
}
