"""Where a track stands: band powers -> how they compare with the music so far -> a network -> breakdown, build, drop.

All of it is numpy, four times a second, on the analysis thread. `tpos_models.training.music.sections` teaches it.
"""
