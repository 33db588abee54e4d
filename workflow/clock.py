"""A clock that was set back: what was made before it has times of the future, beside which nothing new would count."""

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path

LOGS = Path(".snakemake", "log")
# File systems of other machines may be a moment ahead.
TOLERATED_S = 5.0
# What Snakemake is called for beside running jobs.
LOOKS: tuple[str, ...] = (
    "dryrun",
    "summary",
    "detailed_summary",
    "dag",
    "rulegraph",
    "filegraph",
    "d3dag",
    "list_rules",
)
LOOKS += ("list_target_rules", "list_changes", "lint", "unlock", "report", "archive", "cleanup_metadata")
LOOKS += ("delete_all_output", "delete_temp_output", "print_compilation", "generate_unit_tests")


def take_back_the_future(folders: Collection[Path]) -> None:
    """Give files from the future the present time, where a folder has one near its top.

    A call that runs no job only tells of them.

    Their order stays good enough: what is made of them is made after the present, and among themselves none is newer
    than another. Whatever is made new changes the time of the folder that it stands in, and enough of those are near
    the top: a look at all files would take minutes on a shared file system. What was overwritten deep down while the
    clock was set back is not seen.

    Args:
        folders: of all that runs make.
    """
    now = time.time()
    signs = itertools.chain(LOGS.glob("*.log"), *(folder.glob("*/*") for folder in folders))
    last = max(map(_changed, signs), default=0.0)
    if last <= now + TOLERATED_S:
        return
    dry = not _runs_jobs()
    print(
        f"The clock was set back by {last - now:.0f} s or more since the last run: files from the future"
        f" {'would get' if dry else 'get'} the present time.",
        file=sys.stderr,
    )
    if dry:
        return
    for folder in (*folders, LOGS):
        for path in folder.rglob("*"):
            if _changed(path) > now:
                with contextlib.suppress(OSError):
                    os.utime(path, (now, now), follow_symlinks=False)


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def _runs_jobs() -> bool:
    """Whether this call runs jobs, which Snakemake itself only knows when it has read the Snakefile."""
    from snakemake.cli import get_argument_parser  # type: ignore[import-untyped]

    given = vars(get_argument_parser().parse_known_args(sys.argv[1:])[0])
    return not any(given.get(name) for name in LOOKS)
