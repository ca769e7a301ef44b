#version 330 core
// What is brighter: the picture, or what is left of the light before, moved on.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform sampler2D before;
uniform float keep;       // the part of the light that is left
uniform mat2 back;        // from a place, seen from the middle, to where its light was before
uniform float aspect;

void main() {
    vec2 was = back * ((uv - 0.5) * vec2(aspect, 1.0)) / vec2(aspect, 1.0) + 0.5;
    colour = vec4(max(texture(picture, uv).rgb, keep * texture(before, was).rgb), 1.0);
}
