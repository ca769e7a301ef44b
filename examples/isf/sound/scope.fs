/*{
    "DESCRIPTION": "The wave of the sound as a bright line",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Audio Visualizer"],
    "INPUTS": [
        { "NAME": "sound", "TYPE": "audio" },
        { "NAME": "line", "TYPE": "color", "DEFAULT": [0.7, 1.0, 0.8, 1.0] },
        { "NAME": "height", "TYPE": "float", "DEFAULT": 0.6, "MIN": 0.0, "MAX": 2.0 },
        { "NAME": "width", "TYPE": "float", "DEFAULT": 0.012, "MIN": 0.001, "MAX": 0.1 }
    ]
}*/

void main() {
    float wave = IMG_NORM_PIXEL(sound, vec2(isf_FragNormCoord.x, 0.5)).r - 0.5;
    float far = abs(isf_FragNormCoord.y - 0.5 - height * wave);
    gl_FragColor = vec4(line.rgb, line.a * (smoothstep(width, 0.0, far) + 0.3 * smoothstep(8.0 * width, 0.0, far)));
}
