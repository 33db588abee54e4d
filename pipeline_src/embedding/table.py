"""Tables of embedded videos as .parquet, .npz or .csv, and what is near in them.

Columns: path, start_s, duration_s, status, reason, encoder, embedding. `encoder` names what made the embedding, so
that vectors of two encoders are never compared. In .csv an embedding is numbers with spaces between them; in .npz it is
a row of the array `embedding`, NaN where there is none.
"""

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from pipeline_src.clips.rows import Status, short_reason
from pipeline_src.errors import UserError
from pipeline_src.files import whole_file

PLAIN = ("path", "start_s", "duration_s", "status", "reason")
SUFFIXES = (".parquet", ".npz", ".csv")


@dataclass(frozen=True)
class ClipEmbedding:
    """What became of a clip.

    Attributes:
        path: its video.
        start_s: seconds after the video's first frame.
        duration_s: of what was decoded; 0 unless ok.
        status: ok, or what kind of failure.
        reason: one line; of an ok clip "", or what it lacks.
        embedding: (D,) float32; empty unless ok.
    """

    path: str
    start_s: float
    duration_s: float
    status: Status
    reason: str
    embedding: np.ndarray


@dataclass(frozen=True)
class Table:
    """Embedded clips of one encoder.

    Attributes:
        rows: clips, those without an embedding too.
        encoder: its name.
        vectors: (rows, D) float32; NaN where there is none.
    """

    rows: list[ClipEmbedding]
    encoder: str
    vectors: np.ndarray


def check_new_table(path: Path) -> None:
    """Raise UserError where a table of that name cannot be written, before work is spent on it; makes its folder."""
    check_table_name(path)
    if path.is_dir():
        raise UserError(f"{path}: a folder - allowed: a file's name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # As whole_file makes one, with a name that is longer than the table's.
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}) - allowed: a name in a folder where you may write"
        ) from error


def check_table_name(path: Path) -> None:
    """Raise UserError where a table of that name can be neither written nor read."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: allowed: a name that ends with {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UserError(
                f"{path}: .parquet needs the package pyarrow (pip install pyarrow) - allowed: .npz and .csv without it"
            ) from error


def write_table(path: Path, rows: Sequence[ClipEmbedding], encoder: str, embedding_size: int) -> None:
    """Write a table; it appears whole or not at all.

    Args:
        path: its suffix says the kind.
        rows: in order.
        encoder: name of what made them.
        embedding_size: D.
    """
    check_table_name(path)
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in PLAIN}
    columns["encoder"] = [encoder] * len(rows)
    with whole_file(path) as part:
        if path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            vectors = pa.array([row.embedding.tolist() or None for row in rows], pa.list_(pa.float32()))
            stored = {name: pa.array(values, _arrow_kind(pa, name)) for name, values in columns.items()}
            pq.write_table(pa.table({**stored, "embedding": vectors}), part)
        elif path.suffix == ".npz":
            kinds: dict[str, Any] = {"start_s": np.float64, "duration_s": np.float64}
            arrays = {name: np.array(values, kinds.get(name, np.str_)) for name, values in columns.items()}
            np.savez(part, allow_pickle=False, **arrays, embedding=_vectors(rows, embedding_size))
        else:
            with open(part, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow([*columns, "embedding"])
                for plain, row in zip(zip(*columns.values(), strict=True), rows, strict=True):
                    writer.writerow([*plain, " ".join(map(str, row.embedding))])


def read_table(path: Path) -> Table:
    """Read a table, which may be anyone's; an ok row whose embedding is not finite becomes a failed one.

    Raises:
        UserError: no such table, a damaged one, one of several encoders, or one without an embedding.
    """
    check_table_name(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; python -m pipeline_src.stages.embed_videos makes one")
    try:
        columns = _READERS[path.suffix](path)
        plain = zip(*(columns[name] for name in PLAIN), columns["embedding"], strict=True)
        rows = [_row(*values) for values in plain]
        encoders = sorted({str(name) for name in columns["encoder"]})
        sizes = {len(row.embedding) for row in rows} - {0}
    except Exception as error:
        # Three libraries read what may be anyone's file: whatever they raise, it is no table.
        what = short_reason(str(error), str(path)) or type(error).__name__
        raise UserError(f"{path}: not a table of embed_videos: {what}; make it again") from error
    if len(encoders) != 1 or len(sizes) != 1:
        what = f"embeddings of {len(encoders)} encoders and {len(sizes)} sizes"
        raise UserError(f"{path}: {what} - allowed: those of one encoder, and at least one")
    return Table(rows, encoders[0], _vectors(rows, sizes.pop()))


def nearest(query: np.ndarray, vectors: np.ndarray, top: int) -> list[tuple[int, float]]:
    """Rows of the largest cosine similarity, largest first, and the similarity.

    Args:
        query: (D,).
        vectors: (rows, D); rows with NaN are left out.
        top: how many at most.
    """
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    similar = vectors @ query / np.where(lengths > 0, lengths, 1.0)
    order = np.argsort(np.where(np.isnan(similar), np.inf, -similar), kind="stable")
    return [(int(row), float(similar[row])) for row in order[:top] if not np.isnan(similar[row])]


def _row(path: Any, start_s: Any, duration_s: Any, status: Any, reason: Any, embedding: Any) -> ClipEmbedding:
    """A row of any of the readers; an embedding that is not finite is none."""
    vector = np.asarray(embedding, np.float32).ravel()
    if not np.isfinite(vector).all():
        vector = vector[:0]
    if status == "ok" and not len(vector):
        status, reason = "other", "its embedding is not finite"
    return ClipEmbedding(str(path), float(start_s), float(duration_s), cast(Status, str(status)), str(reason), vector)


def _vectors(rows: Sequence[ClipEmbedding], size: int) -> np.ndarray:
    missing = np.full(size, np.nan, np.float32)
    return np.array([row.embedding if len(row.embedding) else missing for row in rows], np.float32).reshape(-1, size)


def _arrow_kind(pa: Any, name: str) -> Any:
    return pa.float64() if name.endswith("_s") else pa.string()


def _read_parquet(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    columns: dict[str, Any] = pq.read_table(path).to_pydict()
    return {**columns, "embedding": [vector or [] for vector in columns["embedding"]]}


def _read_npz(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as packed:
        if any(member.compress_type != zipfile.ZIP_STORED for member in packed.infolist()):
            raise ValueError("it is compressed, and could unpack to anything")
    # Never with pickle: the file may be anyone's.
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in (*PLAIN, "encoder", "embedding")}


def _read_csv(path: Path) -> dict[str, Any]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has more or fewer values than the first line")
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in (*PLAIN, "encoder")}
    return {**columns, "embedding": [[float(part) for part in row["embedding"].split()] for row in rows]}


_READERS = {".parquet": _read_parquet, ".npz": _read_npz, ".csv": _read_csv}
