#version 330 core
// Warp, glow and colour at the model's own resolution: the costly part of the look on the fewest pixels.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform sampler2D near_glow;
uniform sampler2D far_glow;
uniform float glow;
uniform mat3 push;
uniform float lift;
uniform float warp;       // largest displacement, in picture heights
uniform float phase;
uniform float aspect;     // picture width / height
uniform vec2 texels;
uniform bool moves;       // whether any place is another's

vec3 enlarged(sampler2D picture, vec2 texels, vec2 at);     // enlarge.frag.glsl
float here(vec2 p);       // how much of the look a place has: everywhere.frag.glsl, local.frag.glsl
vec2 swollen(vec2 p);     // where the zoom of a place takes it from

vec2 warped(vec2 p) {
    vec2 edge = 4.0 * p * (1.0 - p);                  // 0 on the border: nothing is pulled in from outside
    vec2 q = p * vec2(aspect, 1.0) * 6.2832;
    vec2 drift = vec2(sin(0.9 * q.y + phase) + 0.5 * sin(1.7 * q.y - 1.3 * phase + 0.8 * q.x),
                      sin(0.8 * q.x - 0.8 * phase + 1.6) + 0.5 * sin(1.5 * q.x + 1.1 * phase + 0.9 * q.y));
    return mix(p, p + warp * edge.x * edge.y * drift / 1.5 / vec2(aspect, 1.0), here(p));
}

void main() {
    vec2 at = uv;
    vec3 c;
    if (moves) {
        at = warped(swollen(uv));
        c = enlarged(picture, texels, at);
    } else {
        c = texture(picture, at).rgb;
    }
    vec3 light = glow * (0.6 * texture(near_glow, at).rgb + 0.8 * texture(far_glow, at).rgb);
    vec3 lit = max(push * (1.0 - (1.0 - c) * exp(-light)), 0.0);
    lit *= 1.0 + lift * max(0.0, 1.0 - max(lit.r, max(lit.g, lit.b)));    // value alone: hue and saturation stay
    colour = vec4(clamp(mix(c, lit, here(at)), 0.0, 1.0), 1.0);
}
