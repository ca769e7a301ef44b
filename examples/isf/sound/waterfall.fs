/*{
    "DESCRIPTION": "The spectrum, flowing upwards as it was",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Audio Visualizer"],
    "INPUTS": [
        { "NAME": "spectrum", "TYPE": "audioFFT", "MAX": 256 },
        { "NAME": "seconds", "TYPE": "float", "DEFAULT": 4.0, "MIN": 0.5, "MAX": 20.0 }
    ],
    "PASSES": [
        { "TARGET": "past", "PERSISTENT": true, "FLOAT": true, "WIDTH": "256", "HEIGHT": "256" },
        {}
    ]
}*/

void main() {
    if (PASSINDEX == 0) {
        float now = IMG_NORM_PIXEL(spectrum, vec2(isf_FragNormCoord.x, 0.5)).r;
        vec4 was = IMG_NORM_PIXEL(past, isf_FragNormCoord - vec2(0.0, TIMEDELTA / seconds));
        gl_FragColor = isf_FragNormCoord.y < 1.5 / RENDERSIZE.y + TIMEDELTA / seconds ? vec4(vec3(now), 1.0) : was;
    } else {
        float level = IMG_NORM_PIXEL(past, isf_FragNormCoord * vec2(0.5, 1.0)).r;
        vec3 heat = clamp(vec3(2.2 * level - 0.6, 2.2 * level - 1.1, 0.4 + level - 1.6 * level * level), 0.0, 1.0);
        gl_FragColor = vec4(heat, smoothstep(0.2, 0.7, level));
    }
}
