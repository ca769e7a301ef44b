"""Training of `pocket` and of the paper's size; nothing here is needed to play a show."""
