/*{
    "DESCRIPTION": "Outlines, in a colour over the darkened picture",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Stylize"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "line", "TYPE": "color", "DEFAULT": [0.4, 1.0, 0.9, 1.0] },
        { "NAME": "strength", "TYPE": "float", "DEFAULT": 2.0, "MIN": 0.0, "MAX": 8.0 },
        { "NAME": "darken", "TYPE": "float", "DEFAULT": 0.7, "MIN": 0.0, "MAX": 1.0 }
    ]
}*/

varying vec2 left;
varying vec2 right;
varying vec2 above;
varying vec2 below;

void main() {
    vec3 across = texture2D(inputImage, right).rgb - texture2D(inputImage, left).rgb;
    vec3 along = texture2D(inputImage, above).rgb - texture2D(inputImage, below).rgb;
    float edge = clamp(strength * length(abs(across) + abs(along)), 0.0, 1.0);
    gl_FragColor = vec4(mix(IMG_THIS_PIXEL(inputImage).rgb * (1.0 - darken), line.rgb, edge * line.a), 1.0);
}
