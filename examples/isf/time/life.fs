/*{
    "DESCRIPTION": "Conway's game of life on a coarse grid, sown by the picture's lights, and again by a button",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Generator"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "sow", "TYPE": "event" },
        { "NAME": "cell", "TYPE": "float", "DEFAULT": 4.0, "MIN": 1.0, "MAX": 32.0 },
        { "NAME": "alive", "TYPE": "color", "DEFAULT": [1.0, 1.0, 1.0, 0.6] }
    ],
    "PASSES": [
        { "TARGET": "cells", "PERSISTENT": true, "WIDTH": "floor($WIDTH/$cell)", "HEIGHT": "floor($HEIGHT/$cell)" },
        {}
    ]
}*/

float lives(vec2 by) {
    return step(0.5, IMG_NORM_PIXEL(cells, fract(isf_FragNormCoord + by / RENDERSIZE)).r);
}

void main() {
    if (PASSINDEX == 0) {
        float around = lives(vec2(-1, -1)) + lives(vec2(0, -1)) + lives(vec2(1, -1)) + lives(vec2(-1, 0))
                     + lives(vec2(1, 0)) + lives(vec2(-1, 1)) + lives(vec2(0, 1)) + lives(vec2(1, 1));
        float next = around == 3.0 || (around == 2.0 && lives(vec2(0)) > 0.5) ? 1.0 : 0.0;
        vec3 c = IMG_THIS_PIXEL(inputImage).rgb;
        float noise = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233)) + TIME) * 43758.5453);
        bool sown = sow || FRAMEINDEX == 0;
        gl_FragColor = vec4(vec3(sown ? step(noise, 0.6 * max(c.r, max(c.g, c.b))) : next), 1.0);
    } else {
        vec4 c = IMG_THIS_PIXEL(inputImage);
        gl_FragColor = vec4(mix(c.rgb, alive.rgb, alive.a * step(0.5, IMG_THIS_PIXEL(cells).r)), 1.0);
    }
}
