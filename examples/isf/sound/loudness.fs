/*{
    "DESCRIPTION": "The picture swells with the loudest of the wave",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Audio Visualizer"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "sound", "TYPE": "audio", "MAX": 1 },
        { "NAME": "amount", "TYPE": "float", "DEFAULT": 0.3, "MIN": 0.0, "MAX": 1.0 }
    ]
}*/

void main() {
    float loud = abs(IMG_NORM_PIXEL(sound, vec2(0.5)).r - 0.5) * 2.0;
    gl_FragColor = IMG_NORM_PIXEL(inputImage, 0.5 + (isf_FragNormCoord - 0.5) / (1.0 + amount * loud));
}
