/*{
    "DESCRIPTION": "Each picture lingers",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Feedback"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "seconds", "TYPE": "float", "DEFAULT": 0.5, "MIN": 0.0, "MAX": 5.0 }
    ],
    "PASSES": [
        { "TARGET": "memory", "PERSISTENT": true, "FLOAT": true },
        {}
    ]
}*/

void main() {
    if (PASSINDEX == 0) {
        float keep = FRAMEINDEX == 0 ? 0.0 : exp(-TIMEDELTA / max(seconds, 0.001));
        gl_FragColor = mix(IMG_THIS_PIXEL(inputImage), IMG_THIS_PIXEL(memory), keep);
    } else {
        gl_FragColor = vec4(IMG_THIS_PIXEL(memory).rgb, 1.0);
    }
}
