"""Published numbers that stand beside a run's own, with their sources."""

from dataclasses import dataclass

WORKSHOP = "Piergiovanni, Angelova and Ryoo, “Evolving Losses for Unlabeled Video Representation Learning”"
CVPR = "Piergiovanni, Angelova and Ryoo, “Evolving Losses for Unsupervised Video Representation Learning” (CVPR 2020)"


@dataclass(frozen=True)
class Published:
    """A row of a published table: top-1 in percent by k-means, 1-layer and fine-tuning (None = not given)."""

    row: str
    kmeans: float | None
    linear: float | None
    finetune: float | None


HMDB51 = (
    Published("scratch", 15.7, 17.8, 35.2),
    Published("ImageNet, supervised", 32.5, 37.8, 49.8),
    Published("Kinetics, supervised", 68.8, 71.5, 74.3),
    Published("frame shuffle", 22.3, 24.3, 28.4),
    Published("reverse detection", 21.3, 24.3, 27.5),
    Published("audio/RGB align", 32.4, 36.8, 40.2),
    Published("RGB to flow", 31.5, 36.4, 39.9),
    Published("4 future frames", 31.8, 35.8, 39.2),
    Published("joint embedding", 29.4, 32.5, 38.4),
    Published("random loss", 25.4, 27.6, 30.4),
    Published("evolved loss", 44.2, 62.8, 66.2),
)
"""Table 1 of the workshop paper."""

HMDB51_CVPR = (
    Published("evolved loss, CVPR version", 43.4, 64.5, 67.4),
    Published("without distillation, CVPR version", None, None, 53.7),
)
"""The later paper's numbers, second-hand from notes and other papers' tables."""

CORRELATION = 0.91
"""Spearman correlation of the Zipf and the weakly supervised fitness in the CVPR version, second-hand."""


@dataclass(frozen=True)
class Observation:
    """What the paper reports about the weights of its evolved loss: terms that it found low or high."""

    terms: tuple[str, ...]
    said: str
    source: str


OBSERVATIONS = (
    Observation(("rgb.shuffle",), "very low", "section 4, Fig. 8"),
    Observation(("grey>rgb.translate",), "very low (colourisation)", "section 4, Fig. 8"),
    Observation(("grey~rgb.embed",), "not too useful", "Fig. 8"),
    Observation(("audio~rgb.align",), "important", "section 4, Fig. 8"),
    Observation(("rgb.future",), "important", "section 4, Fig. 8"),
    Observation(("rgb>flow.translate",), "important", "section 4, Fig. 8"),
)

EARLY = ("layer1", "layer2")
LATE = ("layer3", "layer4", "embedding")
DISTILLED = {"grey": "early", "flow": "late", "audio": "late"}
"""Where the paper's evolved loss distils each modality (Fig. 6)."""
