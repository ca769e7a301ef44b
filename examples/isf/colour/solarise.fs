/*{
    "DESCRIPTION": "Values fold back on themselves, once or more often",
    "CREDIT": "TPoS Live",
    "ISFVSN": "2",
    "CATEGORIES": ["Color Effect"],
    "INPUTS": [
        { "NAME": "inputImage", "TYPE": "image" },
        { "NAME": "folds", "TYPE": "long", "DEFAULT": 2, "VALUES": [1, 2, 4], "LABELS": ["once", "twice", "four times"] }
    ]
}*/

void main() {
    vec4 c = IMG_THIS_PIXEL(inputImage);
    gl_FragColor = vec4(abs(mod(c.rgb * float(folds), 2.0) - 1.0), c.a);
}
