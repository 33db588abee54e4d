"""What a job of a run leaves in its log, as two lines of JSON: where and with what it ran, and what it took."""

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipeline_src.provenance import git_revision, package_version

# Set by the Snakemake that planned the run (workflow/planned_code.py).
RUN = "EVOLVED_LOSSES_CODE"
PACKAGES = ("torch", "torchvision", "numpy", "h5py", "opencv-contrib-python-headless", "scikit-learn", "av", "yt-dlp")


@contextmanager
def recorded() -> Iterator[None]:
    """Tell both lines on stderr, which is the job's log; nothing where a stage is called by hand."""
    if RUN not in os.environ:
        yield
        return
    began = time.monotonic()
    _tell(
        began=_now(),
        host=platform.node(),
        slurm_job=os.environ.get("SLURM_JOB_ID", ""),
        devices=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        revision=git_revision(),
        python=platform.python_version(),
        packages={name: package_version(name) for name in PACKAGES},
    )
    try:
        yield
    finally:
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        unit = 1 if sys.platform == "darwin" else 1024
        _tell(
            ended=_now(),
            seconds=round(time.monotonic() - began, 1),
            cpu_seconds=round(sum(one.ru_utime + one.ru_stime for one in spent), 1),
            largest_process_mb=max(one.ru_maxrss for one in spent) * unit >> 20,
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _tell(**record: object) -> None:
    print(json.dumps({"job": record}), file=sys.stderr, flush=True)
