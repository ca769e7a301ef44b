"""The Power of Sound, as networks: text and audio spaces, guidance, samplers, weights, training.

Knows nothing of threads, windows or sound cards; imports neither `export` nor `engine`.
"""
