"""Flow methods, one module each, chosen by name."""
