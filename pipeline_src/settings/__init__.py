"""Typed settings, one module per stage."""
