"""A classifier of your own videos from an exported encoder: one folder per class, train and test split at random.

    python examples/classify_clips.py results/demo/export/evolved VIDEOS      VIDEOS/{class}/*.mp4

Also needs scikit-learn.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline_src.embedding.exported import load_exported
from pipeline_src.embedding.videos import embed_videos, find_videos


def main() -> None:
    """Embed, split, fit, print."""
    encoder, videos = load_exported(sys.argv[1]), Path(sys.argv[2])
    rows = [row for row in embed_videos(find_videos([videos]), encoder) if row.status == "ok"]
    labels = [Path(row.path).relative_to(videos).parts[0] for row in rows]
    vectors = np.stack([row.embedding for row in rows])
    train, test, known, wanted = train_test_split(vectors, labels, test_size=0.3, stratify=labels, random_state=0)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, known)
    chance = max(wanted.count(label) for label in set(wanted)) / len(wanted)
    print(f"accuracy {classifier.score(test, wanted):.3f} on {len(wanted)} videos (most frequent class: {chance:.3f})")


if __name__ == "__main__":
    main()
