"""Jail packages: what an archive may hold, and how one is verified before a host sees it."""
