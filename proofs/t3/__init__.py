"""T3: when fine-tuning lowers the advantage."""
