"""T10: coupled representations."""
