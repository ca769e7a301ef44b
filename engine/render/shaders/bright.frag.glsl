#version 330 core
// The bright parts of a small copy, spread by a 5 x 5 tent.
in vec2 uv;
out vec4 colour;

uniform sampler2D picture;
uniform vec2 cell;
uniform float knee;       // code value where a part starts to glow; -1 keeps everything

void main() {
    vec3 sum = vec3(0.0);
    float total = 0.0;
    for (int y = -2; y <= 2; ++y)
        for (int x = -2; x <= 2; ++x) {
            float weight = (3.0 - abs(float(x))) * (3.0 - abs(float(y)));
            vec3 c = texture(picture, uv + vec2(x, y) * cell).rgb;
            float peak = max(c.r, max(c.g, c.b));
            sum += weight * c * smoothstep(knee, knee + 0.45, peak);
            total += weight;
        }
    colour = vec4(sum / total, 1.0);
}
