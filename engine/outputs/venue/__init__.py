"""What is kept of a venue: how each output is mapped there."""
