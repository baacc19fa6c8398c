"""C1: the unqualified published form is false."""
