"""C3a: the necessary condition fails in the correctness game."""
