#version 330 core
// Round dots of cyan, magenta and yellow on white, each ink in a grid of its own: an ink covers as much of the paper as
// its colour is missing. Beyond a half the paper is left in round dots, between those of the ink.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform float amount;
uniform float dots;       // from top to bottom
uniform float rows;       // pixels from top to bottom
uniform float aspect;

const vec3 ANGLES = vec3(0.2618, 1.3090, 0.0);    // 15, 75 and 0 degrees, the printer's

float paper(float light, float angle) {
    float c = cos(angle), s = sin(angle);
    vec2 at = mat2(c, s, -s, c) * (uv * vec2(aspect, 1.0) * dots);
    bool is_dark = light < 0.5;
    float area = is_dark ? light : 1.0 - light;
    float radius = sqrt(area / 3.14159265) * rows / dots, far = length(fract(is_dark ? at + 0.5 : at) - 0.5) * rows / dots;
    float inside = clamp(radius - far + 0.5, 0.0, 1.0) * min(2.0 * radius, 1.0);     // a dot of no size is none
    return is_dark ? inside : 1.0 - inside;
}

void main() {
    vec3 c = texture(picture, uv).rgb;
    vec3 print = vec3(paper(c.r, ANGLES.x), paper(c.g, ANGLES.y), paper(c.b, ANGLES.z));
    colour = vec4(mix(c, print, amount), 1.0);
}
