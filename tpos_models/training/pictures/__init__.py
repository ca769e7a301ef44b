"""Training what draws."""
