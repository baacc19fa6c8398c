"""T8: two models."""
