"""Training: it learns, resumes exactly, stops in an orderly way and names what diverges."""

import json
import math
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline_src.errors import DiskFullError
from pipeline_src.networks.encoder import build_encoder
from pipeline_src.networks.encoder_file import EncoderConfig, save_encoder
from pipeline_src.settings.learning import LossSettings, NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.training import pretrain as module
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.loop import Course, Diverged, train
from pipeline_src.training.pretrain import PretrainSettings, build_loss, pool_batches, pretrain
from pipeline_src.training.schedule import build_optimiser, learning_rate

WEIGHTS = {"rgb.reconstruct": 1.0, "rgb.shuffle": 0.5, "audio~rgb.embed": 0.2}


def settings(iterations: int = 6, **training: Any) -> PretrainSettings:
    return PretrainSettings(
        loss=LossSettings.model_validate({}),
        network=NetworkSettings(video="small_r3d", width=4, decoder_width=4),
        window=WindowSettings(frames=4, crop=16, future_frames=2),
        fit="crop",
        training=TrainingSettings(iterations=iterations, batch_size=4, learning_rate=0.01, device="cpu", **training),
        torch_threads=1,
    )


def run(
    folder: Path, pool: Collection, used: PretrainSettings, weights: dict[str, float] = WEIGHTS, **more: Any
) -> Path:
    folder.mkdir(exist_ok=True)
    pretrain(
        used,
        pool,
        weights,
        {},
        0,
        encoder_path=folder / "encoder.safetensors",
        metrics_path=folder / "metrics.jsonl",
        provenance={},
    )
    return folder


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_training_twice_gives_the_same_bytes(pool: Collection, tmp_path: Path) -> None:
    one, two = run(tmp_path / "a", pool, settings()), run(tmp_path / "b", pool, settings())
    for name in ("encoder.safetensors", "metrics.jsonl"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert not (one / "resume.pt").exists()


def test_the_loss_goes_down(pool: Collection, tmp_path: Path) -> None:
    found = lines(run(tmp_path / "a", pool, settings(iterations=60), {"rgb.reconstruct": 1.0}))
    assert found[-1] == {"event": "end", "status": "ok", "reason": "", "iterations": 60}
    assert found[-2]["total"] < 0.8 * found[0]["total"]


def test_an_interrupted_training_ends_with_the_bytes_of_an_undisturbed_one(
    pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preempted job would otherwise start from zero, or end elsewhere."""
    whole = run(tmp_path / "whole", pool, settings())
    real = module.training_batches

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        for number, batch in enumerate(real(*args, **kwargs)):
            if number == 2:
                os.kill(os.getpid(), signal.SIGUSR1)
            yield batch

    broken = tmp_path / "broken"
    broken.mkdir()
    monkeypatch.setattr(module, "training_batches", interrupted)
    with pytest.raises(SystemExit) as left:
        run(broken, pool, settings())
    assert left.value.code == 128 + signal.SIGUSR1
    assert sorted(path.name for path in broken.iterdir()) == ["resume.pt", "running.jsonl"]
    monkeypatch.setattr(module, "training_batches", real)
    run(broken, pool, settings())
    for name in ("encoder.safetensors", "metrics.jsonl"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


def test_a_checkpoint_of_other_settings_is_not_resumed(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "r.pt", "these").save({"step": 3})
    assert Checkpoint(tmp_path / "r.pt", "these").load() == {"step": 3}
    assert Checkpoint(tmp_path / "r.pt", "others").load() is None


def test_a_broken_or_foreign_checkpoint_starts_training_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.pt"
    path.write_bytes(b"half a file")
    assert Checkpoint(path, "x").load() is None
    assert f"{path} cannot be read, training starts anew" in capsys.readouterr().err
    torch.save({"belongs_to": "x", "state": {"a": Path("not plain data")}}, path)
    assert Checkpoint(path, "x").load() is None


def test_a_diverging_loss_names_its_term(pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = settings()
    loss = build_loss(used, pool, WEIGHTS, {}, 0)
    with torch.no_grad():
        loss.terms["rgb.shuffle"].head[2].bias.fill_(float("nan"))  # type: ignore[index,operator,union-attr]
    course = Course(loss, used.training)
    train(
        [course],
        lambda first: pool_batches(used, pool, loss.views, 0, first, 6, False),
        used.training,
        Checkpoint(tmp_path / "r.pt", "x"),
        torch.device("cpu"),
    )
    assert course.failure == "loss of rgb.shuffle is not finite at iteration 0"


def test_a_diverged_training_leaves_no_model(pool: Collection, tmp_path: Path) -> None:
    used = settings(iterations=30, optimiser="sgd", clip_gradient=1e30)
    used = used.model_copy(update={"training": used.training.model_copy(update={"learning_rate": 1e18})})
    with pytest.raises(Diverged, match=r"rgb.reconstruct is not finite"):
        run(tmp_path / "a", pool, used, {"rgb.reconstruct": 1.0})
    assert not (tmp_path / "a" / "encoder.safetensors").exists()
    lines = [json.loads(line) for line in (tmp_path / "a" / "diverged.jsonl").read_text().splitlines()]
    assert lines[0]["terms"].keys() == {"rgb.reconstruct"}
    assert (lines[-1]["status"], "rgb.reconstruct is not finite" in lines[-1]["reason"]) == ("diverged", True)


def test_no_weights_leave_the_encoder_as_initialised_whatever_the_schedule(pool: Collection, tmp_path: Path) -> None:
    one = run(tmp_path / "a", pool, settings(iterations=3), {})
    two = run(tmp_path / "b", pool, settings(iterations=9), {})
    assert (one / "encoder.safetensors").read_bytes() == (two / "encoder.safetensors").read_bytes()
    assert lines(one) == [{"event": "end", "status": "ok", "reason": "", "iterations": 0}]


def test_metrics_say_each_terms_share(pool: Collection, tmp_path: Path) -> None:
    first = lines(run(tmp_path / "a", pool, settings()))[0]
    assert first["terms"].keys() <= WEIGHTS.keys()
    assert first["terms"]["rgb.shuffle"]["weight"] == 0.5
    total = sum(term["scaled"] for term in first["terms"].values())
    assert first["total"] == pytest.approx(total, rel=1e-5)


def test_a_term_that_no_batch_could_feed_is_told(
    pool: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would look as if it had been trained on."""
    used = settings(iterations=2)
    loss = build_loss(used, pool, {"rgb.reconstruct": 1.0, "audio~rgb.embed": 1.0}, {}, 0)

    def silent(first: int) -> Any:
        for batch in pool_batches(used, pool, loss.views, 0, first, 2, False):
            yield {**batch, "has_sound": torch.zeros_like(batch["has_sound"])}

    checkpoint = Checkpoint(tmp_path / "r.pt", "x")
    train([Course(loss, used.training)], silent, used.training, checkpoint, torch.device("cpu"))
    assert "warning: audio~rgb.embed: no batch had clips for them" in capsys.readouterr().err


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, 0.5, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[9] == pytest.approx(0.5)
    assert rates[55] == pytest.approx(0.25)
    assert rates[-1] == pytest.approx(0.5 * 0.5 * (1 + math.cos(math.pi * 89 / 90)))
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert learning_rate(0, 10, 0.5, 0.0) == 0.5


def test_biases_and_normalisation_have_no_weight_decay() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    decayed, free = build_optimiser(network, TrainingSettings(weight_decay=0.1)).param_groups
    assert [p.ndim for p in decayed["params"]] == [2]
    assert decayed["weight_decay"] == 0.1
    assert len(free["params"]) == 3
    assert free["weight_decay"] == 0


def test_a_disk_that_fills_up_is_told_and_the_earlier_checkpoint_stays(small_disk: Path) -> None:
    """Else hours of training would be lost with the disk's last byte."""
    checkpoint = Checkpoint(small_disk / "resume.pt", "a")
    checkpoint.save({"step": 1})
    with pytest.raises(DiskFullError, match=r"resume\.pt: no disk space left"):
        checkpoint.save({"step": 2, "weights": torch.zeros(100_000)})
    assert checkpoint.load() == {"step": 1}
    assert os.listdir(small_disk) == ["resume.pt"]


def test_an_encoder_that_does_not_fit_on_the_disk_leaves_nothing(small_disk: Path) -> None:
    config = EncoderConfig(
        network=NetworkSettings(video="small_r3d", width=16),
        window=WindowSettings(crop=16),
        frame_rate=8.0,
        height=20,
        width=20,
        mean=(100.0,) * 3,
        std=(50.0,) * 3,
        embedding_size=128,
    )
    with pytest.raises(DiskFullError, match=r"encoder\.safetensors: no disk space left"):
        save_encoder(small_disk / "encoder.safetensors", build_encoder("rgb", "small_r3d", 16), config)
    assert os.listdir(small_disk) == []
