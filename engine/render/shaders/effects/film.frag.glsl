#version 330 core
// A worn print in an old projector; everything about it changes from one of its frames to the next.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform float amount;
uniform float frame;      // number of the film's frame, whole
uniform float aspect;

float chance(float which) {
    return fract(sin(dot(vec2(frame, which), vec2(12.9898, 78.233))) * 43758.5453);
}

void main() {
    vec2 weave = 0.004 * (vec2(chance(1.0), chance(2.0)) - 0.5);
    vec3 c = texture(picture, uv + amount * weave).rgb;
    vec3 faded = mix(vec3(dot(c, vec3(0.2126, 0.7152, 0.0722))), c, 0.6) * vec3(1.03, 0.97, 0.83) + vec3(0.03, 0.02, 0.0);
    vec2 p = uv - 0.5;
    float light = (0.94 + 0.12 * chance(3.0)) * (1.0 - 1.1 * dot(p, p));
    float scratched = floor(frame / 9.0);              // a scratch runs through a few frames
    float scratch = fract(sin(scratched * 91.17) * 437.5) + 0.004 * chance(4.0);
    light += 0.25 * smoothstep(0.0016, 0.0004, abs(uv.x - scratch)) * step(0.5, fract(scratched * 0.618));
    for (float k = 0.0; k < 5.0; ++k) {
        vec2 at = vec2(chance(10.0 + k), chance(20.0 + k));
        float size = 0.002 + 0.006 * chance(30.0 + k) * chance(40.0 + k);
        light -= 0.7 * smoothstep(size, 0.5 * size, length((uv - at) * vec2(aspect, 1.0)));
    }
    colour = vec4(clamp(mix(c, faded * light, amount), 0.0, 1.0), 1.0);
}
