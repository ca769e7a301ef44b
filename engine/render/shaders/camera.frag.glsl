#version 330 core
// What the camera sees: the picture shifted, turned and magnified about its middle, and mirrored at its edges. Flying
// never ends: while it is magnified by an octave, itself arrives from the middle outwards, an octave smaller.
in vec2 uv;
out vec4 colour;

uniform float aspect;     // picture width / height
uniform mat2 turn;
uniform float shift;      // to the left, in picture heights
uniform float octaves;    // 0..1; the same picture at both

const float SOFT = 0.6;   // how wide the edge of what arrives is, of the way from the middle to a corner

vec3 there(vec2 p);       // the picture at 0..1: picture.frag.glsl, field/field.frag.glsl

vec3 seen(vec2 away) {
    vec2 p = 0.5 + away / vec2(aspect, 1.0);
    return there(1.0 - abs(mod(p, 2.0) - 1.0));
}

void main() {
    vec2 away = (uv - 0.5) * vec2(aspect, 1.0);
    float far = 2.0 * length(away) / length(vec2(aspect, 1.0));
    away = turn * (away + vec2(shift, 0.0)) / exp2(octaves);
    float arrived = smoothstep(0.0, SOFT, octaves * (1.0 + SOFT) - far);
    vec3 sum = vec3(0.0);
    for (int k = arrived < 1.0 ? 0 : 1; k < (arrived > 0.0 ? 2 : 1); ++k)      // what does not show is not drawn
        sum += (k == 0 ? 1.0 - arrived : arrived) * seen(float(1 + k) * away);
    colour = vec4(clamp(sum, 0.0, 1.0), 1.0);
}
