#version 330 core
// One tap, for a picture that was sharpened for it (sharpen.frag.glsl).

vec3 enlarged(sampler2D picture, vec2 at) {
    return texture(picture, at).rgb;
}
