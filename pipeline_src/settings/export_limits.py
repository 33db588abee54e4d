"""What an exported encoder may hold: settings that go beyond are refused, and so are files. Standard library only."""

# Least and largest value of each number.
RANGES: dict[str, tuple[float, float]] = {
    "network_width": (4, 256),
    "embedding_size": (1, 1_000_000),
    "frame_rate": (0.001, 120),
    "height": (16, 1024),
    "width": (16, 1024),
    "jpeg_quality": (50, 100),
    "frames": (2, 256),
    "crop": (16, 1024),
    "windows": (1, 100),
    "max_duration_s": (0.001, 1e9),
    "max_pixels": (1, 2**31 - 1),
    "max_bytes": (1, 2**63),
    "max_streams": (1, 2**31 - 1),
    "timeout_s": (0.001, 1e9),
}
# Of all windows of a clip together, which are held at once.
MOST_PIXELS = 2**28


def most_windows(frames: int, crop: int) -> int:
    """Windows of a clip that can be held together, of so many frames of so many pixels squared."""
    return MOST_PIXELS // (frames * crop**2)
