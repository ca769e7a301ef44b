/*{
    "DESCRIPTION": "Stars that fly towards you, drawn over the picture",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Generator"],
    "INPUTS": [
        { "NAME": "speed", "TYPE": "float", "DEFAULT": 0.3, "MIN": 0.0, "MAX": 2.0 },
        { "NAME": "amount", "TYPE": "float", "DEFAULT": 0.5, "MIN": 0.0, "MAX": 1.0 },
        { "NAME": "light", "TYPE": "color", "DEFAULT": [1.0, 1.0, 1.0, 1.0] }
    ]
}*/

float chance(vec2 p) {
    return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453);
}

void main() {
    vec2 p = (isf_FragNormCoord - 0.5) * vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0);
    float sum = 0.0;
    for (int layer = 0; layer < 4; ++layer) {
        float depth = fract(float(layer) / 4.0 + speed * TIME);
        vec2 q = p * mix(12.0, 0.6, depth) + float(layer) * 31.7;
        vec2 cell = floor(q), at = vec2(chance(cell), chance(cell + 7.0)) * 0.6 + 0.2;
        float star = smoothstep(0.06, 0.0, length(fract(q) - at)) * step(chance(cell + 3.0), amount);
        sum += star * smoothstep(0.0, 0.3, depth) * smoothstep(1.0, 0.8, depth);
    }
    gl_FragColor = vec4(light.rgb, light.a * clamp(sum, 0.0, 1.0));
}
