"""Every claim, machine-checked: one folder each, and the ledger that runs them."""
