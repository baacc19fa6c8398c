"""C8: equalized odds does not bound a comparison of two models."""
