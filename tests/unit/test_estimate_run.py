"""The estimate says what a run will take: wrong counts or hidden assumptions would mislead before an expensive run."""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline_src.report.run_cost import disk, hours
from pipeline_src.report.run_size import collection_size, job_counts, submissions
from pipeline_src.settings.clips import CollectionSettings
from pipeline_src.settings.run import RunSettings, load_settings
from pipeline_src.stages.estimate_run import estimate, read_config
from tests.tiny_run import ROOT, TINY, Project, copy_project, jobs

Config = dict[str, Any]


def sized(config: Config) -> tuple[RunSettings, dict[str, int]]:
    run = load_settings(copy.deepcopy(config))
    return run, job_counts(run, {name: collection_size(name, run.collections[name]) for name in run.used_collections})


def command(*files: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pipeline_src.stages.estimate_run", "--configfile", *map(str, files)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, env=environment)


def pretend_planned(project: Project, run: RunSettings) -> None:
    """Leave behind what rendering and planning would, so that a dry-run sees beyond the checkpoint."""
    for name in run.used_collections:
        collection, folder = run.collections[name], project.folder / run.data_root / name
        if collection.source.kind == "world":
            (folder / "world").mkdir(parents=True)
            (folder / "world" / "videos.csv").touch()
        (folder / "plan").mkdir(parents=True)
        shards = [f"{k:06d}" for k in range(collection_size(name, collection).shards)]
        for shard in shards:
            (folder / "plan" / f"{shard}.csv").touch()
        entries = [{"shard": shard, "clips": 1, "content": shard} for shard in shards]
        (folder / "plan" / "shards.json").write_text(json.dumps({"shards": entries}))


@pytest.mark.parametrize("name", ["demo", "tiny"])
def test_job_counts_are_those_of_a_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    project = copy_project(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    (project.folder / "videos").mkdir()
    for number in range(23):
        (project.folder / "videos" / f"{number}.mp4").touch()
    config = TINY if name == "tiny" else yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    project.configure(config)
    run, counts = sized(config)
    first = project.planned()
    after_plans = ("fetch_clips", "decode_clips", "extract_flow", "extract_grey", "extract_audio", "all")
    assert first == {rule: count for rule, count in counts.items() if rule not in after_plans}
    pretend_planned(project, run)
    dry_run = project.snakemake("--dry-run", "--rerun-triggers", "mtime")
    second = jobs(dry_run)
    done = ("render_world", "plan_clips", "all")
    assert second == {rule: count for rule, count in counts.items() if rule not in done}
    total = re.search(r"^total +(\d+)", dry_run.stdout + dry_run.stderr, re.M)
    assert total is not None
    assert int(total.group(1)) == sum(counts.values()) - sum(counts.get(rule, 0) for rule in done[:2])


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """A configuration whose pool is a list of so many videos."""
    monkeypatch.chdir(tmp_path)

    def make(videos: int, **plan: Any) -> Config:
        with open("list.csv", "w") as file:
            file.write("path,start\n")
            file.writelines(
                f"https://videos.example/watch?v={number:011d},{number % 600}\n" for number in range(videos)
            )
        config = copy.deepcopy(TINY)
        source = {"kind": "list", "path": "list.csv", "start_column": "start"}
        config["collections"]["pool"] = {
            "source": source,
            "plan": {"duration_s": 10, "clips_per_shard": 100, **plan},
            "modalities": ["rgb", "flow", "grey", "audio"],
        }
        return config

    return make


def test_figures_scale_with_what_they_are_made_of(listed: Callable[..., Config]) -> None:
    def figures(config: Config) -> tuple[dict[str, int], dict[str, float]]:
        run = load_settings(copy.deepcopy(config))
        sizes = {name: collection_size(name, run.collections[name]) for name in run.used_collections}
        space = {row.kind: row.total for row in disk(run, sizes) if row.owner == "pool"}
        return space, {row.stage: row.cpu for row in hours(run, sizes, job_counts(run, sizes), has_gpu=False)}

    plain = listed(1000)
    space, time_h = figures(plain)
    assert space["rgb"] == pytest.approx(1000 * 80 * 32 * 32 * 3 * 0.12, rel=1e-6)
    twice, twice_h = figures(listed(2000))
    assert twice["flow"] == pytest.approx(2 * space["flow"], rel=1e-6)
    assert twice_h["extract_flow"] == pytest.approx(2 * time_h["extract_flow"])
    assert twice_h["pretrain_model"] == time_h["pretrain_model"]
    listed(1000)
    large, large_h = figures({**plain, "decode": {**plain["decode"], "height": 64, "width": 64}})
    assert large["grey"] == pytest.approx(4 * space["grey"], rel=1e-6)
    assert large["sound"] == space["sound"]
    assert large_h["extract_grey"] == pytest.approx(4 * time_h["extract_grey"])
    _, searched_h = figures({**plain, "search": {"population": 6, "generations": 10}})
    assert searched_h["try_weights"] == pytest.approx(15 * time_h["try_weights"])
    # 9 of a third of the steps, 3 of them go on for two thirds: 5 of 9 trainings.
    halving = {"population": 9, "generations": 10, "trials": {"rungs": 2}}
    longer = {**plain, "proxy": {**plain["proxy"], "iterations": 30}}
    _, whole_h = figures({**longer, "search": {"population": 9, "generations": 10}})
    _, halved_h = figures({**longer, "search": halving})
    assert halved_h["try_weights"] == pytest.approx(5 / 9 * whole_h["try_weights"])
    _, seeds_h = figures({**plain, "seeds": [0, 1, 2]})
    assert seeds_h["pretrain_model"] == pytest.approx(3 * time_h["pretrain_model"])
    assert seeds_h["evaluate_finetune"] == pytest.approx(3 * time_h["evaluate_finetune"])


def test_gpu_hours_go_where_the_device_says(listed: Callable[..., Config]) -> None:
    config = listed(10)
    config["proxy"]["device"] = "cuda"
    config["transfer"]["finetune"]["device"] = "cpu"
    run, counts = sized(config)
    sizes = {name: collection_size(name, run.collections[name]) for name in run.used_collections}
    for has_gpu in (False, True):
        found = {row.stage: row.gpu for row in hours(run, sizes, counts, has_gpu)}
        assert found["try_weights"] > 0
        assert found["evaluate_finetune"] == found["decode_clips"] == 0
        assert (found["pretrain_model"] > 0) == has_gpu


def test_earlier_runs_are_measured_and_said_so(listed: Callable[..., Config]) -> None:
    config = listed(1000)
    run = load_settings(config)
    pool = Path("data/pool")
    for folder in ("plan", "frames", "benchmarks/decode_clips"):
        (pool / folder).mkdir(parents=True)
    (pool / "plan" / "shards.json").write_text('{"shards": [{"shard": "000000", "clips": 100, "content": ""}]}')
    (pool / "frames" / "000000.h5").write_bytes(bytes(50_000))
    (pool / "benchmarks" / "decode_clips" / "000000.tsv").write_text("s\th:m:s\n36\t0:00:36\n")
    for number, (seconds, steps) in enumerate(((10, 4), (20, 4), (900, 4))):
        name = f"search_000_0_0_00{number}"
        made = Path("results/earlier/search/gen_000/rung_0/seed_0") / f"job_00{number}"
        made.mkdir(parents=True)
        (made / "metrics.jsonl").write_text(json.dumps({"event": "end", "iterations": steps}) + "\n")
        benchmark = Path("results/earlier/benchmarks/try_weights") / f"{name}.tsv"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f"s\n{seconds}\n")
    sizes = {name: collection_size(name, run.collections[name]) for name in run.used_collections}
    space = {(row.owner, row.kind): row for row in disk(run, sizes)}
    assert space["pool", "rgb"].total == 500_000
    assert space["pool", "rgb"].origin.startswith("measured")
    assert space["pool", "flow"].origin.startswith("default")
    found = {row.stage: row for row in hours(run, sizes, job_counts(run, sizes), has_gpu=False)}
    cores = min(8, os.cpu_count() or 1)
    assert found["decode_clips"].cpu == pytest.approx((1000 + 48) * 0.36 * cores / 3600)
    assert "data/pool" in found["decode_clips"].origin
    assert found["try_weights"].cpu == pytest.approx(4 * 4 * 5 / 3600)
    assert "results/earlier" in found["try_weights"].origin
    assert found["pretrain_model"].origin.startswith("default")
    for row in [*space.values(), *found.values()]:
        assert row.origin.startswith(("measured", "default"))


def test_a_search_individual_is_one_cluster_job(listed: Callable[..., Config]) -> None:
    config = listed(1000)
    for share in (1, 2):
        few = {**config["search"], "trials": {"share": share}}
        (_, before), (_, after) = (
            sized({**config, "search": few}),
            sized({**config, "search": {**few, "generations": 12}}),
        )
        assert submissions(after) - submissions(before) == 10 * 2 / share


def test_clips_of_a_list_are_its_distinct_rows(listed: Callable[..., Config]) -> None:
    config = listed(100)
    with open("list.csv", "a") as file:
        file.write("https://videos.example/watch?v=00000000000,0\nown.mp4,3\n\n")
    run = load_settings(config)
    size = collection_size("pool", run.collections["pool"])
    assert (size.videos, size.clips, size.shards, size.addresses) == (101, 101, 2, 100)
    del config["collections"]["pool"]["source"]["start_column"]
    config["collections"]["pool"]["plan"]["per_video"] = 3
    size = collection_size("pool", load_settings(config).collections["pool"])
    assert (size.videos, size.clips, size.shards) == (101, 303, 4)
    assert "at most 3 clips each" in size.origin


def test_two_million_clips_are_counted_without_torch(listed: Callable[..., Config], tmp_path: Path) -> None:
    config = listed(2_000_000, clips_per_shard=1000)
    Path("run.yaml").write_text(yaml.safe_dump(config))
    done = command("run.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^pool +2,000,000 +2,000,000 +2,000 ", done.stdout, re.M)
    imports = "import sys, pipeline_src.stages.estimate_run\nassert not {'torch', 'cv2', 'h5py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", imports], cwd=ROOT, check=True, timeout=60)


def test_later_files_win_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("run: one\ndecode: {height: 64, width: 64}\n")
    (tmp_path / "b.yaml").write_text("decode: {width: 32}\n")
    found = read_config([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert found == {"run": "one", "decode": {"height": 64, "width": 32}}


def test_a_wrong_configuration_is_one_line_as_in_a_run(tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text(yaml.safe_dump({**TINY, "decod": {}}))
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(TINY))
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    project = copy_project(tmp_path / "project")
    for name, part in (("typo", "did you mean 'decode'"), ("gone", "no such folder")):
        done = command(tmp_path / f"{name}.yaml", folder=project.folder)
        assert (done.returncode, done.stdout) == (2, "")
        (project.folder / "tiny.yaml").write_text((tmp_path / f"{name}.yaml").read_text())
        started = project.snakemake("--dry-run", check=False)
        line = next(line for line in started.stderr.splitlines() if line.startswith("error: "))
        assert done.stderr == f"{line}\n"
        assert part in line
    for name in ("list", "broken", "none"):
        done = command(tmp_path / f"{name}.yaml")
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert f"{name}.yaml" in done.stderr


def test_a_world_and_a_folder_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("videos").mkdir()
    for name in ("a.mp4", "b.mkv", "notes.txt"):
        (Path("videos") / name).touch()
    text = estimate(load_settings(copy.deepcopy(TINY)))
    assert re.search(r"^pool +2 +2 +1 +files in videos$", text, re.M)
    assert re.search(r"^labelled +48 +48 +2 +the setting videos$", text, re.M)


def test_a_benchmark_is_counted_by_its_files(tmp_path: Path) -> None:
    for name in ("wave/a.avi", "clap/b.avi", "clap/c.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = {"kind": "benchmark", "name": "hmdb51", "path": str(tmp_path)}
    assert collection_size("set", CollectionSettings.model_validate({"source": source})).videos == 3


@pytest.mark.parametrize("suffix", ["csv", "txt", "parquet"])
def test_lists_of_every_kind_count_videos_and_addresses(tmp_path: Path, suffix: str) -> None:
    names = ["https://h/a.mp4", "dQw4w9WgXcQ", "here.mp4", "https://h/a.mp4"]
    path = tmp_path / f"list.{suffix}"
    if suffix == "parquet":
        pd.DataFrame({"path": names}).to_parquet(path)
    else:
        path.write_text("\n".join(names if suffix == "txt" else ["path", *names]) + "\n")
    source = {"kind": "list", "path": str(path)}
    found = collection_size("pool", CollectionSettings.model_validate({"source": source}))
    assert (found.videos, found.addresses) == (3, 2)


def test_spare_candidates_are_no_clips_but_fill_shards() -> None:
    collection = {"source": {"kind": "youtube", "videos": 1200}, "plan": {"clips_per_shard": 100, "spare": 0.2}}
    found = collection_size("pool", CollectionSettings.model_validate(collection))
    assert (found.videos, found.clips, found.shards) == (1200, 1000, 10)
