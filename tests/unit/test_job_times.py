"""What jobs took, as Snakemake writes it."""

from pathlib import Path

import pytest

from pipeline_src.job_times import seconds_taken


@pytest.mark.parametrize("text", ["", "s\n", "s\tmax_rss\n-\t1\n", "other\n1\n"])
def test_a_benchmark_file_that_is_none_counts_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.tsv"
    assert seconds_taken(path) == 0
    path.write_text(text)
    assert seconds_taken(path) == 0
    path.write_text("s\th:m:s\n61.5\t0:01:01\n")
    assert seconds_taken(path) == 61.5
