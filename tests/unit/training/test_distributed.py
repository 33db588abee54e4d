"""Several processes train as one does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline_src.errors import UserError
from pipeline_src.settings import catalogue
from pipeline_src.shards.index import Collection
from pipeline_src.training.distributed import together
from tests.unit.conftest import write_pool
from tests.unit.training.stage_run import pretrain_model, wait_for_checkpoint

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def alone_and_shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("shared")
    # No clip without motion, whose flow keys would all be equally near: which of equals is mined is rounding's choice.
    index = str(write_pool(folder / "pool", lengths=(24, 30, 18, 21, 30, 22, 26, 20)).folder / "index.json")

    def start(name: str, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.unit.training.two_processes", index, str(folder / name), "5", *more]
        return subprocess.Popen(command, cwd=ROOT)

    started = [start("one"), *(start(f"two{rank}", str(rank), "2", str(folder / "store")) for rank in (0, 1))]
    assert [process.wait(timeout=300) for process in started] == [0, 0, 0]
    return [torch.load(folder / name, weights_only=True) for name in ("one", "two0", "two1")]


def differing(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], kind: str) -> list[str]:
    names = {name for name in one | two if name.startswith(kind)}
    return [
        name
        for name in sorted(names)
        if name not in one or name not in two or not torch.allclose(one[name], two[name], rtol=1e-6, atol=1e-9)
    ]


def test_gradients_of_all_terms_are_equal_after_one_step(alone_and_shared: list[dict[str, torch.Tensor]]) -> None:
    """Batch statistics, gathered negatives, Sinkhorn, and sound, which the shares have unequally many clips of."""
    one, first, second = alone_and_shared
    assert int(one["terms 0"]) == len(catalogue.terms())
    assert sum(name.startswith("gradient") for name in one) > 300
    assert differing(one, first, "gradient") == []
    assert differing(first, second, "gradient") == []


def test_parameters_queues_and_momentum_encoders_are_equal_after_five_steps(
    alone_and_shared: list[dict[str, torch.Tensor]],
) -> None:
    one, first, second = alone_and_shared
    assert sum("queue" in name for name in one) >= 6
    assert differing(one, first, "state") == []
    assert differing(first, second, "state") == []


def test_the_stage_trains_on_several_processes_as_on_one(
    long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = long_pool.folder / "index.json"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    for name, processes in (("one", 1), ("two", 2)):
        # AdamW takes steps as long where a gradient is all rounding: that of few clips would not compare.
        training = {"processes": processes, "iterations": 4, "optimiser": "sgd", "learning_rate": 0.05}
        started = pretrain_model(tmp_path / name, index, **training)
        told = started.communicate(timeout=200)[1]
        assert started.returncode == 0, told
    one, two = (load_file(tmp_path / name / "encoder.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5)
    assert not (tmp_path / "two" / "resume.pt").exists()
    assert (tmp_path / "two" / "config.json").exists()
    metrics = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    assert len(metrics[0]) == len(metrics[1]) == 5
    first, second = (json.loads(lines[0]) for lines in metrics)
    assert second["total"] == pytest.approx(first["total"], rel=1e-4)
    assert not [path for path in temporary.iterdir() if path.name.startswith(("torchrun", "torchelastic"))]


def test_a_signal_makes_all_processes_save_and_leave_and_the_next_run_goes_on(
    long_pool: Collection, tmp_path: Path
) -> None:
    index = long_pool.folder / "index.json"
    saved = [0]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        # Where it runs, how often it saves: none of that makes a state a foreign one.
        machine = {"processes": 1 if number == signal.SIGUSR1 else 2, "checkpoint_every_s": 1 + number}
        started = pretrain_model(tmp_path, index, iterations=100_000, **machine)
        wait_for_checkpoint(tmp_path, started)
        started.send_signal(number)
        told = started.communicate(timeout=100)[1]
        assert started.returncode == 128 + number
        assert told.count("saved at iteration") == 1
        assert told.count(f"resuming at iteration {saved[-1]} ") == (saved[-1] > 0)
        assert "Traceback" not in told
        saved.append(torch.load(tmp_path / "resume.pt", weights_only=True)["state"]["step"])
        assert saved[-1] > saved[-2]
    assert not (tmp_path / "encoder.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_to_the_whole_group_leaves_the_readers_be_until_the_state_is_saved(
    long_pool: Collection, tmp_path: Path, number: int
) -> None:
    started = pretrain_model(
        tmp_path, long_pool.folder / "index.json", iterations=100_000, workers=2, checkpoint_every_s=1
    )
    wait_for_checkpoint(tmp_path, started)
    os.killpg(started.pid, number)
    told = started.communicate(timeout=100)[1]
    assert "Traceback" not in told
    assert started.returncode == 128 + number
    assert told.count("saved at iteration") == 1


def test_what_all_processes_fail_at_is_told_once(long_pool: Collection, tmp_path: Path) -> None:
    diverging = {"learning_rate": 100.0, "optimiser": "sgd", "clip_gradient": 1e30}
    started = pretrain_model(tmp_path, long_pool.folder / "index.json", processes=2, **diverging)
    told = started.communicate(timeout=200)[1]
    assert started.returncode == 2
    last = told.strip().splitlines()[-1]
    assert last.startswith("error: final.learning_rate: 100 - ")
    assert told.count("error:") == 1
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [("UserError", 2, "error: only 1 fails"), ("OSError", 1, "error: process 1 of 2 ended with 1")],
)
def test_what_one_process_fails_at_is_told(error: str, code: int, last: str) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "tests.unit.training.failing", error], cwd=ROOT, capture_output=True, text=True
    )
    assert started.returncode == code
    assert started.stderr.strip().splitlines()[-1] == last
    assert ("OSError: only 1 fails" in started.stderr) == (error == "OSError")


def test_too_few_processes_are_told() -> None:
    with pytest.raises(UserError, match=r"processes: 3 - torchrun started 1"), together(torch.device("cpu"), 3):
        pass
