"""Encoders per modality, decoders and heads."""
