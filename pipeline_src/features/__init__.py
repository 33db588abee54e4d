"""Optical flow, greyscale and audio features."""
