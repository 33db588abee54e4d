"""Encoders: stems for every modality, statistics per view, files that are checked."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import CHANNELS, Encoder, Features, build_encoder
from pipeline_src.networks.encoder_file import EncoderConfig, load_encoder, save_encoder
from pipeline_src.networks.heads import Decoder
from pipeline_src.networks.normalisation import ViewBatchNorm, ViewSizes
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


def test_layer_channels_leave_the_encoder_as_it_was() -> None:
    encoder = build_encoder("rgb", "small_r3d", width=8)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    assert encoder.layer_channels(torch.zeros(1, 3, 4, 16, 16)) == (8, 16, 32, 64)
    assert encoder.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_a_decoder_paints_any_shape() -> None:
    assert Decoder(16, 8, 2, (5, 9, 7))(torch.randn(3, 16, 2, 3, 3)).shape == (3, 2, 5, 9, 7)


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
