#version 330 core
// Enlarge, grain, fade. Catmull-Rom in five bilinear taps (the four corner taps weigh under 1 % and are left out,
// the rest renormalised), exact where a pixel meets a texel.
in vec2 uv;
in vec2 place;
out vec4 colour;

uniform sampler2D picture;
uniform vec2 texels;
uniform float grain;
uniform float seed;
uniform vec2 grains;      // grain cells over the visible picture
uniform float fade;       // 0 is black, 1 the picture

vec3 catmull_rom(vec2 at) {
    vec2 base = floor(at * texels - 0.5) + 0.5;
    vec2 f = at * texels - base;
    vec2 w0 = f * (-0.5 + f * (1.0 - 0.5 * f));
    vec2 w1 = 1.0 + f * f * (1.5 * f - 2.5);
    vec2 w2 = f * (0.5 + f * (2.0 - 1.5 * f));
    vec2 w3 = f * f * (0.5 * f - 0.5);
    vec2 w12 = w1 + w2;
    vec2 p0 = (base - 1.0) / texels;
    vec2 p12 = (base + w2 / w12) / texels;
    vec2 p3 = (base + 2.0) / texels;
    float centre = w12.x * w12.y, left = w0.x * w12.y, right = w3.x * w12.y, above = w12.x * w0.y, below = w12.x * w3.y;
    vec3 sum = texture(picture, p12).rgb * centre
             + texture(picture, vec2(p0.x, p12.y)).rgb * left + texture(picture, vec2(p3.x, p12.y)).rgb * right
             + texture(picture, vec2(p12.x, p0.y)).rgb * above + texture(picture, vec2(p12.x, p3.y)).rgb * below;
    return sum / (centre + left + right + above + below);
}

float noise(vec2 cell) {
    vec3 p = fract(vec3(cell.xyx) * vec3(0.1031, 0.1030, 0.0973) + seed);
    p += dot(p, p.yzx + 33.33);
    return fract((p.x + p.y) * p.z) - fract((p.y + p.z) * p.x);
}

void main() {
    vec3 c = catmull_rom(uv);
    if (grain > 0.0) {
        float luma = dot(c, vec3(0.2126, 0.7152, 0.0722));
        c += grain * (1.0 - 0.6 * luma) * noise(floor(place * grains));
    }
    colour = vec4(clamp(c, 0.0, 1.0) * fade, 1.0);
}
