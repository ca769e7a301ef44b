"""Teaches the beat network, and measures the tracker that it serves."""
