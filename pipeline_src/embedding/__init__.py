"""Clips to vectors with a trained encoder."""
