"""The crash matrix: a converge killed at every single host call, and what the next run makes of it."""
