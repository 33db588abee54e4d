"""What a configuration will take before it runs: clips, shards, disk space, hours and cluster jobs.

    python -m pipeline_src.stages.estimate_run --configfile config/examples/paper.yaml

Nothing is run, and no video is opened. Hours and bytes come from earlier runs in data_root and results_root where there
are any, else from defaults that are good for their order of magnitude; each line says which.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline_src.clips.folder_state import check_source
from pipeline_src.report.run_cost import disk, hours
from pipeline_src.report.run_size import LOCAL, Size, collection_size, job_counts, submissions
from pipeline_src.settings.run import RunSettings, load_settings
from pipeline_src.stages.command import run as run_stage
from pipeline_src.stages.config_file import DEFAULT_CONFIG, read_config


def estimate(run: RunSettings) -> str:
    """The whole text.

    Raises:
        UserError: a source that is missing or cannot be read.
    """
    for name in run.used_collections:
        check_source(f"collections.{name}.source", run.collections[name].source)
    sizes = {name: collection_size(name, run.collections[name]) for name in run.used_collections}
    counts = job_counts(run, sizes)
    parts = [_collections(sizes), _disk(run, sizes), _hours(run, sizes, counts), _jobs(counts)]
    return "\n\n".join(parts)


def _collections(sizes: dict[str, Size]) -> str:
    rows: list[tuple[str, ...]] = [("collection", "videos", "clips", "shards", "from")]
    for name, size in sizes.items():
        numbers = (f"{value:,}" for value in (size.videos, size.clips, size.shards))
        rows.append((name, *numbers, size.origin))
    return _table(rows, right=(1, 2, 3))


def _disk(run: RunSettings, sizes: dict[str, Size]) -> str:
    found = disk(run, sizes)
    rows = [("disk", "what", "size", "from")]
    rows += [(row.owner, row.kind, _bytes(row.total), row.origin) for row in found]
    rows.append(("total", "", _bytes(sum(row.total for row in found)), ""))
    return _table(rows, right=(2,))


def _hours(run: RunSettings, sizes: dict[str, Size], counts: dict[str, int]) -> str:
    found = hours(run, sizes, counts, has_gpu=shutil.which("nvidia-smi") is not None)
    rows = [("stage", "jobs", "CPU hours", "GPU hours", "from")]
    rows += [(row.stage, f"{row.jobs:,}", f"{row.cpu:,.2f}", f"{row.gpu:,.2f}", row.origin) for row in found]
    cpu, gpu = sum(row.cpu for row in found), sum(row.gpu for row in found)
    rows.append(("total", f"{sum(row.jobs for row in found):,}", f"{cpu:,.2f}", f"{gpu:,.2f}", ""))
    return _table(rows, right=(1, 2, 3))


def _jobs(counts: dict[str, int]) -> str:
    local = sum(jobs for rule, jobs in counts.items() if rule in LOCAL)
    rows = [("rule", "jobs"), *((rule, f"{jobs:,}") for rule, jobs in sorted(counts.items()))]
    rows.append(("total", f"{sum(counts.values()):,}"))
    return f"{_table(rows, right=(1,))}\n\n{submissions(counts):,} cluster jobs, and {local:,} run where Snakemake does"


def _bytes(count: int) -> str:
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.1f} {units[0]}" if units[0] != "bytes" else f"{count} bytes"


def _table(rows: Sequence[tuple[str, ...]], right: tuple[int, ...]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def main() -> None:
    """Print the estimate of a configuration."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--configfile",
        nargs="+",
        action="extend",
        type=Path,
        help="configuration, or several, of which later ones win; default: config/config.yaml",
    )
    given = arguments.parse_args()
    print(estimate(load_settings(read_config(given.configfile or [DEFAULT_CONFIG]))))


if __name__ == "__main__":
    run_stage(main)
