/*{
    "DESCRIPTION": "The spectrum in bars along the lower edge",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Audio Visualizer"],
    "INPUTS": [
        { "NAME": "spectrum", "TYPE": "audioFFT", "MAX": 32 },
        { "NAME": "low", "TYPE": "color", "DEFAULT": [1.0, 0.3, 0.2, 0.9] },
        { "NAME": "high", "TYPE": "color", "DEFAULT": [0.3, 0.6, 1.0, 0.9] },
        { "NAME": "height", "TYPE": "float", "DEFAULT": 0.6, "MIN": 0.0, "MAX": 1.0 }
    ]
}*/

void main() {
    float bar = isf_FragNormCoord.x * 32.0;
    float level = IMG_NORM_PIXEL(spectrum, vec2((floor(bar) + 0.5) / 32.0, 0.5)).r;
    float inside = step(isf_FragNormCoord.y, height * level) * step(0.15, fract(bar));
    vec4 colour = mix(low, high, isf_FragNormCoord.x);
    gl_FragColor = vec4(colour.rgb, colour.a * inside);
}
