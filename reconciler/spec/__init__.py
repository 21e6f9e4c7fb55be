"""Text to documents: YAML with places, pydantic models, cross-document checks."""
