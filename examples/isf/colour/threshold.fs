/*{
    "DESCRIPTION": "Black and white, or the picture where it is bright",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Color Effect"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "level", "TYPE": "float", "DEFAULT": 0.5, "MIN": 0.0, "MAX": 1.0 },
        { "NAME": "keepColour", "TYPE": "bool", "DEFAULT": false },
        { "NAME": "invert", "TYPE": "bool", "DEFAULT": false }
    ]
}*/

const vec3 LUMA = vec3(0.2126, 0.7152, 0.0722);

void main() {
    vec4 c = IMG_THIS_NORM_PIXEL(inputImage);
    float lit = step(level, dot(c.rgb, LUMA));
    lit = invert ? 1.0 - lit : lit;
    gl_FragColor = vec4(keepColour ? c.rgb * lit : vec3(lit), 1.0);
}
