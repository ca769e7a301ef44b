varying vec2 left;
varying vec2 right;
varying vec2 above;
varying vec2 below;

void main() {
    isf_vertShaderInit();
    vec2 step = 1.5 / RENDERSIZE;
    left = isf_FragNormCoord - vec2(step.x, 0.0);
    right = isf_FragNormCoord + vec2(step.x, 0.0);
    above = isf_FragNormCoord + vec2(0.0, step.y);
    below = isf_FragNormCoord - vec2(0.0, step.y);
}
