"""Edit X, and exactly the rules Y run again: what users rely on when they change something after days of work."""

import ast
import copy
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import TINY, Project, jobs, render_videos

pytestmark = pytest.mark.slow

FEATURES = {"render_world", "plan_clips", "fetch_clips", "decode_clips", "extract_grey", "extract_audio"}
TRAINING = {"try_weights": 2, "try_controls": 1, "pretrain_model": 2, "score_model": 2}
METHODS = ("kmeans", "linear", "fewer_labels", "retrieval", "finetune", "probes")
EVALUATION = {"embed_collection": 2, **{f"evaluate_{method}": 2 for method in METHODS}}


def edit(project: Project, path: str, old: str, new: str) -> None:
    file = project.folder / "pipeline_src" / path
    text = file.read_text()
    assert old in text, f"{path} has no {old!r}"
    file.write_text(text.replace(old, new, 1))


def changed(project: Project, path: str, value: Any) -> None:
    config = copy.deepcopy(TINY)
    *parents, last = path.split(".")
    section = config
    for name in parents:
        section = section.setdefault(name, {})
    section[last] = value
    project.configure(config)


def test_a_finished_run_has_nothing_to_do(edited: Project) -> None:
    done = edited.snakemake()
    assert "Nothing to be done" in done.stdout + done.stderr


def test_comments_and_docstrings_anywhere_rerun_nothing(edited: Project) -> None:
    for file in (edited.folder / "pipeline_src").rglob("*.py"):
        text = file.read_text()
        docstring = ast.get_docstring(ast.parse(text), clean=False)
        if docstring:
            text = text.replace(docstring, docstring + " And more.", 1)
        file.write_text(text + "\n# A remark.\n")
    assert edited.planned() == {}


def test_touching_every_file_as_a_fresh_checkout_does_reruns_nothing(edited: Project) -> None:
    for file in (edited.folder / "pipeline_src").rglob("*.py"):
        file.touch()
    (edited.folder / "Snakefile").touch()
    assert edited.planned() == {}


def test_a_new_task_flow_method_or_strategy_that_nobody_chose_reruns_nothing(edited: Project) -> None:
    package = edited.folder / "pipeline_src"
    for source, target in (
        ("tasks/backward.py", "tasks/backward2.py"),
        ("features/flow/dis.py", "features/flow/dis2.py"),
        ("evolution/strategies/tournament.py", "evolution/strategies/tournament2.py"),
    ):
        text = (package / source).read_text()
        (package / target).write_text(text.replace('"rgb.', '"rgb.new_').replace('"flow.', '"flow.new_'))
    assert edited.planned() == {}


def test_an_edited_flow_method_reruns_flow_and_what_depends_on_it_but_no_decoding(edited: Project) -> None:
    edit(edited, "features/flow/dis.py", "\nSETTINGS", "\nEDITED = 1\nSETTINGS")
    planned = edited.planned()
    assert planned["extract_flow"] == 3
    assert planned["try_weights"] == 2
    assert not FEATURES & planned.keys()


def test_an_edited_flow_method_that_is_not_chosen_reruns_nothing(edited: Project) -> None:
    edit(edited, "features/flow/tvl1.py", "\nSETTINGS", "\nEDITED = 1\nSETTINGS")
    assert edited.planned() == {}


def test_another_flow_method_reruns_flow_and_what_depends_on_it_but_no_decoding(edited: Project) -> None:
    changed(edited, "flow", {"method": "tvl1_torch"})
    planned = edited.planned()
    assert planned["extract_flow"] == 3
    assert not FEATURES & planned.keys()


def test_motion_vectors_fetch_the_videos_again_because_these_are_temporary(edited: Project) -> None:
    changed(edited, "flow", {"method": "motion_vectors"})
    done = edited.snakemake("--dry-run", "--printshellcmds")
    assert jobs(done).items() >= {"fetch_clips": 3, "extract_flow": 3}.items()
    command = next(line for line in done.stdout.splitlines() if "stages.extract_flow" in line)
    assert "--plan data/pool/plan/00000" in command
    assert "--fetched data/pool/status/fetch/00000" in command


def test_an_edited_active_term_reruns_training_but_no_feature(edited: Project) -> None:
    edit(edited, "tasks/shuffle.py", "\nSETTINGS", "\nEDITED = 1\nSETTINGS")
    planned = edited.planned()
    assert planned.items() >= {**TRAINING, "calibrate_loss": 1}.items()
    assert not (FEATURES | {"extract_flow", "index_collection"}) & planned.keys()


def test_an_edited_term_that_is_not_active_reruns_nothing(edited: Project) -> None:
    edit(edited, "tasks/embed.py", "\nSETTINGS", "\nEDITED = 1\nSETTINGS")
    assert edited.planned() == {}


def test_a_changed_probe_setting_reruns_that_probe_and_the_report(edited: Project) -> None:
    changed(edited, "transfer.linear", {"inverse_regularisation": [0.5]})
    after = {"collect_results": 1, "export_encoder": 1, "write_report": 1}
    reread = {"evaluate_linear": 2, "evaluate_fewer_labels": 2, "evaluate_probes": 2, "evaluate_baselines": 1}
    assert edited.planned() == {**reread, **after}
    changed(edited, "transfer.fewer_labels.linear", ["2shot"])
    assert edited.planned() == {"evaluate_fewer_labels": 2, "collect_results": 1, "write_report": 1}


def test_what_a_failed_fetch_advises_fetches_nothing_again(edited: Project) -> None:
    config = copy.deepcopy(TINY)
    config["fetch"] = {"timeout_s": 500, "retries": 9, "sleep_s": 5, "rate_limit": 10**6, "keep_media": True}
    config["fetch"] |= {"proxy": "http://proxy.example:3128", "cookies": "cookies.txt"}
    edited.configure(config)
    assert edited.planned() == {}
    config["fetch"]["min_height"] = 240
    edited.configure(config)
    assert edited.planned()["fetch_clips"] == 5


def test_where_and_how_jobs_run_reruns_nothing(edited: Project) -> None:
    config = copy.deepcopy(TINY)
    for *parents, last in (
        ("proxy", "workers"),
        ("proxy", "device"),
        ("final", "workers"),
        ("final", "processes"),
        ("final", "tensorboard"),
        ("final", "checkpoint_every_s"),
        ("final", "device"),
        ("fitness", "embed", "device"),
        ("transfer", "embed", "device"),
        ("transfer", "finetune", "device"),
    ):
        section = config
        for name in parents:
            section = section.setdefault(name, {})
        section[last] = {"device": "cpu", "tensorboard": True, "processes": 2}.get(last, 1)
    edited.configure(config)
    assert edited.planned() == {}


def test_a_changed_fitness_setting_searches_again_on_the_same_features_and_scales(edited: Project) -> None:
    changed(edited, "fitness.zipf.exponent", 1.5)
    planned = edited.planned()
    assert planned["try_weights"] == 2
    assert planned["score_model"] == 2
    assert not (FEATURES | {"extract_flow", "index_collection", "calibrate_loss"}) & planned.keys()


def test_a_label_corrected_in_the_plan_reaches_the_index(edited: Project) -> None:
    plan = edited.folder / "data/labelled/plan/000000.csv"
    before = plan.read_bytes()
    label = before.decode().splitlines()[1].split(",")[-2]
    plan.write_bytes(before.replace(label.encode(), b"corrected", 1))
    assert edited.planned()["index_collection"] == 1


def test_one_more_generation_runs_exactly_one_generation(edited: Project) -> None:
    changed(edited, "search.generations", 3)
    planned = edited.planned()
    for rule, number in {
        "propose_weights": 1,
        "try_weights": 1,
        "rank_generation": 1,
        "collect_individuals": 1,
        "choose_weights": 1,
        "pretrain_model": 1,
        "evaluate_finetune": 1,
    }.items():
        assert planned[rule] == number, rule
    assert not (FEATURES | {"calibrate_loss", "try_controls", "score_controls"}) & planned.keys()


def test_another_population_from_a_generation_on_leaves_the_earlier_ones_alone(edited: Project) -> None:
    changed(edited, "search.larger", {1: 3})
    planned = edited.planned()
    assert planned["propose_weights"] == planned["rank_generation"] == 1
    assert planned["try_weights"] == 2


def test_one_more_lineup_entry_trains_only_that_entry(edited: Project) -> None:
    changed(edited, "lineup", [*TINY["lineup"], {"name": "random", "kind": "random"}])
    planned = edited.planned()
    assert planned["pretrain_model"] == 1
    assert "try_weights" not in planned


def test_best_of_random_is_a_search_of_its_own_as_large_as_the_first(edited: Project) -> None:
    changed(edited, "lineup", [*TINY["lineup"], {"name": "lucky", "kind": "best_of_random"}])
    planned = edited.planned()
    assert planned["propose_weights"] == planned["rank_generation"] == 2
    assert planned["try_weights"] == 2
    assert planned["pretrain_model"] == 1
    assert "try_controls" not in planned


def test_a_longer_search_training_leaves_calibration_and_features_alone(edited: Project) -> None:
    """Scales come from untrained networks: else every model would be trained again, too."""
    changed(edited, "proxy.iterations", 5)
    planned = edited.planned()
    assert planned["try_weights"] == 2
    assert not {"calibrate_loss", "decode_clips", "extract_flow"} & planned.keys()


def test_more_cores_rerun_nothing(edited: Project) -> None:
    assert edited.planned("--cores", "7") == {}


def test_one_new_video_decodes_exactly_one_shard_anew(edited: Project, tmp_path: Path) -> None:
    """Real runs: the plan is a checkpoint, past which a dry-run cannot see."""
    index = "data/pool/index.json"
    shards = {path.name: path.stat().st_mtime_ns for path in (edited.folder / "data/pool/frames").glob("*.h5")}
    assert len(shards) == 3
    render_videos(tmp_path / "more", 31)
    added = sorted((tmp_path / "more").glob("*.mp4"))[-1]
    video = edited.folder / "videos" / "zz new.mp4"
    video.write_bytes(added.read_bytes())
    edited.snakemake(index)
    after = {path.name: path.stat().st_mtime_ns for path in (edited.folder / "data/pool/frames").glob("*.h5")}
    anew = {name for name, written in after.items() if shards.get(name) != written}
    assert anew == {"000003.h5"}
    video.unlink()
    edited.snakemake(index)
    # The same videos as at first: the rest of the run is up to date again, because the index has the same content.
    assert jobs(edited.snakemake("--dry-run")) == {}
