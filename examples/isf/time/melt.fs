/*{
    "DESCRIPTION": "Bright parts run down like wax",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Feedback"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "speed", "TYPE": "float", "DEFAULT": 0.15, "MIN": 0.0, "MAX": 1.0 },
        { "NAME": "cool", "TYPE": "float", "DEFAULT": 0.4, "MIN": 0.02, "MAX": 3.0 }
    ],
    "PASSES": [
        { "TARGET": "wax", "PERSISTENT": true, "FLOAT": true },
        {}
    ]
}*/

void main() {
    if (PASSINDEX == 0) {
        vec3 now = IMG_THIS_PIXEL(inputImage).rgb;
        float wobble = 0.5 + 0.5 * sin(40.0 * isf_FragNormCoord.x + TIME);
        vec3 run = IMG_NORM_PIXEL(wax, isf_FragNormCoord + vec2(0.0, speed * TIMEDELTA * (0.4 + wobble))).rgb;
        gl_FragColor = vec4(max(now, run * exp(-cool * TIMEDELTA)), 1.0);
    } else {
        gl_FragColor = IMG_THIS_PIXEL(wax);
    }
}
