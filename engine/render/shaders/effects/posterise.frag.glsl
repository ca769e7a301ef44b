#version 330 core
// So many levels of each primary, black and full light among them, each for an equal share of the values.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform float levels;

void main() {
    vec3 step = min(floor(texture(picture, uv).rgb * levels), levels - 1.0);
    colour = vec4(step / (levels - 1.0), 1.0);
}
