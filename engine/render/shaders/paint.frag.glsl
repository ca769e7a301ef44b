#version 330 core
// Enlarge, grain, fade.
in vec2 uv;
in vec2 place;
out vec4 colour;

uniform sampler2D picture;
uniform float grain;
uniform float seed;
uniform vec2 grains;      // grain cells over the visible picture
uniform float fade;       // 0 is black, 1 the picture

vec3 enlarged(sampler2D picture, vec2 at);    // enlarge.frag.glsl, bilinear.frag.glsl

float noise(vec2 cell) {
    vec3 p = fract(vec3(cell.xyx) * vec3(0.1031, 0.1030, 0.0973) + seed);
    p += dot(p, p.yzx + 33.33);
    return fract((p.x + p.y) * p.z) - fract((p.y + p.z) * p.x);
}

void main() {
    vec3 c = enlarged(picture, uv);
    if (grain > 0.0) {
        float luma = dot(c, vec3(0.2126, 0.7152, 0.0722));
        c += grain * (1.0 - 0.6 * luma) * noise(floor(place * grains));
    }
    colour = vec4(clamp(c, 0.0, 1.0) * fade, 1.0);
}
