#version 330 core
// The model's picture at the size that effects are drawn at.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;

vec3 enlarged(sampler2D picture, vec2 at);    // enlarge.frag.glsl

void main() {
    colour = vec4(clamp(enlarged(picture, uv), 0.0, 1.0), 1.0);
}
