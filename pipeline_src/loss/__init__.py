"""The weighted sum of terms, its calibration and the engine that encodes each view once."""
