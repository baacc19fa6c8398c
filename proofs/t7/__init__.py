"""T7: scores."""
