#version 330 core
// Warp, glow and colour at the model's own resolution: the costly part of the look on the fewest pixels.
in vec2 uv;
out vec4 colour;

uniform sampler2D near_glow;
uniform sampler2D far_glow;
uniform float glow;
uniform mat3 push;
uniform float lift;

vec2 taken_from(vec2 p);  // where a place is taken from: still.frag.glsl, warp.frag.glsl
vec3 taken(vec2 at);      // the picture there
float here(vec2 p);       // how much of the look a place has: everywhere.frag.glsl, local.frag.glsl

void main() {
    vec2 at = taken_from(uv);
    vec3 c = taken(at);
    vec3 light = glow * (0.6 * texture(near_glow, at).rgb + 0.8 * texture(far_glow, at).rgb);
    vec3 lit = max(push * (1.0 - (1.0 - c) * exp(-light)), 0.0);
    lit *= 1.0 + lift * max(0.0, 1.0 - max(lit.r, max(lit.g, lit.b)));    // value alone: hue and saturation stay
    colour = vec4(clamp(mix(c, lit, here(at)), 0.0, 1.0), 1.0);
}
