#version 330 core
// Sectors around the middle, each the next one's mirror image; what lies outside of the picture is mirrored in.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform float sectors;
uniform float turn;       // radians by which the tube has turned over the picture
uniform float aspect;

const float PI = 3.14159265;

void main() {
    vec2 p = (uv - 0.5) * vec2(aspect, 1.0);
    float sector = 2.0 * PI / sectors;
    float angle = abs(mod(atan(p.x, -p.y), sector) - 0.5 * sector) + turn;
    vec2 from = length(p) * vec2(sin(angle), -cos(angle)) / vec2(aspect, 1.0) + 0.5;
    colour = texture(picture, 1.0 - abs(1.0 - mod(from, 2.0)));
}
