"""Configuration from a file: layers of settings, checked against the code that takes them, made into an engine."""
