"""T1a: the published form, under equal label marginals."""
