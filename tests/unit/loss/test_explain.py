"""What is said of a loss beforehand is what it then takes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline_src.batches.loader import TrainingWindows, collate
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.loss.explain import cost_of
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.shards.index import Collection
from tests.unit.small_loss import small_loss

ROOT = Path(__file__).resolve().parents[3]
WINDOW = WindowSettings(frames=8, crop=16, future_frames=2)
CLIPS = (0, 1, 4, 6)


def build(pool: Collection, terms: list[str], network: NetworkSettings) -> EvolvedLoss:
    return EvolvedLoss(
        weights=dict.fromkeys(terms, 1.0),
        scales={},
        loss=small_loss(*terms),
        network=network,
        window=WINDOW,
        statistics=statistics_of(pool, ["rgb", "flow", "grey", "audio"]),
        spectrogram=(40, 8),
        seed=5,
    ).train()


PAIRS = ["rgb.reconstruct", "rgb.shuffle", "rgb>flow.translate", "flow~rgb.align", "audio~rgb.embed", "audio.future"]
SHAPES = ["rgb.moco", "rgb.jigsaw", "rgb.shuffle_and_learn"]


@pytest.mark.parametrize(
    ("video", "terms"), [("small_r3d", PAIRS), ("small_r3d", SHAPES), ("r3d_18", PAIRS)], ids=["pairs", "shapes", "r3d"]
)
def test_operations_and_memory_are_those_of_a_real_step(long_pool: Collection, video: str, terms: list[str]) -> None:
    network = NetworkSettings(video=video, width=8, decoder_width=8)  # type: ignore[arg-type]
    loss = build(long_pool, terms, network)
    windows = TrainingWindows(long_pool, WINDOW, loss.views, seed=5)
    batch = collate([windows[(0, position, clip)] for position, clip in enumerate(CLIPS)])
    own = {parameter.untyped_storage()._cdata for parameter in loss.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = loss(batch, 0)
    stored = sum(t.untyped_storage().nbytes() for number, t in kept.items() if number not in own)
    with FlopCounterMode(display=False) as backward:
        losses.total.backward()
    cost = cost_of(loss, network, WINDOW, (40, 8))
    parts = cost.memory(TrainingSettings(batch_size=len(CLIPS)))
    assert 0.9 * stored < parts["views"] + parts["activations"] < 1.5 * stored
    whole = counter.get_total_flops() + backward.get_total_flops()
    # The pictures themselves need no gradient, which is left out of the account.
    assert 0.95 * whole < cost.flops * len(CLIPS) < 1.25 * whole
    assert parts["parameters and gradients"] == 8 * sum(p.numel() for p in loss.parameters() if p.requires_grad)
    assert parts["queues"] >= 32 * 8 * 4 * ("rgb.moco" in terms)


def test_processes_and_optimisers_count(long_pool: Collection) -> None:
    network = NetworkSettings(video="small_r3d", width=8)
    cost = cost_of(build(long_pool, ["rgb.moco"], network), network, WINDOW, (40, 8))
    one = cost.memory(TrainingSettings(batch_size=8))
    half = cost.memory(TrainingSettings(batch_size=8, processes=2, optimiser="sgd"))
    assert half["activations"] == one["activations"] // 2
    assert half["optimiser"] == one["optimiser"] // 2
    assert one["momentum encoders"] > 0


def explain(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline_src.stages.explain_loss", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_every_term_is_listed_with_its_source() -> None:
    told = explain("--list").stdout
    for term, family in catalogue.terms().items():
        assert f"    {term}\n" in f"{told}\n"
        assert f"{family} (" in told
        assert catalogue.source(family) in told
    assert "ubernce (contrast, reads labels)" in told


def test_the_demo_s_loss_is_explained() -> None:
    told = explain()
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("48 terms share 15 encoded views of windows of 8 frames of 32 x 32, sound 62 x 40.")
    assert "audio~rgb.align          audio:plain, rgb:plain, audio:shifted" in told.stdout
    assert "together, about" in told.stdout


def test_weights_of_another_run_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text('{"rgb.nothing": 1.0}')
    told = explain("--weights", str(tmp_path / "weights.json"))
    assert told.returncode == 2
    assert told.stderr.startswith("error: ")
    assert "terms that loss.terms does not have" in told.stderr
    (tmp_path / "weights.json").write_text('{"rgb.shuffle": 1.0, "rgb.future": 0.0}')
    told = explain("--weights", str(tmp_path / "weights.json"))
    assert told.stdout.startswith("1 terms share 2 encoded views")


def test_a_lineup_s_term_is_explained_that_the_search_does_not_have(tmp_path: Path) -> None:
    """It was refused as a term that loss.terms does not have."""
    config = tmp_path / "own.yaml"
    config.write_text(
        "lineup: [{name: own, kind: single, term: rgb.moco, settings: {queue: 64}}, {name: e, kind: evolved}]"
    )
    told = explain("--configfile", "config/config.yaml", str(config), "--entry", "own")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("1 terms share")
    assert "rgb.moco" in told.stdout
    told = explain("--configfile", "config/config.yaml", str(config), "--entry", "e")
    assert (told.returncode, told.stderr) == (
        2,
        "error: --entry: 'e' - allowed: entries with a term of their own: own\n",
    )


def test_explaining_leaves_the_loss_as_it_is(long_pool: Collection) -> None:
    """Decoders were left without weights."""
    network = NetworkSettings(video="small_r3d", width=8, decoder_width=8)
    loss = build(long_pool, ["rgb.reconstruct"], network)
    cost_of(loss, network, WINDOW, (40, 8))
    assert all(parameter.device.type == "cpu" for parameter in loss.parameters())
