/*{
    "DESCRIPTION": "Brightness looked up in a picture of a palette",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Color Effect"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "scroll", "TYPE": "float", "DEFAULT": 0.0, "MIN": 0.0, "MAX": 1.0 }
    ],
    "IMPORTED": { "palette": { "PATH": "palette.png" } }
}*/

const vec3 LUMA = vec3(0.2126, 0.7152, 0.0722);

void main() {
    vec4 c = IMG_THIS_PIXEL(inputImage);
    float at = fract(0.998 * dot(c.rgb, LUMA) + scroll);
    gl_FragColor = vec4(IMG_NORM_PIXEL(palette, vec2(at, 0.5)).rgb, c.a);
}
