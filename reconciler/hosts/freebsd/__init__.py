"""The FreeBSD driver: argument vectors and parsers side by side, over any Runner."""
