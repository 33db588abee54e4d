"""Evolved losses for self-supervised video representation learning: the programs behind the workflow's rules."""
