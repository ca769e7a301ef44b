#version 330 core
// What is between two model frames: each is moved along the flow to the moment asked for, then crossfaded.
in vec2 uv;
out vec4 colour;

uniform sampler2D older;
uniform sampler2D newer;
uniform sampler2D flow;
uniform float progress;   // 0 shows older, 1 newer
uniform float reach;      // flow is stored as 128/255 + displacement / reach, in uv

void main() {
    vec2 move = (texture(flow, uv).xy - 128.0 / 255.0) * reach;
    vec3 from = texture(older, uv - progress * move).rgb;
    vec3 to = texture(newer, uv + (1.0 - progress) * move).rgb;
    colour = vec4(mix(from, to, progress), 1.0);
}
