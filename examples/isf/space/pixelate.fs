/*{
    "DESCRIPTION": "Large square pixels",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Stylize"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "pixel", "TYPE": "float", "DEFAULT": 12.0, "MIN": 1.0, "MAX": 128.0 }
    ]
}*/

void main() {
    vec2 at = (floor(isf_FragNormCoord * IMG_SIZE(inputImage) / pixel) + 0.5) * pixel;
    gl_FragColor = IMG_PIXEL(inputImage, min(at, IMG_SIZE(inputImage) - 0.5));
}
