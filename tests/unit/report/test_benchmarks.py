"""Time and memory per stage."""

from pathlib import Path

import pytest

from pipeline_src.report.benchmarks import Job, cost_per_stage, read_jobs, total_cost

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def test_jobs_are_found_below_their_stage(tmp_path: Path) -> None:
    """Stages would be missing from the table, or a short job's NA would break the page."""
    (tmp_path / "decode_clips").mkdir()
    (tmp_path / "decode_clips/000000.tsv").write_text(HEADER + "12.5\tx\t310.5\t1\t1\t1\t0\t0\t9\t24\n")
    (tmp_path / "plan_clips.tsv").write_text(HEADER + "0.4\tx\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    costs = cost_per_stage(read_jobs([tmp_path, tmp_path / "none"]))
    assert [(c.stage, c.seconds, c.cpu_seconds, c.memory_mb) for c in costs] == [
        ("plan_clips", 0.4, None, None),
        ("decode_clips", 12.5, 24.0, 310.5),
    ]


def test_sums_maxima_and_shares() -> None:
    """Three jobs by hand: 10 + 30 s in one stage of 50 s in all."""
    jobs = [Job("a", 10, 20, 100), Job("a", 30, 60, 300), Job("b", 10, 5, 900)]
    first = cost_per_stage(jobs)[0]
    assert (first.jobs, first.seconds, first.longest, first.cpu_seconds, first.memory_mb) == (
        2,
        40,
        30,
        80,
        300,
    )
    assert first.share == pytest.approx(0.8)
    total = total_cost(jobs)
    assert total is not None
    assert (total.jobs, total.seconds, total.longest, total.memory_mb) == (
        3,
        50,
        30,
        900,
    )
    assert total_cost([]) is None
