"""Batches of multi-modal windows from shards, their views and augmentation."""
