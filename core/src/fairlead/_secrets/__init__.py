"""Secrets: references that are resolved when they are used, and texts that are kept out of what people read."""
