#version 330 core
// What an effect in ISF drew: over the picture, or in its place where the effect is a filter of it.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform sampler2D drawn;
uniform float amount;
uniform bool replaces;

void main() {
    vec3 under = texture(picture, uv).rgb;
    vec4 over = clamp(texture(drawn, uv), 0.0, 1.0);
    colour = vec4(mix(under, mix(replaces ? vec3(0.0) : under, over.rgb, over.a), amount), 1.0);
}
