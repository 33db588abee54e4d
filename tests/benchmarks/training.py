"""Training against its floors: what the engine adds to its networks' passes, what sharing views saves, and reading."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pipeline_src.batches.loader import TrainingWindows, training_batches
from pipeline_src.batches.moments import MOMENTS, Place, draw
from pipeline_src.batches.views import moment
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder import CHANNELS
from pipeline_src.networks.heads import Decoder
from pipeline_src.settings.learning import LossSettings, NetworkSettings, WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.tasks.picture import PictureTerm

ROUNDS = 5
SPECTROGRAM = (62, 40)
STATISTICS = {
    "rgb": ([0.0] * 3, [1.0] * 3),
    "flow": ([0.0] * 2, [1.0] * 2),
    "grey": ([0.0], [1.0]),
    "audio": ([0.0], [1.0]),
}


@dataclass(frozen=True)
class Case:
    """One network and window size."""

    network: NetworkSettings
    window: WindowSettings
    clips: int

    def __str__(self) -> str:
        window = self.window
        return f"{self.network.video} at {window.frames}x{window.crop}x{window.crop}, {self.clips} clips"


CASES = (
    Case(NetworkSettings(video="small_r3d", width=16, decoder_width=16), WindowSettings(frames=8, crop=48), 12),
    Case(NetworkSettings(video="r3d_18", width=32), WindowSettings(frames=8, crop=64), 4),
)


def build(case: Case, terms: tuple[str, ...]) -> EvolvedLoss:
    loss = LossSettings.model_validate({"terms": terms})
    return EvolvedLoss(
        weights=dict.fromkeys(loss.terms, 1.0),
        scales={},
        loss=loss,
        network=case.network,
        window=case.window,
        statistics=STATISTICS,
        spectrogram=SPECTROGRAM,
        seed=0,
    ).train()


def stored_batch(case: Case, model: EvolvedLoss) -> dict[str, torch.Tensor]:
    """A batch as a loader hands it out, of random numbers."""
    clips, window = case.clips, case.window
    whole = torch.arange(clips)
    batch = {"has_sound": torch.ones(clips, dtype=torch.bool), "clip": whole, "video": whole, "class": whole}
    for name in MOMENTS:
        batch[f"{name}.usable"] = torch.ones(clips, dtype=torch.bool)
        batch[f"{name}.label"] = torch.zeros(clips, dtype=torch.long)
    for view in model.views:
        batch[f"{view.modality}.{moment(view)}.whole"] = torch.ones(clips, dtype=torch.bool)
        frames = len(draw(moment(view), Place(200, 0, None, window), (0, 0, 0)).frames)
        if view.modality == "audio":
            size = (clips, round(SPECTROGRAM[0] * frames / window.frames), SPECTROGRAM[1])
            batch[f"audio.{moment(view)}"] = torch.randn(size).half()
        else:
            size = (clips, frames, window.crop, window.crop, CHANNELS[view.modality])
            batch[f"{view.modality}.{moment(view)}"] = torch.randint(256, size, dtype=torch.uint8)
    return batch


def bare_passes(model: EvolvedLoss, batch: dict[str, torch.Tensor]) -> Callable[[], None]:
    """Forward and backward of the encoders on all views and of the decoders on theirs, and nothing else."""
    inputs: dict[str, tuple[torch.Tensor, tuple[int, ...]]] = {}
    captured: dict[str, list[tuple[torch.Tensor, tuple[int, ...]]]] = {}
    hooks = []
    for name, encoder in model.encoders.items():

        def keep(module: torch.nn.Module, given: tuple, more: dict, name: str = name) -> None:
            captured.setdefault(name, []).append((given[0].detach().clone(), given[1]))

        hooks.append(encoder.register_forward_pre_hook(keep, with_kwargs=True))
    with torch.no_grad():
        model.inputs(batch, 0)
    for hook in hooks:
        hook.remove()
    inputs = {name: passes[0] for name, passes in captured.items()}
    painters = [(t.encoded[0].modality, t.decoder) for t in model.terms.values() if isinstance(t, PictureTerm)]
    clips = len(batch["clip"])

    def run() -> None:
        last = {name: model.encoders[name](x, sizes) for name, (x, sizes) in inputs.items()}
        total = torch.zeros(())
        for layers in last.values():
            total = total + layers[3].mean()
        for modality, decoder in painters:
            total = total + decoder(last[modality][3][:clips]).mean()
        total.backward()

    assert all(isinstance(decoder, Decoder) for _, decoder in painters)
    return run


def seconds(*calls: Callable[[], object]) -> list[float]:
    """The least CPU time of each call over rounds in turn; what else a machine does only ever adds."""
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for place, call in enumerate(calls):
            started = time.process_time()
            call()
            best[place] = min(best[place], time.process_time() - started)
    return best


def compare_training(pool: Collection) -> None:
    torch.set_num_threads(1)
    print("\nA training step of the paper's 48 terms, forward and backward, CPU seconds on one core")
    for case in CASES:
        model = build(case, ("elo",))
        batch = stored_batch(case, model)
        bare = bare_passes(model, batch)

        def step(model: EvolvedLoss = model, batch: dict[str, torch.Tensor] = batch) -> None:
            model(batch, 0).total.backward()

        ours, floor = seconds(step, bare)
        terms, views = len(model.terms), len(model.encoded)
        print(f"{case}: T = {terms} terms, V = {views} distinct views")
        print(f"  step {ours:8.3f}   bare encoder and decoder passes {floor:8.3f}   ratio {ours / floor:5.2f}")
        if case is CASES[0]:
            _compare_plain(case, model, batch, ours)
            compare_reading(pool, case)


def _compare_plain(case: Case, model: EvolvedLoss, batch: dict[str, torch.Tensor], ours: float) -> None:
    """A plain implementation: every term encodes its own views."""
    single = [build(case, (name,)) for name in model.terms]
    # The views that the engine adds for running statistics are not a plain implementation's.
    passes = sum(len(term.encoded) for term in model.terms.values())

    def plain() -> None:
        for one in single:
            views = {view for term in one.terms.values() for view in term.encoded}
            one.encoded = tuple(view for view in one.encoded if view in views)
            one(batch, 0).total.backward()

    (theirs,) = seconds(plain)
    print(f"  plain, one pass per term and view ({passes} passes) {theirs:8.3f}   {theirs / ours:5.2f} times the step")


def compare_reading(pool: Collection, case: Case) -> None:
    """One reading process against a step, both on one core: batches of all streams of the 48 terms."""
    model = build(case, ("elo",))
    windows = TrainingWindows(pool, case.window, model.views, 0)
    steps = 20
    started = time.process_time()
    for _ in training_batches(windows, case.clips, 0, 0, steps, 0, False):
        pass
    reading = (time.process_time() - started) / steps
    batch = stored_batch(case, model)
    (step,) = seconds(lambda: model(batch, 0).total.backward())
    print(f"{case}: a step {step:.4f} s, reading its batch {reading:.4f} s: {step / reading:.1f} times as fast")
