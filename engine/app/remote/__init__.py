"""The page beside a live show."""
