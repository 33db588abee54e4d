"""Weights from elsewhere."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.video import r3d_18

from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import Features, build_encoder
from pipeline_src.networks.encoder_file import EncoderConfig, Fit, save_encoder
from pipeline_src.networks.imported import FrameFormat, import_encoder
from pipeline_src.settings.learning import NetworkSettings, WindowSettings

WINDOW = WindowSettings(frames=4, crop=32)
FRAMES = FrameFormat(8.0, 40, 48, "crop")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return r3d_18(weights=None).eval()


def embedded(network: torch.nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """torchvision's own features before its classifier."""
    classifier, network.fc = network.fc, torch.nn.Identity()
    with torch.no_grad():
        found = network(clip)
    network.fc = classifier
    return torch.as_tensor(found)


@pytest.mark.parametrize("form", ["plain.pth", "wrapped.pt", "tensors.safetensors"])
def test_a_state_dict_of_torchvision_gives_torchvisions_features(
    network: torch.nn.Module, tmp_path: Path, form: str
) -> None:
    path = tmp_path / form
    state = network.state_dict()
    if form == "wrapped.pt":
        torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}, path)
    elif form == "plain.pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    encoder, config = import_encoder(str(path), "r3d_18", WINDOW, FRAMES)
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        found = Features(encoder(clip)).pooled
    torch.testing.assert_close(found, embedded(network, clip))
    assert (config.embedding_size, config.frame_rate, config.height, config.width) == (512, 8.0, 40, 48)
    # As torchvision normalises frames from 0 to 1.
    assert config.mean == pytest.approx((110.2008, 100.63983, 95.99475))


def test_a_name_of_torchvision_is_taken_from_its_folder_of_downloads(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models.video import R3D_18_Weights

    def from_disk(self: object, *args: object, **more: object) -> dict[str, torch.Tensor]:
        return network.state_dict()

    monkeypatch.setattr(R3D_18_Weights, "get_state_dict", from_disk)
    encoder, _ = import_encoder("r3d_18/KINETICS400_V1", None, WINDOW, FRAMES)
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(Features(encoder(clip)).pooled, embedded(network, clip))
    with pytest.raises(UserError, match="allowed: r3d_18/KINETICS400_V1"):
        import_encoder("r3d_18/KINETICS", None, WINDOW, FRAMES)


def test_weights_that_cannot_be_downloaded_are_told_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models.video import R3D_18_Weights

    def offline(self: object, *args: object, **more: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(R3D_18_Weights, "get_state_dict", offline)
    with pytest.raises(UserError, match=r"cannot be downloaded .*put r3d_18.*\.pth into .*checkpoints"):
        import_encoder("r3d_18/KINETICS400_V1", None, WINDOW, FRAMES)


def test_an_encoder_of_another_run_brings_its_own_window(tmp_path: Path) -> None:
    path, config = other_run(tmp_path)
    assert import_encoder(path, None, WINDOW, FrameFormat(5.0, 20, 24, "crop"))[1] == config


@pytest.mark.parametrize(
    "frames", [(8.0, 20, 24, "crop"), (5.0, 24, 24, "crop"), (5.0, 20, 20, "crop"), (5.0, 20, 24, "stretch")]
)
def test_a_model_trained_with_other_frames_is_refused_by_name(
    tmp_path: Path, frames: tuple[float, int, int, Fit]
) -> None:
    """Its row would be low for what it was shown, not for what it has learned."""
    path, _ = other_run(tmp_path)
    rate, height, width, fit = frames
    theirs = "5 frames per second of 20x24 pixels, fit crop"
    ours = f"{rate:g} frames per second of {height}x{width} pixels, fit {fit}"
    with pytest.raises(UserError, match=rf"^weights: '.*' was trained with {theirs} - allowed: .*{ours}; "):
        import_encoder(path, None, WINDOW, FrameFormat(*frames))


def other_run(folder: Path) -> tuple[str, EncoderConfig]:
    config = EncoderConfig(
        network=NetworkSettings(video="small_r3d", width=4), window=WindowSettings(frames=6, crop=16), frame_rate=5.0,
        height=20, width=24, mean=(1, 2, 3), std=(4, 5, 6), embedding_size=32,
    )  # fmt: skip
    save_encoder(folder / "encoder.safetensors", build_encoder("rgb", "small_r3d", 4), config)
    return str(folder / "encoder.safetensors"), config


STEM, STEM_SHAPE = "stem.0.weight", (64, 3, 3, 7, 7)
NO_STATE = "weights.pth: not a state dict - allowed: names and dense tensors"


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('it ran')",))


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: path.write_bytes(pickle.dumps({"stem": Harmful()})), "more than tensors"),
        (lambda path: torch.save({"stem": Harmful()}, path), "more than tensors"),
        (lambda path: path.write_bytes(b"\x00" * 100), "not a file of weights|more than tensors"),
        (lambda path: torch.save([1, 2], path), "not a state dict"),
        (lambda path: torch.save({"fc.weight": torch.zeros(2)}, path), "stem.0.weight has shape None"),
        (lambda path: torch.save({"stem.0.weight": torch.zeros(2)}, path), r"has shape \(2,\) - needed"),
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), r"weights\.pth: not a file of weights \(EOFError\)"),
        (lambda path: torch.save({0: torch.zeros(1)}, path), NO_STATE),
        (lambda path: torch.save({STEM: torch.zeros(STEM_SHAPE).to_sparse()}, path), NO_STATE),
        (lambda path: torch.save({STEM: torch.zeros(STEM_SHAPE, device="meta")}, path), NO_STATE),
        (lambda path: torch.save({STEM: torch.zeros(STEM_SHAPE, dtype=torch.complex64)}, path), NO_STATE),
        (lambda path: torch.save({STEM: torch.zeros(STEM_SHAPE, dtype=torch.bool)}, path), NO_STATE),
        (lambda path: torch.save({STEM: torch.full(STEM_SHAPE, torch.nan)}, path), NO_STATE),
    ],
)
def test_a_foreign_file_is_tensors_or_refused(tmp_path: Path, write: object, told: str) -> None:
    path = tmp_path / "weights.pth"
    write(path)  # type: ignore[operator]
    with pytest.raises(UserError, match=told) as raised:
        import_encoder(str(path), "r3d_18", WINDOW, FRAMES)
    assert "\n" not in str(raised.value)
