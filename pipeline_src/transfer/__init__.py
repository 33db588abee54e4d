"""Evaluation of a trained encoder on labelled collections."""
