/*{
    "DESCRIPTION": "A wide blur in two passes at half the size",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Blur"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "radius", "TYPE": "float", "DEFAULT": 8.0, "MIN": 0.0, "MAX": 32.0 }
    ],
    "PASSES": [
        { "TARGET": "across", "WIDTH": "max(1, floor($WIDTH/2))", "HEIGHT": "max(1, floor($HEIGHT/2))" },
        {}
    ]
}*/

void main() {
    vec4 sum = vec4(0.0);
    for (int k = -6; k <= 6; ++k) {
        float by = radius * float(k) / 6.0, weight = exp(-float(k * k) / 18.0) / 7.18;
        if (PASSINDEX == 0)
            sum += weight * IMG_NORM_PIXEL(inputImage, isf_FragNormCoord + vec2(by / IMG_SIZE(inputImage).x, 0.0));
        else
            sum += weight * IMG_NORM_PIXEL(across, isf_FragNormCoord + vec2(0.0, by / RENDERSIZE.y));
    }
    gl_FragColor = vec4(sum.rgb, 1.0);
}
