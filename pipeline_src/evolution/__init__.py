"""Ask/tell search over weight vectors."""
