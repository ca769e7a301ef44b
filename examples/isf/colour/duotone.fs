/*{
    "DESCRIPTION": "Shadows in one colour, lights in another",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Color Effect"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "shadows", "TYPE": "color", "DEFAULT": [0.1, 0.05, 0.35, 1.0] },
        { "NAME": "lights", "TYPE": "color", "DEFAULT": [1.0, 0.8, 0.45, 1.0] }
    ]
}*/

const vec3 LUMA = vec3(0.2126, 0.7152, 0.0722);

void main() {
    vec4 c = IMG_THIS_PIXEL(inputImage);
    gl_FragColor = vec4(mix(shadows.rgb, lights.rgb, smoothstep(0.0, 1.0, dot(c.rgb, LUMA))), c.a);
}
