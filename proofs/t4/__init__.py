"""T4: statement and the legs of its proof."""
