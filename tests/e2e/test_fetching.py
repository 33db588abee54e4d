"""Two hundred clips from a server that fails at a fifth of them: failures are rows, and passing ones are retried."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from tests.tiny_run import Project, copy_project
from tests.video_server import VideoServer

pytestmark = pytest.mark.slow

CLIPS = 200
# Fault, how often, the status that it must get, and whether it may pass.
FAULTS: tuple[tuple[object, int, str, bool], ...] = (
    (403, 6, "unavailable", False),
    (404, 6, "unavailable", False),
    (429, 6, "rate_limited", True),
    ("stall", 4, "timed_out", True),
    ("reset", 6, "other", True),
    ("truncated", 6, "other", True),
    ("html", 3, "unavailable", False),
    ("dressed", 3, "no_video", False),
)


def statuses(project: Project, stage: str) -> dict[str, str]:
    """Last status by path of a clip."""
    found = {}
    for plan in sorted((project.folder / "data/pool/plan").glob("*.csv"), key=lambda path: ("r" in path.stem, path)):
        with plan.open() as planned, (project.folder / f"data/pool/status/{stage}/{plan.name}").open() as ended:
            for row, status in zip(csv.DictReader(planned), csv.DictReader(ended), strict=True):
                assert row["clip_id"] == status["clip_id"]
                found["/" + row["path"].split("/", 3)[3]] = status["status"]
    return found


def test_every_fault_is_a_row_and_only_passing_ones_are_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_video: Path
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    project = copy_project(tmp_path / "project")
    paths = [f"/videos/{number:03d}.mp4" for number in range(CLIPS)]
    with VideoServer(small_video.read_bytes()) as server:
        faults = [fault for fault, count, _, _ in FAULTS for _ in range(count)]
        expected = [(status, passing) for _, count, status, passing in FAULTS for _ in range(count)]
        step = CLIPS // len(faults)
        assert len(faults) == CLIPS // 5
        faulty = dict(zip(paths[::step], expected, strict=True))
        server.faults = dict(zip(paths[::step], faults, strict=True))
        lines = (f"{server.address}{path}\n" for path in paths)
        config = project.configure_list(lines, 50, timeout_s=20, retries=0)

        project.snakemake("data/pool/index.json")
        wanted = {path: faulty.get(path, ("ok", False))[0] for path in paths}
        assert statuses(project, "fetch") == wanted
        assert statuses(project, "decode") == wanted
        first = Counter(server.requests)
        assert all(first[path] for path in paths)

        server.faults = {path: fault for path, fault in server.faults.items() if not faulty[path][1]}
        still = next(path for path in paths if faulty.get(path, ("", False))[1])
        server.faults[still] = 429
        done = project.snakemake("retry_failed")
        again = Counter(server.requests) - first
        assert set(again) == {path for path, (_, passing) in faulty.items() if passing}
        recovered = {path: "ok" if faulty.get(path, ("", False))[1] else status for path, status in wanted.items()}
        assert statuses(project, "fetch") == {**recovered, still: "rate_limited"}
        assert "pool: 21 of 22 clips ok, 1 rate_limited" in done.stdout + done.stderr
        assert "collections.pool.retries: 1" in done.stdout + done.stderr

        # Nobody has accepted the recovered clips yet: nothing changes for the pool, until somebody does.
        second = Counter(server.requests)
        assert "index_collection" not in project.planned("data/pool/index.json")
        config["collections"]["pool"]["retries"] = 1
        project.configure(config)
        project.snakemake("data/pool/index.json")
        index = (project.folder / "data/pool/index.json").read_text()
        assert '"usable": 181' in index
        assert '"planned": 200' in index
        assert Counter(server.requests) == second
        config["collections"]["pool"]["retries"] = 2
        project.configure(config)
        refused = project.snakemake("data/pool/index.json", check=False)
        assert refused.returncode == 2
        assert "collections.pool.retries: 2 - allowed: at most 1" in refused.stderr

        # A second round tries only what is still worth it.
        server.faults.pop(still)
        project.configure(
            {
                **config,
                "collections": {**config["collections"], "pool": {**config["collections"]["pool"], "retries": 1}},
            }
        )
        project.snakemake("retry_failed")
        assert set(Counter(server.requests) - second) == {still}
