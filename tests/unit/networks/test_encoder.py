"""Encoders: stems for every modality, statistics per view, files that are checked."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import CHANNELS, Encoder, Features, build_encoder, layer_shapes
from pipeline_src.networks.encoder_file import EncoderConfig, load_encoder, save_encoder
from pipeline_src.networks.heads import Decoder, unfolded
from pipeline_src.networks.normalisation import ViewBatchNorm, ViewSizes
from pipeline_src.networks.residual import FramesAndChanges, SmallResNet
from pipeline_src.settings.learning import VIDEO_ENCODERS, NetworkSettings, WindowSettings

SIZES = {"small_r3d": 64, "r3d_18": 512, "r2plus1d_18": 512, "r3d_50": 2048, "r2plus1d_50": 2048}


@pytest.mark.parametrize("architecture", VIDEO_ENCODERS)
@pytest.mark.parametrize("modality", ["rgb", "flow", "grey"])
def test_every_architecture_takes_every_picture_modality(architecture: str, modality: str) -> None:
    encoder = build_encoder(modality, architecture, width=8).eval()
    with torch.inference_mode():
        layers = encoder(torch.randn(1, CHANNELS[modality], 4, 32, 32))
    assert Features(layers).embedding.shape == (1, SIZES[architecture])
    assert len(layers) == 4


def test_the_audio_encoder_takes_spectrograms() -> None:
    layers = build_encoder("audio", "r3d_18", width=8).eval()(torch.randn(2, 1, 40, 20))
    assert Features(layers).embedding.shape == (2, 64)


def test_a_view_does_not_change_the_values_of_another() -> None:
    """Else a term's value would depend on which other terms are active."""
    torch.manual_seed(0)
    plain, other = torch.randn(4, 3, 4, 16, 16), 5 + 3 * torch.randn(4, 3, 4, 16, 16)
    encoder = build_encoder("rgb", "small_r3d", width=8).train()
    alone = encoder(plain, (4,))[3]
    together = encoder(torch.cat([plain, other]), (4, 4))[3][:4]
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_running_statistics_come_from_the_plain_view_alone() -> None:
    torch.manual_seed(0)
    plain, other = torch.randn(6, 3, 5), 7 + torch.randn(6, 3, 5)
    views = ViewSizes((6, 6))
    ours, reference = ViewBatchNorm(3, views), nn.BatchNorm1d(3)
    made = ours(torch.cat([plain, other]))
    wanted = reference(plain)
    torch.testing.assert_close(made[:6], wanted)
    torch.testing.assert_close(ours.running_mean, reference.running_mean)
    torch.testing.assert_close(ours.running_var, reference.running_var)
    torch.testing.assert_close(made[6:], nn.BatchNorm1d(3)(other))


def test_evaluation_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("rgb", "small_r3d", width=8)
    encoder.train()(torch.randn(8, 3, 4, 16, 16), (4, 4))
    x = torch.randn(4, 3, 4, 16, 16)
    with torch.inference_mode():
        whole = encoder.eval()(x)[3]
        torch.testing.assert_close(encoder(x[:1])[3], whole[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["small_r3d", "r3d_18", "r2plus1d_50"])
def test_layer_shapes_are_those_of_a_real_pass(architecture: str) -> None:
    encoder = build_encoder("flow", architecture, width=8).eval()
    with torch.inference_mode():
        found = [tuple(layer.shape[1:]) for layer in encoder(torch.zeros(1, 2, 8, 32, 32))]
    assert layer_shapes("flow", architecture, 8, (8, 32, 32)) == found


@pytest.mark.parametrize(
    ("places", "shape"), [((2, 3, 3), (5, 9, 7)), ((2, 1, 1), (8, 8, 8)), ((3, 2), (17, 10)), ((2, 4, 4), (15, 10))]
)
def test_a_decoder_paints_any_shape(places: tuple[int, ...], shape: tuple[int, ...]) -> None:
    assert Decoder(16, places, 8, 2, shape)(torch.randn(3, 16, *places)).shape == (3, 2, *shape)


def test_each_place_is_unfolded_into_its_own_neighbourhood() -> None:
    x = torch.arange(2 * 6 * 2 * 2.0).view(2, 12, 2, 1)
    made = unfolded(x, (2, 3))
    assert made.shape == (2, 2, 4, 3)
    for clip, channel, i, j, p in np.ndindex(2, 2, 2, 3, 2):
        assert made[clip, channel, 2 * p + i, j] == x[clip, channel * 6 + i * 3 + j, p, 0]


def config(**changed: object) -> EncoderConfig:
    values = {
        "network": NetworkSettings(video="small_r3d", width=8),
        "window": WindowSettings(frames=4, crop=16),
        "frame_rate": 8.0,
        "height": 20,
        "width": 20,
        "mean": (1.0, 2.0, 3.0),
        "std": (4.0, 5.0, 6.0),
        "embedding_size": 64,
    }
    return EncoderConfig.model_validate({**values, **changed})


def built() -> Encoder:
    torch.manual_seed(0)
    return build_encoder("rgb", "small_r3d", width=8)


def test_an_encoder_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    encoder = built().train()
    encoder(torch.randn(4, 3, 4, 16, 16))
    save_encoder(tmp_path / "e.safetensors", encoder, config())
    loaded, found = load_encoder(tmp_path / "e.safetensors")
    assert found == config()
    x = torch.randn(2, 3, 4, 16, 16)
    torch.testing.assert_close(loaded(x)[3], encoder.eval()(x)[3])
    save_encoder(tmp_path / "again.safetensors", encoder, config())
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "e.safetensors").read_bytes()


def test_files_that_are_no_encoder_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    with pytest.raises(UserError, match="no such encoder file"):
        load_encoder(path)
    path.write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(UserError, match="not an encoder of this project"):
        load_encoder(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="it has no configuration"):
        load_encoder(path)


def test_tensors_that_do_not_fit_their_configuration_are_named(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_encoder(path, built(), config(network=NetworkSettings(video="small_r3d", width=16)))
    with pytest.raises(UserError, match=r"parts.layer1.conv1.weight has shape \(8, 8, 3, 3, 3\)"):
        load_encoder(path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"embedding_size": 31}, "embedding_size: 31 - allowed: 64, which its network gives"),
        ({"std": [0, 5, 6]}, r"std.0: 0 - allowed: greater than or equal to 0.000001"),
        ({"mean": [1, 2, 300]}, r"mean.2: 300 - allowed: less than or equal to 255"),
        ({"window": {"frames": 4, "crop": 64}}, "window.crop: 64 - allowed: at most 20, its frames' size"),
    ],
)
def test_a_configuration_that_no_training_writes_is_refused(
    tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    """The file may be anyone's: embedding with it would fail hours later, or give nonsense."""
    path = tmp_path / "e.safetensors"
    content = {**config().model_dump(mode="json"), **changed}
    save_file(built().state_dict(), path, {"config": json.dumps(content)})
    with pytest.raises(UserError, match=f"e.safetensors: not an encoder of this project: {told}"):
        load_encoder(path)


def test_an_encoder_of_before_fit_was_told_has_cropped_frames(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    content = config().model_dump(mode="json")
    del content["fit"]
    save_file(built().state_dict(), path, {"config": json.dumps(content)})
    assert load_encoder(path)[1].fit == "crop"


def test_half_of_a_videos_stem_sees_what_changes_and_nothing_else() -> None:
    torch.manual_seed(0)
    stem = SmallResNet(3, 8, 3).stem
    convolution = stem[:-2]
    moving = torch.randn(2, 3, 5, 8, 8)
    still = moving[:, :, :1].expand_as(moving)
    assert (convolution(still)[:, 4:] == 0).all()
    assert (convolution(still)[:, :4] != 0).any()
    # A constant brightness added to all frames is no change.
    there, brighter = convolution(moving)[:, 4:], convolution(moving + 7)[:, 4:]
    torch.testing.assert_close(there, brighter, atol=1e-4, rtol=1e-4)
    assert there.abs().mean() > 0.1


def test_changes_are_from_the_frame_before() -> None:
    both = FramesAndChanges(1, 2)
    for convolution in (both.frames, both.changes):
        nn.init.dirac_(convolution.weight)
    x = torch.tensor([1.0, 4.0, 9.0]).view(1, 1, 3, 1, 1)
    assert both(x).flatten().tolist() == [1, 4, 9, 0, 3, 5]
