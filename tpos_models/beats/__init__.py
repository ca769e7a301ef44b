"""Where the beat is: band powers -> activations of a causal network -> bar-pointer filter -> tempo, phase, bar.

All of it is numpy, a hop at a time: it runs on the analysis thread. `tpos_models.training.beats` teaches the network.
"""
