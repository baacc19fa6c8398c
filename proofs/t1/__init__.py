"""T1: the exact worst case."""
