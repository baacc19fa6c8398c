"""T5: several independent draws."""
