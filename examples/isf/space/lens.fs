/*{
    "DESCRIPTION": "A glass ball before the picture",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Distortion Effect"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "middle", "TYPE": "point2D", "DEFAULT": [0.5, 0.5], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0] },
        { "NAME": "radius", "TYPE": "float", "DEFAULT": 0.3, "MIN": 0.05, "MAX": 1.0 },
        { "NAME": "strength", "TYPE": "float", "DEFAULT": 0.6, "MIN": 0.0, "MAX": 1.0 }
    ]
}*/

void main() {
    vec2 aspect = vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0);
    vec2 p = (isf_FragNormCoord - middle) * aspect / radius;
    float far = length(p);
    vec2 seen = far < 1.0 ? p * mix(1.0, 1.0 - sqrt(1.0 - far * far), strength) : p;
    vec4 c = IMG_NORM_PIXEL(inputImage, middle + seen * radius / aspect);
    float shine = far < 1.0 ? 0.25 * strength * smoothstep(0.5, 0.0, length(p - vec2(-0.4, 0.4))) : 0.0;
    gl_FragColor = vec4(c.rgb + shine, 1.0);
}
