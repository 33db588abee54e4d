"""Encoders of a run for torch.hub, from a clone of this project:

encoder = torch.hub.load("path/of/clone", "rgb_encoder", source="local", run="results/demo")
embeddings = encoder(frames)  # (N, 3, T, H, W) RGB of 0 to 255, uint8 or float, to (N, D)
"""

dependencies = ["torch", "torchvision", "safetensors"]


def rgb_encoder(run, entry="evolved"):
    """An exported encoder of RGB windows as a torch.nn.Module in evaluation mode; it normalises by itself.

    `encoder.format` says what it was trained on: frame_rate, frames (T), crop (H and W), and more.

    Args:
        run: folder of an export (results/RUN/export/ENTRY), or of a run (results/RUN).
        entry: which of the run's lineup, where `run` is a run.

    Returns:
        A module from (N, 3, T, H, W) RGB of 0 to 255, uint8 or float, to embeddings (N, D), float.
    """
    from pipeline_src.embedding.exported import load_exported

    return load_exported(run, entry)
