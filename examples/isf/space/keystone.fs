/*{
    "DESCRIPTION": "The corners of the picture, moved: for a wall that is not square",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Geometry Adjustment"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "bottomLeft", "TYPE": "point2D", "DEFAULT": [0.1, 0.05], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0] },
        { "NAME": "topLeft", "TYPE": "point2D", "DEFAULT": [0.0, 1.0], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0] },
        { "NAME": "bottomRight", "TYPE": "point2D", "DEFAULT": [0.9, 0.05], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0] },
        { "NAME": "topRight", "TYPE": "point2D", "DEFAULT": [1.0, 1.0], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0] }
    ]
}*/

void main() {
    gl_FragColor = IMG_THIS_PIXEL(inputImage);
}
