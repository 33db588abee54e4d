"""A clock that was set back: what was made before it has times of the future, beside which nothing new would count."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

LOGS = Path(".snakemake", "log")
# File systems of other machines may be a moment ahead.
TOLERATED_S = 5.0


def take_back_the_future(folders: Iterable[Path]) -> None:
    """Give files from the future the present time, where the last run ended later than it is now.

    Their order stays good enough: what is made of them is made after the present, and among themselves none is newer
    than another.

    Args:
        folders: of all that runs make.
    """
    now = time.time()
    last = max((path.stat().st_mtime for path in LOGS.glob("*.log")), default=0.0)
    if last <= now + TOLERATED_S:
        return
    print(
        f"The clock was set back by {last - now:.0f} s or more since the last run: files from the future get the"
        " present time.",
        file=sys.stderr,
    )
    for folder in (*folders, LOGS):
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime > now:
                    os.utime(path, (now, now), follow_symlinks=False)
