"""Exported encoders: what anyone may hand over is checked and never executed; the hub gives the pipeline's network."""

import json
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline_src.batches.normalise import normalise
from pipeline_src.embedding.exported import KEY, load_exported
from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import Features
from pipeline_src.networks.encoder_file import load_encoder
from tests.exported import make_encoder, make_export
from tests.tiny_run import ROOT


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], None]) -> Path:
    file = folder / "encoder.safetensors"
    tensors = load_file(file)
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    format = json.loads(metadata[KEY])
    change(tensors, format)
    save_file(tensors, file, {**metadata, KEY: json.dumps(format)})
    return folder


def test_the_hub_gives_the_network_with_its_normalisation(tmp_path: Path) -> None:
    folder = make_export(tmp_path / "results" / "run" / "export" / "evolved")
    frames = torch.randint(0, 256, (3, 4, 24, 24, 3), dtype=torch.uint8)
    with torch.inference_mode():
        layers = make_encoder()(normalise(frames, "rgb", {"rgb": ([110.0, 120.0, 130.0], [60.0, 55.0, 50.0])}))
    wanted = Features(layers).pooled
    for run in (folder, tmp_path / "results" / "run"):
        encoder = torch.hub.load(str(ROOT), "rgb_encoder", source="local", run=run)
        assert not encoder.training
        with torch.inference_mode():
            ours = frames.permute(0, 4, 1, 2, 3)
            torch.testing.assert_close(encoder(ours), wanted, rtol=0, atol=1e-5)
            torch.testing.assert_close(encoder(ours.float()), wanted, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"allowed: \(N, 3, T, H, W\)"):
        encoder(frames)


def test_an_export_is_still_an_encoder_of_the_pipeline(tmp_path: Path) -> None:
    encoder, config = load_encoder(make_export(tmp_path) / "encoder.safetensors")
    assert config.embedding_size == 32
    for ours, theirs in zip(encoder.parameters(), make_encoder().parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    make_export(tmp_path / "export" / "uniform")
    with pytest.raises(UserError, match=r"no export of 'evolved' - allowed: uniform"):
        load_exported(tmp_path)
    with pytest.raises(UserError, match=r"results/RUN/export/ENTRY"):
        load_exported(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="an encoder that is not exported"):
        load_exported(tmp_path / "export" / "uniform" / "model.safetensors")


def test_foreign_files_are_refused_and_not_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    path = tmp_path / "encoder.safetensors"
    for content in (pickle.dumps(Evil()), b"", b"text", b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not an exported encoder"):
            load_exported(tmp_path)
    torch.save(Evil(), path)
    with pytest.raises(UserError, match="not an exported encoder"):
        load_exported(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_tensors_of_other_shapes_are_refused(tmp_path: Path) -> None:
    def shrink(tensors: dict[str, torch.Tensor], format: dict[str, Any]) -> None:
        name = next(name for name in tensors if tensors[name].dim() == 5)
        tensors[name] = tensors[name][:1].clone()

    with pytest.raises(UserError, match=r"has shape \(1, .* small_r3d needs"):
        load_exported(rewrite(make_export(tmp_path), shrink))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("architecture", "os.system"),
        ("network_width", 10**9),
        ("network_width", 4.5),
        ("frames", True),
        ("frame_rate", float("nan")),
        ("crop", 64),
        ("fit", ["crop"]),
        ("mean", [1, 2]),
        ("std", [0, 1, 1]),
        ("embedding_size", 31),
        ("height", "32"),
        ("architecture", []),
    ],
)
def test_impossible_values_are_told_by_name(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"encoder.safetensors: .*{name}"):
        load_exported(rewrite(make_export(tmp_path), lambda tensors, format: format.update({name: value})))


def test_a_configuration_that_asks_for_more_than_a_machine_has_is_refused_at_once(tmp_path: Path) -> None:
    """Each value is within its own range."""
    huge = {"height": 1024, "width": 1024, "crop": 1024, "frames": 256}
    for change, told in (
        ({**huge, "windows": 2}, "2 windows of 256x1024x1024 pixels - allowed: at most 268435456"),
        ({**huge, "frames": 64, "windows": 100}, "windows of"),
        ({"network_width": 256}, "has shape"),
    ):
        folder = rewrite(make_export(tmp_path), lambda tensors, format, change=change: format.update(change))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(UserError, match=told):
            load_exported(folder)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    """Such a window may come from another run's encoder."""
    with pytest.raises(
        UserError, match=r"encoder.safetensors: 100 windows of 64x224x224 pixels - allowed: at most 268435456"
    ):
        make_export(tmp_path, height=224, width=224, window={"frames": 64, "crop": 224}, windows=100)
    assert not (tmp_path / "encoder.safetensors").exists()


def test_a_large_window_costs_nothing_before_its_use(tmp_path: Path) -> None:
    large = {"height": 1024, "width": 1024, "crop": 1024, "frames": 256, "windows": 1}
    folder = rewrite(make_export(tmp_path), lambda tensors, format: format.update(large))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load_exported(folder).format.frames == 256
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_missing_and_unknown_values_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="export it again"):
        load_exported(rewrite(make_export(tmp_path), lambda tensors, format: format.pop("fit")))
    with pytest.raises(UserError, match="more"):
        load_exported(rewrite(make_export(tmp_path), lambda tensors, format: format.update(more=1)))


def test_encoders_have_names_of_their_own(tmp_path: Path) -> None:
    one, two = (load_exported(make_export(tmp_path / str(seed), make_encoder(seed))) for seed in (0, 1))
    assert one.name != two.name
    assert one.name.startswith("small_r3d, 4x24x24 of 32x32 pixels at 8 frames/s, 32 numbers, ")
    assert np.allclose(one.mean.ravel(), [110, 120, 130])
