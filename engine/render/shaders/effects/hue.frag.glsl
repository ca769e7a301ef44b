#version 330 core
// Colours turned about the grey axis.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform mat3 turned;

void main() {
    colour = vec4(clamp(turned * texture(picture, uv).rgb, 0.0, 1.0), 1.0);
}
