"""Training on a GPU: clips per second, and the share of what the device can multiply that the step reaches.

    python -m tests.benchmarks.accelerator                   the paper's 48 terms on three networks at two sizes
    python -m tests.benchmarks.accelerator --profile         also where the time goes
    python -m tests.benchmarks.accelerator --device cpu --frames 4 --crop 32       the same on a small scale, as a check

The peak is measured in the same run, by multiplying large bfloat16 matrices. Needs nothing but torch and torchvision.
"""

import argparse
import time

import torch
from torch.profiler import ProfilerActivity, profile

from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.loss.explain import cost_of
from pipeline_src.settings.learning import NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.training.loop import backward
from pipeline_src.training.schedule import build_optimiser
from tests.benchmarks.training import SPECTROGRAM, Case, build, stored_batch

NETWORKS = ("r3d_18", "r3d_50", "r2plus1d_50")
SIZES = ((16, 112), (32, 224))
SECONDS = 20.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", default="cuda")
    options.add_argument("--networks", nargs="+", default=list(NETWORKS))
    options.add_argument("--terms", nargs="+", default=["elo"])
    options.add_argument("--clips", type=int, help="clips a batch (default: as many as fit)")
    options.add_argument("--frames", type=int, help="one size only: frames of a window")
    options.add_argument("--crop", type=int, help="one size only: height and width of a window")
    options.add_argument("--compile", action="store_true", help="with torch.compile")
    options.add_argument("--profile", action="store_true", help="also print where the time of a step goes")
    given = options.parse_args()
    device = torch.device(given.device)
    peak = multiplication_peak(device)
    print(f"{_name(device)}: {peak / 1e12:.1f} TFLOP/s in bfloat16 matrix products, measured")
    sizes = ((given.frames, given.crop),) if given.frames and given.crop else SIZES
    for frames, crop in sizes:
        for video in given.networks:
            network, window = NetworkSettings(video=video, width=64), WindowSettings(frames=frames, crop=crop)
            measure(network, window, tuple(given.terms), given.clips, device, peak, given.compile, given.profile)


def multiplication_peak(device: torch.device) -> float:
    """Operations a second of large products."""
    side = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    _wait(device)
    rounds, started = 20, time.perf_counter()
    for _ in range(rounds):
        a @ b
    _wait(device)
    return rounds * 2 * side**3 / (time.perf_counter() - started)


def measure(
    network: NetworkSettings,
    window: WindowSettings,
    terms: tuple[str, ...],
    clips: int | None,
    device: torch.device,
    peak: float,
    compiled: bool,
    profiled: bool,
) -> None:
    """Train for a while and print a line."""
    training = TrainingSettings(batch_size=2, autocast=True, channels_last=True)
    case = Case(network, window, clips or _fitting(network, window, terms, training, device))
    model = build(case, terms)
    flops = cost_of(build(case, terms), network, window, SPECTROGRAM).flops
    model.use_channels_last()
    model = model.to(device)
    if compiled:
        model.compile_encoders()
    batch = {name: tensor.to(device) for name, tensor in stored_batch(case, model).items()}
    optimiser = build_optimiser(model, training)

    def step(number: int) -> None:
        optimiser.zero_grad(set_to_none=True)
        backward(model, batch, number, 0, training)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    for number in range(3):
        step(number)
    _wait(device)
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < (SECONDS if device.type == "cuda" else 1.0):
        step(steps)
        _wait(device)
        steps += 1
    speed = steps * case.clips / (time.perf_counter() - started)
    share = speed * flops / peak
    print(f"{case}: {speed:8.1f} clips/s, {flops / 1e9:9.1f} GFLOP a clip, {share:.1%} of the peak", flush=True)
    if profiled:
        _profile(step, device)


def _fitting(
    network: NetworkSettings,
    window: WindowSettings,
    terms: tuple[str, ...],
    training: TrainingSettings,
    device: torch.device,
) -> int:
    """As many clips as two thirds of the memory hold, at most 64; 2 on a CPU."""
    if device.type != "cuda":
        return 2
    model: EvolvedLoss = build(Case(network, window, 2), terms)
    parts = cost_of(model, network, window, SPECTROGRAM).memory(training)
    free = torch.cuda.mem_get_info(device)[0] * 2 / 3
    changing = ("views", "activations")
    fixed = sum(size for name, size in parts.items() if name not in changing)
    each = sum(parts[name] for name in changing) / 2
    return max(2, min(64, int((free - fixed) / each)))


def _profile(step: object, device: torch.device) -> None:
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    with profile(activities=activities) as found:
        step(0)  # type: ignore[operator]
        _wait(device)
    key = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=key, row_limit=20, max_name_column_width=60))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


if __name__ == "__main__":
    main()
