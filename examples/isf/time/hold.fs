/*{
    "DESCRIPTION": "A button takes a picture, and lays it over the show",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Feedback"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "take", "TYPE": "event" },
        { "NAME": "opacity", "TYPE": "float", "DEFAULT": 0.5, "MIN": 0.0, "MAX": 1.0 }
    ],
    "PASSES": [
        { "TARGET": "held", "PERSISTENT": true },
        {}
    ]
}*/

void main() {
    vec4 now = IMG_THIS_PIXEL(inputImage);
    if (PASSINDEX == 0)
        gl_FragColor = take || FRAMEINDEX == 0 ? now : IMG_THIS_PIXEL(held);
    else
        gl_FragColor = vec4(mix(now.rgb, max(now.rgb, IMG_THIS_PIXEL(held).rgb), opacity), 1.0);
}
