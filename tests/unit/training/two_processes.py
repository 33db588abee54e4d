"""A program for tests: steps of the loss in float64, alone or as one of several processes.

python -m tests.unit.training.two_processes INDEX OUT STEPS [RANK WORLD STORE]
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from pipeline_src.batches.loader import TrainingWindows, training_batches
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.parallel import average_gradients
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import NetworkSettings, WindowSettings
from pipeline_src.shards.index import Collection
from tests.unit.small_loss import small_loss

BATCH = 8


def run(index: Path, steps: int, share: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Raw values and gradients of the first step, and the state after the last."""
    torch.set_num_threads(1)
    pool = Collection.open(index)
    loss = EvolvedLoss(
        # That term's curvature would make each step's rounding a hundred times as large in the next.
        weights={name: 0.01 if name == "rgb.cycle_consistency" else 1.0 for name in catalogue.terms()},
        scales={},
        loss=small_loss(),
        network=NetworkSettings(video="small_r3d", width=4, decoder_width=4),
        window=(window := WindowSettings(frames=5, crop=16, future_frames=2)),
        statistics=statistics_of(pool, ["rgb", "flow", "grey", "audio"]),
        spectrogram=(25, 8),
        seed=5,
    )
    loss = loss.double().train()
    optimiser = torch.optim.SGD([p for p in loss.parameters() if p.requires_grad], lr=0.01, momentum=0.9)
    windows = TrainingWindows(pool, window, loss.views, seed=5)
    found: dict[str, torch.Tensor] = {}
    for step, batch in enumerate(training_batches(windows, BATCH, 5, 0, steps, 0, False, share)):
        given = {name: x.double() if x.is_floating_point() else x for name, x in batch.items()}
        # From easy to hard negatives, from own to mined positives within five steps.
        inputs = loss.inputs(given, step, progress=step / 5)
        losses = loss.weigh(inputs)
        optimiser.zero_grad()
        losses.total.backward()
        average_gradients(loss)
        if step == 0:
            named = loss.named_parameters()
            found |= {f"gradient {name}": p.grad.clone() for name, p in named if p.grad is not None and p.requires_grad}
        found[f"terms {step}"] = torch.tensor(len(losses.raw))
        optimiser.step()
        loss.remember(inputs)
        loss.follow(step / 5)
    return found | {f"state {name}": tensor for name, tensor in loss.state_dict().items()}


def main() -> None:
    index, out, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    share = (0, 1)
    if len(sys.argv) > 4:
        share = (int(sys.argv[4]), int(sys.argv[5]))
        dist.init_process_group("gloo", init_method=f"file://{sys.argv[6]}", rank=share[0], world_size=share[1])
    torch.save(run(index, steps, share), out)
    if share[1] > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
