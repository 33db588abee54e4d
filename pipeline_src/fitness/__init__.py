"""Unsupervised and weakly supervised fitness of an embedding."""
