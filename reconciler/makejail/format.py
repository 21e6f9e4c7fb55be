"""Formats."""


def format_text(text: str) -> str:
    """Format."""
    return text
