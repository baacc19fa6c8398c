"""Figures: one module each, turning stored results or the theory into a picture with its data beside it."""
