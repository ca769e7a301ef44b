/*{
    "DESCRIPTION": "The picture many times, every other one mirrored",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Tile Effect"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "across", "TYPE": "long", "DEFAULT": 3, "MIN": 1, "MAX": 12 },
        { "NAME": "mirrored", "TYPE": "bool", "DEFAULT": true }
    ]
}*/

void main() {
    vec2 p = isf_FragNormCoord * float(across);
    vec2 tile = mirrored ? abs(mod(p + 1.0, 2.0) - 1.0) : fract(p);
    gl_FragColor = IMG_NORM_PIXEL(inputImage, tile);
}
