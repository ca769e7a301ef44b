"""Films that end where they begin."""
