#version 330 core
// The picture in a lamp's light.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform float light;

void main() {
    colour = vec4(light * texture(picture, uv).rgb, 1.0);
}
