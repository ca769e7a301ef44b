/*{
    "DESCRIPTION": "The picture as the walls of a tunnel",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Geometry Adjustment"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "depth", "TYPE": "float", "DEFAULT": 0.3, "MIN": 0.05, "MAX": 1.0 },
        { "NAME": "speed", "TYPE": "float", "DEFAULT": 0.2, "MIN": -2.0, "MAX": 2.0 },
        { "NAME": "twist", "TYPE": "float", "DEFAULT": 0.0, "MIN": -1.0, "MAX": 1.0 }
    ]
}*/

void main() {
    vec2 p = (gl_FragCoord.xy - 0.5 * RENDERSIZE) / RENDERSIZE.y;
    float far = depth / max(length(p), 0.01);
    float around = atan(p.y, p.x) / 3.14159 + twist * far;
    vec2 wall = abs(mod(vec2(around, far + speed * TIME), 2.0) - 1.0);
    gl_FragColor = vec4(IMG_NORM_PIXEL(inputImage, wall).rgb * clamp(1.6 / (0.6 + far), 0.0, 1.0), 1.0);
}
