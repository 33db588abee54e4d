"""What a source says of its videos, before clips are planned."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Video:
    """A video, or a listed piece of one, before clips are planned.

    Attributes:
        identity: stable name in its source: the path relative to the folder or as listed, or the URL.
        path: the file as seen from the working directory, or the URL.
        source_video: the video it was cut from; `identity` where the source names none.
        label: class, "" without labels.
        splits: its part in each split that the source names.
        start_s: start of the piece in seconds; None where the source names none.
        duration_s: length of the video in seconds; None where the source does not say.
    """

    identity: str
    path: str
    source_video: str
    label: str = ""
    splits: tuple[str, ...] = ()
    start_s: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class Listing:
    """The videos of a source in a stable order, and one line that a reader of its results needs; "" for none."""

    videos: list[Video]
    note: str = ""
