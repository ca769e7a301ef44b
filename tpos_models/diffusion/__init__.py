"""From noise and conditions to latents: schedules, guidance and samplers."""
