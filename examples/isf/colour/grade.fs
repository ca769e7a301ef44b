/*{
    "DESCRIPTION": "Lift, contrast and saturation",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Color Adjustment"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "brightness", "TYPE": "float", "DEFAULT": 0.0, "MIN": -1.0, "MAX": 1.0 },
        { "NAME": "contrast", "TYPE": "float", "DEFAULT": 1.2, "MIN": 0.0, "MAX": 3.0 },
        { "NAME": "saturation", "TYPE": "float", "DEFAULT": 1.4, "MIN": 0.0, "MAX": 3.0 }
    ]
}*/

const vec3 LUMA = vec3(0.2126, 0.7152, 0.0722);

void main() {
    vec4 c = IMG_THIS_PIXEL(inputImage);
    vec3 graded = (c.rgb - 0.5) * contrast + 0.5 + brightness;
    gl_FragColor = vec4(mix(vec3(dot(graded, LUMA)), graded, saturation), c.a);
}
