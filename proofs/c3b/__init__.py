"""C3b: the necessary condition fails for three groups."""
