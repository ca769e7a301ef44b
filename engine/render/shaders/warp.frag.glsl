#version 330 core
// A look that moves places: warped, and swollen where it is local.
uniform sampler2D picture;
uniform float warp;       // largest displacement, in picture heights
uniform float phase;
uniform float aspect;     // picture width / height

vec3 enlarged(sampler2D picture, vec2 at);    // enlarge.frag.glsl
float here(vec2 p);       // how much of the look a place has: everywhere.frag.glsl, local.frag.glsl
vec2 swollen(vec2 p);     // where the zoom of a place takes it from

vec2 taken_from(vec2 uv) {
    vec2 p = swollen(uv);
    vec2 edge = 4.0 * p * (1.0 - p);                  // 0 on the border: nothing is pulled in from outside
    vec2 q = p * vec2(aspect, 1.0) * 6.2832;
    vec2 drift = vec2(sin(0.9 * q.y + phase) + 0.5 * sin(1.7 * q.y - 1.3 * phase + 0.8 * q.x),
                      sin(0.8 * q.x - 0.8 * phase + 1.6) + 0.5 * sin(1.5 * q.x + 1.1 * phase + 0.9 * q.y));
    return mix(p, p + warp * edge.x * edge.y * drift / 1.5 / vec2(aspect, 1.0), here(p));
}

vec3 taken(vec2 at) {
    return enlarged(picture, at);
}
