/*{
    "DESCRIPTION": "The hands of a clock, by the machine's time",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Generator"],
    "INPUTS": [
        { "NAME": "middle", "TYPE": "point2D", "DEFAULT": [0.85, 0.85], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0] },
        { "NAME": "size", "TYPE": "float", "DEFAULT": 0.1, "MIN": 0.02, "MAX": 0.5 },
        { "NAME": "ink", "TYPE": "color", "DEFAULT": [1.0, 1.0, 1.0, 0.9] }
    ]
}*/

float hand(vec2 p, float turns, float length_, float width) {
    float angle = 6.2832 * turns;
    vec2 along = vec2(sin(angle), cos(angle));
    float at = clamp(dot(p, along), 0.0, length_);
    return smoothstep(width, 0.6 * width, length(p - at * along));
}

void main() {
    vec2 p = (isf_FragNormCoord - middle) * vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0) / size;
    float rim = smoothstep(0.06, 0.03, abs(length(p) - 0.95));
    float hands = max(hand(p, DATE.w / 43200.0, 0.5, 0.07), hand(p, DATE.w / 3600.0, 0.8, 0.05));
    gl_FragColor = vec4(ink.rgb, ink.a * max(rim, max(hands, hand(p, floor(DATE.w) / 60.0, 0.85, 0.025))));
}
