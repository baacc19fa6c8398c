"""T1b: the optimal-transport form."""
