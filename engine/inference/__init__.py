"""Where a sound becomes a picture: conditions, sampler, the inference thread and its fallbacks."""
