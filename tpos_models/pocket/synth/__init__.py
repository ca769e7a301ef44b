"""Sounds made from nothing: weather, water, fire and music."""
