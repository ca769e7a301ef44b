#version 330 core
// What the camera looks at where there is a picture of pixels.
uniform sampler2D picture;

vec3 enlarged(sampler2D picture, vec2 at);    // enlarge.frag.glsl

vec3 there(vec2 p) {
    return enlarged(picture, p);
}
