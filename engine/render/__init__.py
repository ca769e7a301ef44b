"""Frames to light: compositor, window, headless context, HUD, flash limiter.

Nothing is imported here: pyglet chooses between a window system and EGL when `pyglet.gl` is first imported, so
`headless.open_context` or `window.open_window` must have the first word.
"""
