"""Pictures in: cameras, streams, other programs, screens and films."""
