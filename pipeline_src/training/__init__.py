"""Training loop, checkpoint, schedule and metrics."""
