"""One file per kind of resource: its value, its actions, and how it is wanted and seen."""
