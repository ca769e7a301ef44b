"""Training what hears."""
