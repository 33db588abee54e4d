"""Settings of a collection: where its clips come from, how they are planned, fetched and decoded."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline_src.settings.base import Settings

Modality = Literal["rgb", "flow", "grey", "audio"]
# Which videos may come, and in which format; how they are asked for reruns nothing.
WHAT_IS_FETCHED = frozenset({"min_height", "max_bytes", "hosts", "allow_private"})
BENCHMARK_SPLITS = {"hmdb51": 3, "ucf101": 3, "kinetics": 1, "jhmdb": 3}


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
    """A CSV, parquet or text file whose rows name videos, and optional further columns.

    A video is a local path, an http(s) URL, or a YouTube id of 11 characters, in any mixture.
    """

    kind: Literal["list"]
    path: str = Field(min_length=1, description="the file: .parquet, .txt with one video a line, else CSV")
    root: str | None = Field(
        None, description="folder that relative video paths start from; default: the list's folder"
    )
    path_column: str = Field("path", description="column with the path, URL or YouTube id")
    start_column: str | None = Field(None, description="column with the start of the clip in seconds")
    duration_column: str | None = Field(
        None, description="column with the video's length in seconds, which saves asking for it while fetching"
    )
    label_column: str | None = Field(None, description="column with the class")
    split_columns: tuple[str, ...] = Field(
        (), description="one column per split, with values train, validation, test or unused"
    )
    source_video_column: str | None = Field(
        None, description="column with the video that a clip was cut from, which groups clips; default: the clip itself"
    )


class BenchmarkSource(Settings):
    """A labelled benchmark with the folders, file names and split files of its authors.

    Clips are named by the split files; those that are not in the folder are counted and told.
    """

    kind: Literal["benchmark"]
    name: Literal["hmdb51", "ucf101", "kinetics", "jhmdb"] = Field(description="which one")
    path: str = Field(min_length=1, description="folder of the videos: a folder per class; kinetics may also be flat")
    split_folder: str | None = Field(
        None, min_length=1, description="folder of the split files; default: looked for in path and beside it"
    )
    splits: int | None = Field(
        None,
        ge=1,
        description="how many of its official splits (3, of kinetics 1) are used, from the first on; default: all",
    )

    @model_validator(mode="after")
    def _official(self) -> "BenchmarkSource":
        if self.splits is not None and self.splits > BENCHMARK_SPLITS[self.name]:
            raise ValueError(f"splits {self.splits}: allowed: 1 to {BENCHMARK_SPLITS[self.name]} for {self.name}")
        return self

    @property
    def split_count(self) -> int:
        """How many of its official splits are used."""
        return self.splits or BENCHMARK_SPLITS[self.name]


class YoutubeSource(Settings):
    """Videos that YouTube's search finds: at random by prefixes of ids (Zhou et al. 2011), or by search terms."""

    kind: Literal["youtube"]
    videos: int = Field(ge=1, le=10_000_000, description="number of videos to find; more keeps those found before")
    terms: tuple[str, ...] = Field((), description="search terms, asked in turn; empty: random prefixes of video ids")
    results_per_search: int = Field(50, ge=1, le=1000, description="results that are asked for at a time")
    seconds: tuple[float, float] = Field((10.0, 3600.0), description="shortest and longest video in seconds")
    pause_s: float = Field(1.0, ge=0, le=600, description="pause between two searches in seconds")

    @model_validator(mode="after")
    def _consistent(self) -> "YoutubeSource":
        if not 0 <= self.seconds[0] <= self.seconds[1]:
            raise ValueError(f"seconds {list(self.seconds)}: allowed: [shortest, longest], 0 or more")
        if any(not term.strip() for term in self.terms):
            raise ValueError("terms: an empty one - allowed: text")
        return self


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
    shortest_s: float = Field(0.0, ge=0, description="pieces shorter than this, of short videos, are no clips")
    per_video: int = Field(1, ge=1, le=1000, description="clips per video, at random places that do not overlap")
    clips_per_shard: int = Field(256, ge=1, le=100_000, description="clips in one HDF5 shard")
    spare: float = Field(
        0.0, ge=0, le=10, description="further candidates per wanted clip, fetched only in place of those that fail"
    )


class CollectionSettings(Settings):
    """A set of clips that goes through the same rules: the unlabelled pool, or a labelled set."""

    source: Annotated[
        WorldSource | FolderSource | ListSource | BenchmarkSource | YoutubeSource, Field(discriminator="kind")
    ]
    plan: PlanSettings = PlanSettings()
    splits: RandomSplits | None = Field(None, description="for labelled sets without splits of their own")
    modalities: tuple[Modality, ...] = Field(
        ("rgb",), description="what is extracted: the pool needs all that the loss uses, a labelled set rgb only"
    )
    retries: int = Field(0, ge=0, description="rounds of `snakemake retry_failed` whose recovered clips are used")
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
        if isinstance(source, BenchmarkSource):
            return True
        if isinstance(source, WorldSource):
            return source.part == "labelled"
        if isinstance(source, FolderSource):
            return source.labels == "folder"
        return isinstance(source, ListSource) and source.label_column is not None

    @property
    def split_count(self) -> int:
        """How many splits the collection has; 0 for an unlabelled one."""
        if not self.labelled:
            return 0
        if isinstance(self.source, BenchmarkSource):
            return self.source.split_count
        if isinstance(self.source, WorldSource):
            return 1
        if isinstance(self.source, ListSource) and self.source.split_columns:
            return len(self.source.split_columns)
        return self.splits.count if self.splits else 0


class FetchSettings(Settings):
    """How videos at URLs are downloaded."""

    min_height: int = Field(144, ge=1, description="the smallest format of at least this height in pixels is taken")
    timeout_s: float = Field(120.0, gt=0, description="longest time for one clip in seconds")
    max_bytes: int = Field(500_000_000, ge=1, description="most bytes to download for one video")
    retries: int = Field(2, ge=0, le=100, description="further attempts of a request that failed")
    sleep_s: float = Field(0.0, ge=0, le=3600, description="pause of a job between two videos in seconds")
    rate_limit: int | None = Field(None, ge=1, description="most bytes per second of a job")
    proxy: str | None = Field(
        None, description="URL of a proxy, without a password; default: HTTP_PROXY and HTTPS_PROXY of the environment"
    )
    cookies: str | None = Field(None, description="cookie file in Netscape format, such as of a logged-in browser")
    hosts: tuple[str, ...] = Field(
        (), description="hosts, with their subdomains, that may be reached; empty: all public ones"
    )
    allow_private: bool = Field(False, description="also reach addresses of this machine and of private networks")
    keep_media: bool = Field(False, description="keep video files once frames and flow are made, of fetches to come")

    @model_validator(mode="after")
    def _no_secret(self) -> "FetchSettings":
        # Settings stand in command lines, logs and records of the run.
        if "@" in (self.proxy or ""):
            raise ValueError(
                "proxy: names a user or a password - allowed: an address without; put the whole one into HTTP_PROXY and"
                " HTTPS_PROXY in the environment instead"
            )
        return self

    def _part(self, machine: bool) -> dict[str, Any]:
        return {
            name: plain for name, plain in self.model_dump(mode="json").items() if (name in WHAT_IS_FETCHED) != machine
        }


class DecodeSettings(Settings):
    """How videos become frames and sound."""

    frame_rate: float = Field(12.0, gt=0, le=120, description="frames per second, constant after decoding")
    height: int = Field(128, ge=16, le=1024, multiple_of=2, description="frame height in pixels")
    width: int = Field(128, ge=16, le=1024, multiple_of=2, description="frame width in pixels")
    fit: Literal["crop", "stretch"] = Field(
        "crop", description="crop keeps the picture's proportions and cuts its longer side; stretch does not"
    )
    codec: Literal["jpeg", "lzf", "gzip", "raw"] = Field(
        "jpeg", description="how frames are stored: jpeg is small and fast to read, the others lose nothing"
    )
    jpeg_quality: int = Field(
        89, ge=50, le=100, description="of the codec jpeg: 89 keeps over 38 dB in an eighth of the bytes"
    )
    sound_rate: int = Field(16_000, ge=4000, le=48_000, description="samples per second of the mono sound")
    max_duration_s: float = Field(600.0, gt=0, description="longer clips are cut to this")
    max_pixels: int = Field(8192 * 4320, ge=1, description="videos with more pixels a frame are refused")
    max_bytes: int = Field(20_000_000_000, ge=1, description="larger files are refused")
    max_streams: int = Field(64, ge=1, description="files with more streams are refused")
    timeout_s: float = Field(300.0, gt=0, description="longest time that ffmpeg may take for one clip in seconds")
