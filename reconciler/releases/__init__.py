"""Releases: names and levels, where they lie on a mirror, what makes them trusted, and fetching them."""
