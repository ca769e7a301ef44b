#version 330 core
// The picture with straight alpha, the largest of its colours: over black it is what it was.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;

void main() {
    vec3 light = texture(picture, uv).rgb;
    float alpha = max(light.r, max(light.g, light.b));
    colour = vec4(alpha > 0.0 ? light / alpha : vec3(0.0), alpha);
}
