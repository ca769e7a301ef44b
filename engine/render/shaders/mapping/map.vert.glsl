#version 330 core
// The output's area in small cells of two triangles each, bent by the mesh, then pinned: w makes that exact in between.
out vec2 area;            // 0..1 over the output, row 0 first

uniform vec2 cells;       // columns and rows
uniform sampler2D knots;  // where evenly spaced places go, red and green; of one texel: nowhere else
uniform bool straight;    // between knots bilinear, else Catmull-Rom
uniform mat3 pin;

// The end beyond the last knot goes on as its neighbours do.
vec2 knot(ivec2 at) {
    ivec2 last = textureSize(knots, 0) - 1, inside = clamp(at, ivec2(0), last);
    ivec2 beyond = inside - (at - inside);
    vec2 there = texelFetch(knots, inside, 0).rg;
    if (at == inside) return there;
    if (at.x != inside.x && at.y != inside.y) {
        vec2 a = 2.0 * texelFetch(knots, ivec2(inside.x, inside.y), 0).rg - texelFetch(knots, ivec2(beyond.x, inside.y), 0).rg;
        vec2 b = 2.0 * texelFetch(knots, ivec2(inside.x, beyond.y), 0).rg - texelFetch(knots, beyond, 0).rg;
        return 2.0 * a - b;
    }
    return 2.0 * there - texelFetch(knots, beyond, 0).rg;
}

vec4 weights(float t) {
    if (straight) return vec4(0.0, 1.0 - t, t, 0.0);
    return 0.5 * vec4(t * (-1.0 + t * (2.0 - t)), 2.0 + t * t * (3.0 * t - 5.0),
                      t * (1.0 + t * (4.0 - 3.0 * t)), t * t * (t - 1.0));
}

vec2 bent(vec2 place) {
    ivec2 most = textureSize(knots, 0) - 2;
    if (most.x < 0) return place;
    vec2 at = place * vec2(most + 1);
    ivec2 first = min(ivec2(at), most);
    vec4 x = weights(at.x - float(first.x)), y = weights(at.y - float(first.y));
    vec2 sum = vec2(0.0);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++)
            sum += x[i] * y[j] * knot(first + ivec2(i, j) - 1);
    return sum;
}

void main() {
    int cell = gl_VertexID / 6, corner = gl_VertexID % 6;
    vec2 within = vec2(corner == 1 || corner == 3 || corner == 4, corner == 2 || corner == 4 || corner == 5);
    int columns = int(cells.x);
    area = (vec2(cell % columns, cell / columns) + within) / cells;
    vec3 at = pin * vec3(bent(area), 1.0);
    gl_Position = vec4(2.0 * at.xy - at.z, 0.0, at.z);
}
