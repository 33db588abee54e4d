"""Search strategies, one per module, loaded by name."""
