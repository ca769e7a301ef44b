#version 330 core
// Catmull-Rom in five bilinear taps (the four corner taps weigh under 1 % and are left out, the rest renormalised),
// exact where a pixel meets a texel.

vec3 enlarged(sampler2D picture, vec2 at) {
    vec2 texels = vec2(textureSize(picture, 0));
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
