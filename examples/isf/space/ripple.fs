/*{
    "DESCRIPTION": "Rings run over the picture, as on water",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Distortion Effect"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "middle", "TYPE": "point2D", "DEFAULT": [0.5, 0.5], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0] },
        { "NAME": "height", "TYPE": "float", "DEFAULT": 0.02, "MIN": 0.0, "MAX": 0.1 },
        { "NAME": "rings", "TYPE": "float", "DEFAULT": 8.0, "MIN": 1.0, "MAX": 30.0 },
        { "NAME": "speed", "TYPE": "float", "DEFAULT": 1.0, "MIN": 0.0, "MAX": 4.0 }
    ]
}*/

void main() {
    vec2 p = isf_FragNormCoord - middle;
    p.x *= RENDERSIZE.x / RENDERSIZE.y;
    float far = length(p);
    vec2 away = p / max(far, 1e-4) * height * sin(6.2832 * (rings * far - speed * TIME)) * exp(-2.0 * far);
    away.x *= RENDERSIZE.y / RENDERSIZE.x;
    gl_FragColor = IMG_NORM_PIXEL(inputImage, clamp(isf_FragNormCoord + away, 0.0, 1.0));
}
