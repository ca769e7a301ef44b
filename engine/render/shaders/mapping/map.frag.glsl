#version 330 core
// One output's picture: laid into its area, its own colours, soft at its edges, dark where it is masked.
in vec2 area;
out vec4 colour;

uniform sampler2D picture;
uniform sampler2D mask;   // as large as the output, red; of one texel: none
uniform mat3 lie;         // from the area to the picture
uniform vec4 part;        // left, top, right, bottom of what is shown of it
uniform vec3 gain;
uniform float power;      // of every colour
uniform vec4 soft;        // widths at the left, top, right and bottom
uniform float light;      // power that makes a code a projector's light
uniform vec3 chosen;      // a place of the area, and the radius of a spot there in pixels, 0: none
uniform vec2 spans;       // columns and rows between points that have rings, 0: none
uniform vec2 pixels;      // of the area

// Rises from 0 to 1 so that it and its mirror image add up to 1.
float rising(float at, float width) {
    return width > 0.0 ? smoothstep(0.0, width, at) : 1.0;
}

void main() {
    vec2 at = (lie * vec3(area, 1.0)).xy;
    vec3 seen = texture(picture, at).rgb;
    bool beside = any(lessThan(at, part.xy - 1e-6)) || any(greaterThan(at, part.zw + 1e-6));
    seen = beside ? vec3(0.0) : clamp(pow(seen, vec3(power)) * gain, 0.0, 1.0);
    float lit = rising(area.x, soft.x) * rising(area.y, soft.y) * rising(1.0 - area.x, soft.z) * rising(1.0 - area.y, soft.w);
    seen *= pow(lit, 1.0 / light);
    if (textureSize(mask, 0).x > 1) seen *= texelFetch(mask, ivec2(gl_FragCoord.xy), 0).r;
    if (spans.x > 0.0) {
        float off = length((area - round(area * spans) / spans) * pixels) / chosen.z;
        if (off < 0.8) seen = mix(vec3(0.35, 0.84, 0.9), seen, step(off, 0.5));
    }
    float far = length((area - chosen.xy) * pixels) / max(chosen.z, 1e-3);
    colour = vec4(far < 1.0 ? mix(vec3(1.0, 0.3, 0.1), seen, step(far, 0.3)) : seen, 1.0);
}
