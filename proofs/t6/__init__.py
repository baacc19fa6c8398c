"""T6: post-processing does not help."""
