"""SPIN (arXiv:2410.16672): weights of a language model that fairness and privacy share, found and set to zero."""
