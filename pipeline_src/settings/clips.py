"""Settings of a collection: where its clips come from, how they are planned, fetched and decoded."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline_src.settings.base import Settings

Modality = Literal["rgb", "flow", "grey", "audio"]


class WorldSource(Settings):
    """The built-in video world: rendered H.264 + AAC files of shapes that move in class-defining ways."""

    kind: Literal["world"]
    part: Literal["pool", "labelled"] = Field("pool", description="labelled adds train, validation and test parts")
    videos: int = Field(300, ge=1, le=1_000_000, description="number of videos to render")
    classes: Literal["zipf", "uniform"] = Field("zipf", description="how often each motion class occurs")
    backgrounds: Literal["zipf", "uniform"] = Field("uniform", description="how often each background occurs")
    size: int = Field(96, ge=32, le=1024, multiple_of=2, description="width and height in pixels")
    frame_rate: float = Field(16.0, ge=1, le=120, description="frames per second")
    seconds: tuple[float, float] = Field((1.5, 2.5), description="shortest and longest video in seconds")

    @model_validator(mode="after")
    def _ordered(self) -> "WorldSource":
        if not 0.5 <= self.seconds[0] <= self.seconds[1] <= 60:
            raise ValueError(f"seconds {list(self.seconds)}: allowed: [shortest, longest], each 0.5 to 60")
        return self


class FolderSource(Settings):
    """A folder of videos, searched with its subfolders."""

    kind: Literal["folder"]
    path: str = Field(min_length=1, description="the folder")
    labels: Literal["none", "folder"] = Field(
        "none", description="folder: the first subfolder of each video names its class"
    )


class ListSource(Settings):
    """A CSV file whose rows name videos: a local path or a URL, and optional further columns."""

    kind: Literal["list"]
    path: str = Field(min_length=1, description="the CSV file")
    root: str | None = Field(None, description="folder that relative video paths start from; default: the CSV's folder")
    path_column: str = Field("path", description="column with the path or URL")
    start_column: str | None = Field(None, description="column with the start of the clip in seconds")
    label_column: str | None = Field(None, description="column with the class")
    split_columns: tuple[str, ...] = Field(
        (), description="one column per split, with values train, validation, test or unused"
    )
    source_video_column: str | None = Field(
        None, description="column with the video that a clip was cut from, which groups clips; default: the clip itself"
    )


class RandomSplits(Settings):
    """Splits drawn at random by source video: clips of one video never stand on both sides."""

    count: int = Field(1, ge=1, le=20, description="number of splits")
    test: float = Field(0.3, gt=0, lt=1, description="fraction of source videos for test")
    validation: float = Field(0.0, ge=0, lt=1, description="fraction of source videos for validation")

    @model_validator(mode="after")
    def _room_for_training(self) -> "RandomSplits":
        if self.test + self.validation >= 1:
            raise ValueError("test + validation: allowed: less than 1 together, so that a training part remains")
        return self


class PlanSettings(Settings):
    """Which pieces of the videos become clips, and how clips are dealt to shards."""

    duration_s: float | None = Field(
        10.0, gt=0, le=3600, description="length of a clip in seconds; null takes each video whole"
    )
    per_video: int = Field(1, ge=1, le=1000, description="clips per video, at random places that do not overlap")
    clips_per_shard: int = Field(256, ge=1, le=100_000, description="clips in one HDF5 shard")


class CollectionSettings(Settings):
    """A set of clips that goes through the same rules: the unlabelled pool, or a labelled set."""

    source: Annotated[WorldSource | FolderSource | ListSource, Field(discriminator="kind")]
    plan: PlanSettings = PlanSettings()
    splits: RandomSplits | None = Field(None, description="for labelled sets without splits of their own")
    modalities: tuple[Modality, ...] = Field(
        ("rgb",), description="what is extracted: the pool needs all that the loss uses, a labelled set rgb only"
    )
    min_success: float = Field(
        0.5, ge=0, le=1, description="the run stops when a smaller fraction of the planned clips is usable"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "CollectionSettings":
        if "rgb" not in self.modalities or len(set(self.modalities)) != len(self.modalities):
            raise ValueError("modalities: allowed: rgb, and any of flow, grey, audio, each once")
        return self

    @property
    def labelled(self) -> bool:
        """Whether clips carry a class."""
        source = self.source
        if isinstance(source, WorldSource):
            return source.part == "labelled"
        if isinstance(source, FolderSource):
            return source.labels == "folder"
        return source.label_column is not None

    @property
    def split_count(self) -> int:
        """How many splits the collection has; 0 for an unlabelled one."""
        if not self.labelled:
            return 0
        if isinstance(self.source, WorldSource):
            return 1
        if isinstance(self.source, ListSource) and self.source.split_columns:
            return len(self.source.split_columns)
        return self.splits.count if self.splits else 0


class FetchSettings(Settings):
    """How videos at URLs are downloaded."""

    timeout_s: float = Field(120.0, gt=0, description="longest time for one clip in seconds")
    max_bytes: int = Field(500_000_000, ge=1, description="largest file in bytes")
    keep_media: bool = Field(False, description="keep downloaded video files after decoding")
    max_height: int = Field(480, ge=64, description="the best format up to this height in pixels is taken")


class DecodeSettings(Settings):
    """How videos become frames and sound."""

    frame_rate: float = Field(12.0, gt=0, le=120, description="frames per second, constant after decoding")
    height: int = Field(128, ge=16, le=1024, multiple_of=2, description="frame height in pixels")
    width: int = Field(128, ge=16, le=1024, multiple_of=2, description="frame width in pixels")
    fit: Literal["crop", "stretch"] = Field(
        "crop", description="crop keeps the picture's proportions and cuts its longer side; stretch does not"
    )
    sound_rate: int = Field(16_000, ge=4000, le=48_000, description="samples per second of the mono sound")
    max_duration_s: float = Field(600.0, gt=0, description="longer clips are cut to this")
    max_pixels: int = Field(8192 * 4320, ge=1, description="videos with more pixels a frame are refused")
    max_bytes: int = Field(20_000_000_000, ge=1, description="larger files are refused")
    max_streams: int = Field(64, ge=1, description="files with more streams are refused")
    timeout_s: float = Field(300.0, gt=0, description="longest time that ffmpeg may take for one clip in seconds")
