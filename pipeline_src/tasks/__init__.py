"""Self-supervised tasks, one family per module, chosen by name."""
