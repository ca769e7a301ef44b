#version 330 core
// A cheap lens: red is drawn larger and blue smaller than green, about the middle.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform float shift;      // the part of its distance from the middle that a colour moves

void main() {
    vec2 p = uv - 0.5;
    float red = texture(picture, 0.5 + p * (1.0 - shift)).r, blue = texture(picture, 0.5 + p * (1.0 + shift)).b;
    colour = vec4(red, texture(picture, uv).g, blue, 1.0);
}
