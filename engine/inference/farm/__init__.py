"""Frames of a film drawn by workers: other processes, other machines, whoever has the model."""
