"""T2: the worst case is attained."""
