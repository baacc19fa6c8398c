"""T9: from counts to a confidence bound."""
