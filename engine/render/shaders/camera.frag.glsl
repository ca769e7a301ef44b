#version 330 core
// What the camera sees: the picture shifted, turned and magnified about its middle, and mirrored at its edges. Flying
// never ends: while it is magnified by an octave, itself arrives from the middle outwards, an octave smaller.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform vec2 texels;
uniform float aspect;     // picture width / height
uniform mat2 turn;
uniform float shift;      // to the left, in picture heights
uniform float octaves;    // 0..1; the same picture at both

const float SOFT = 0.6;   // how wide the edge of what arrives is, of the way from the middle to a corner

vec3 enlarged(sampler2D picture, vec2 texels, vec2 at);     // enlarge.frag.glsl

vec3 seen(vec2 away) {
    vec2 p = 0.5 + away / vec2(aspect, 1.0);
    return enlarged(picture, texels, 1.0 - abs(mod(p, 2.0) - 1.0));
}

void main() {
    vec2 away = (uv - 0.5) * vec2(aspect, 1.0);
    float far = 2.0 * length(away) / length(vec2(aspect, 1.0));
    away = turn * (away + vec2(shift, 0.0)) / exp2(octaves);
    float arrived = smoothstep(0.0, SOFT, octaves * (1.0 + SOFT) - far);
    colour = vec4(clamp(mix(seen(away), seen(2.0 * away), arrived), 0.0, 1.0), 1.0);
}
