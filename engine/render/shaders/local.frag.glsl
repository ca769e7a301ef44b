#version 330 core
// A look that keeps to where the sound is drawn.
uniform sampler2D mask;   // red: there
uniform float local;      // 0: everywhere the same, 1: only there
uniform float swell;      // magnification there, about the picture's middle

float here(vec2 p) {
    return mix(1.0, texture(mask, p).r, local);
}

vec2 swollen(vec2 p) {
    return 0.5 + (p - 0.5) / mix(1.0, swell, texture(mask, p).r);
}
