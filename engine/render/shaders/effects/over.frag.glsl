#version 330 core
// What an effect in ISF drew, over the picture it was given.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform sampler2D drawn;
uniform float amount;

void main() {
    vec4 over = texture(drawn, uv);
    colour = vec4(mix(texture(picture, uv).rgb, clamp(over.rgb, 0.0, 1.0), amount * clamp(over.a, 0.0, 1.0)), 1.0);
}
