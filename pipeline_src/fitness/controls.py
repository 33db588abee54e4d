"""Features that know no content, to stand beside every search: a fitness that they reach means nothing."""

import numpy as np

from pipeline_src.embedding.pixels import pixel_features
from pipeline_src.shards.index import Collection


def control_features(clips: int, dimensions: int, seed: int) -> dict[str, np.ndarray]:
    """Features without content, each (clips, dimensions) float32.

    constant    every clip the same vector, as a collapsed network gives
    gaussian    independent normal values, without any structure
    """
    random = np.random.default_rng([seed, clips, dimensions, 4])
    constant = np.tile(random.standard_normal(dimensions), (clips, 1))
    gaussian = random.standard_normal((clips, dimensions))
    return {"constant": constant.astype(np.float32), "gaussian": gaussian.astype(np.float32)}


def measured_features(collection: Collection, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Features of clips that need no network.

    raw_pixels  means, deviations and changes over time of a coarse picture, (clips, 576)
    nuisance    what differs between recordings rather than contents: length, brightness, contrast, loudness, each
                standardised over the clips, (clips, 4); loudness is 0 where no clip has sound

    Args:
        collection: the clips; its spectrograms are read where it has them.
        rows: rows of collection.clips.
    """
    clips = collection.clips.iloc[rows].reset_index(drop=True)
    pixels = pixel_features(collection, clips)
    mean = pixels[:, : pixels.shape[1] // 3]
    loudness = np.zeros(len(clips))
    if "audio" in collection.index["modalities"]:
        readers = {shard: collection.reader("audio", shard) for shard in clips["shard"].unique()}
        for place, (shard, row, sound) in enumerate(zip(clips["shard"], clips["row"], clips["has_sound"], strict=True)):
            loudness[place] = readers[shard].read(int(row)).astype(np.float64).mean() if sound else 0.0
    columns = np.stack([clips["frames"].to_numpy(np.float64), mean.mean(1), mean.std(1), loudness], axis=1)
    spread = columns.std(0)
    nuisance = (columns - columns.mean(0)) / np.where(spread > 1e-9, spread, np.inf)
    return {"raw_pixels": pixels, "nuisance": nuisance}
