void main() {
    isf_vertShaderInit();
    vec2 at = isf_FragNormCoord;
    vec2 corner = mix(mix(bottomLeft, bottomRight, at.x), mix(topLeft, topRight, at.x), at.y);
    gl_Position.xy = 2.0 * corner - 1.0;
}
