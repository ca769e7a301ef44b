"""Effects over the picture: those built in, and users' own in ISF. After the look, before the flash limiter."""
