#version 330 core
// One step of Lucas and Kanade's motion estimate, from coarse to fine: the displacement from older to newer at the
// moment half way between them, in windows of 5 x 5 cells, on what differs from the window's mean (light may flicker).
in vec2 uv;
out vec4 colour;

uniform sampler2D older;      // small copies
uniform sampler2D newer;
uniform sampler2D flow;       // the estimate so far, coarser: 128/255 + displacement / reach, in uv
uniform vec2 cell;            // size of one output pixel in uv
uniform float reach;

const float STILL = 128.0 / 255.0;
const float STIFFNESS = 0.0004;   // variance of code values that counts as nothing to follow

float grey(vec3 c) {
    return dot(c, vec3(0.3, 0.5, 0.2));
}

void main() {
    vec2 guess = (texture(flow, uv).xy - STILL) * reach;
    float sum[49], change[49];
    float mean_change = 0.0;
    for (int y = 0; y < 7; ++y)
        for (int x = 0; x < 7; ++x) {
            vec2 at = uv + (vec2(x, y) - 3.0) * cell;
            float a = grey(texture(older, at - 0.5 * guess).rgb), b = grey(texture(newer, at + 0.5 * guess).rgb);
            sum[y * 7 + x] = 0.5 * (a + b);
            change[y * 7 + x] = b - a;
            mean_change += (b - a) / 49.0;
        }
    float xx = STIFFNESS * 25.0, yy = xx, xy = 0.0, xt = 0.0, yt = 0.0;
    for (int y = 1; y < 6; ++y)
        for (int x = 1; x < 6; ++x) {
            float gx = 0.5 * (sum[y * 7 + x + 1] - sum[y * 7 + x - 1]);
            float gy = 0.5 * (sum[(y + 1) * 7 + x] - sum[(y - 1) * 7 + x]);
            float gt = change[y * 7 + x] - mean_change;
            xx += gx * gx; yy += gy * gy; xy += gx * gy; xt += gx * gt; yt += gy * gt;
        }
    vec2 cells = vec2(xy * yt - yy * xt, xy * xt - xx * yt) / (xx * yy - xy * xy);
    vec2 found = guess + clamp(cells, -1.5, 1.5) * cell;
    colour = vec4(clamp(found / reach, -STILL, STILL) + STILL, 0.0, 1.0);
}
