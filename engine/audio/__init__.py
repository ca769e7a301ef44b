"""Sound in: source -> ring -> intake (44.1 kHz) -> gain -> analysis -> features and history.

Read in that order: `ring`, `sources`, `devices`, `resample`, `gain`, `spectrum`, `beats`, `analysis`, `capture`.
"""

SAMPLE_RATE = 44_100
"""Everything after the intake runs at this rate, the audio encoder's own."""
HOP = 512
"""Samples per analysis hop: 11.6 ms."""
HOP_S = HOP / SAMPLE_RATE
