"""One term trained alone, then judged on held-out videos."""

from typing import Any

import numpy as np
import torch

from pipeline_src.batches.clip_reader import ClipReader
from pipeline_src.batches.loader import TrainingWindows, training_batches
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import LossSettings, NetworkSettings, TrainingSettings
from pipeline_src.tasks.term import Inputs, Outcome, Term
from pipeline_src.training.schedule import build_optimiser, learning_rate, set_learning_rate
from tests.benchmarks.learn.controls import POOLS, blank, displaced, frozen, mislabelled, mismatched, scrambled
from tests.benchmarks.learn.data import WINDOW, classes_of, collection

BATCH = 16
RATE = 0.002
# At the others' rate simsiam, which has no negatives, collapses; sorting, time's arrow in flow and coming motion do not
# begin, and classes are learned by heart.
RATES = {"simsiam": 0.0005, "order_sorting": 0.0003, "backward": 0.0005, "ubernce": 0.001}
RATES |= {"rgb>flow.decoupled_motion": 0.0007}
# Motion tells little of colours, in which clips differ most: it takes many clips to see that it tells anything.
ASKED = {"flow>rgb.translate": "many"}
PASSES = 2
NETWORK = NetworkSettings(video="small_r3d", width=16, decoder_width=16)
# For thousands of steps and thousands of videos the defaults are the published ones; here there are hundreds.
SMALLER = {"momentum": 0.99, "queue": 256, "memory": 256, "clusters": 16, "prototypes": 32, "hidden": 256, "grid": 3}
SMALLER |= {"permutations": 8}
STEPS = 200
# What takes longer to be seen at all.
LONGER = {
    "flow.backward": 1200,
    "flow~grey.align": 1000,
    "flow~rgb.coclr": 500,
    "rgb.rho_byol": 800,
    "flow>rgb.translate": 800,
    "rgb>flow.decoupled_motion": 600,
    "backward": 800,
    "distill": 300,
    "distill.audio.embedding": 600,
    "distill.flow.layer1": 600,
    "translate": 600,
    "order_sorting": 2000,
    "cycle_consistency": 400,
    "supervised": 400,
    "ubernce": 1000,
    "odd_one_out": 300,
    "shuffle_and_learn": 400,
    "relative_position": 400,
    "shuffle": 400,
    "align": 400,
    "avts": 300,
    "simsiam": 600,
    "l3": 300,
    "speed": 400,
    "transrank": 400,
    "pace": 400,
    "temporal_transformations": 400,
}


def schedule_of(term: str) -> tuple[int, float]:
    """Steps of a term's training, and its learning rate."""
    family = catalogue.terms()[term]
    return LONGER.get(term, LONGER.get(family, STEPS)), RATES.get(term, RATES.get(family, RATE))


def parts_of(term: str, condition: str) -> list[tuple[str, str]]:
    """Kinds and parts of the videos that a training learns from, and is judged on."""
    kind = condition if condition in POOLS else "moving"
    return [(kind, "train"), (kind, asked_of(term))]


def asked_of(term: str) -> str:
    """The part of the videos that a term is judged on."""
    return ASKED.get(term, "held_out")


def train_and_judge(term: str, condition: str, seed: int) -> dict[str, Any]:
    """Train and judge; what was reached, as columns of a row."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    pool, held_out = (collection(*part) for part in parts_of(term, condition))
    loss = build(term, pool, seed)
    steps, rate = schedule_of(term)
    optimiser = build_optimiser(loss, TrainingSettings(learning_rate=rate))
    windows = TrainingWindows(pool, WINDOW, loss.views, seed)
    labelled = catalogue.reads_labels(catalogue.terms()[term])
    known, asked = (classes_of(part) if labelled else None for part in (pool, held_out))
    for step, batch in enumerate(training_batches(windows, BATCH, seed, 0, steps, 0, False)):
        set_learning_rate(optimiser, learning_rate(step, steps, rate, 0.1))
        progress = step / steps
        inputs = changed_inputs(loss, term, condition, changed(batch, condition, step, known), step, progress)
        losses = loss.weigh(inputs)
        optimiser.zero_grad(set_to_none=True)
        if losses.total.requires_grad:
            losses.total.backward()
            torch.nn.utils.clip_grad_norm_(loss.parameters(), 1.0)
            optimiser.step()
        loss.remember(inputs)
        loss.follow(progress)
    found = judge(loss, term, condition, TrainingWindows(held_out, WINDOW, loss.views, seed + 1000), asked)
    values, trivial, clips = (torch.cat([part[i] for part in found]).double().numpy() for i in range(3))
    error = found[0][3]
    gains = (trivial - values) / max(trivial.mean(), 1e-9) if error else values - trivial
    return {
        "measure": "error" if error else "accuracy",
        "steps": steps,
        "examples": len(values),
        "reached": values.mean(),
        "trivial": trivial.mean(),
        "gain": gains.mean(),
        "deviation": deviation_of_mean(gains, clips),
    }


def deviation_of_mean(gains: np.ndarray, clips: np.ndarray) -> float:
    """The mean's standard deviation where examples of one clip belong together."""
    _, place = np.unique(clips, return_inverse=True)
    return float(np.sqrt(np.square(np.bincount(place, gains - gains.mean())).sum()) / len(gains))


def build(term: str, pool: object, seed: int) -> EvolvedLoss:
    """The term alone, with a small network."""
    family = catalogue.terms()[term]
    settings = {key: SMALLER[key] for key in catalogue.declared("task", family) if key in SMALLER}
    return EvolvedLoss(
        weights={term: 1.0},
        scales={},
        loss=LossSettings.model_validate({"terms": [term], "tasks": {family: settings}}),
        network=NETWORK,
        window=WINDOW,
        statistics=statistics_of(pool, ["rgb", "flow", "grey", "audio"]),  # type: ignore[arg-type]
        spectrogram=ClipReader(pool, WINDOW).spectrogram,  # type: ignore[arg-type]
        seed=seed,
    ).train()


def judge(
    loss: EvolvedLoss, term: str, condition: str, windows: TrainingWindows, classes: np.ndarray | None
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, bool]]:
    """Values, trivial values and videos of every example of the held-out clips, PASSES windows of each.

    The running statistics are those of plain views. Terms that read no others are judged with them: a batch's own would
    tell each of its clips the mean of the others, which is worth a sixteenth of the error.
    """
    found = []
    loss.train(any(view.transform != "plain" for view in loss.terms[term].encoded))
    steps = PASSES * len(windows) // BATCH
    with torch.no_grad():
        for step, batch in enumerate(training_batches(windows, BATCH, 0, 0, steps, 0, False)):
            inputs = changed_inputs(loss, term, condition, changed(batch, condition, step, classes), step, 0.999)
            outcome = loss.terms[term].outcome(inputs)
            if outcome is not None:
                found.append(
                    (outcome.values, outcome.trivial, examples(outcome, inputs, loss.terms[term], step), outcome.error)
                )
    return found


def examples(outcome: Outcome, inputs: Inputs, term: Term, step: int) -> torch.Tensor:
    """The clip behind each example; one number a batch where they cannot be told apart, as of SCRL's boxes."""
    clips = inputs.clips
    rows = [inputs.features[view].all_rows for view in term.encoded if inputs.features[view].all_rows is not None]
    sounds = any(view.modality == "audio" for view in (*term.encoded, *term.targets))
    if rows or sounds:
        clips = clips[rows[0] if rows else inputs.sound]
    else:
        views = [view for view in (*term.encoded, *term.targets) if view.transform != "shifted"]
        clips = clips[torch.stack([inputs.usable[view] for view in views]).all(0)]
    each, rest = divmod(len(outcome.values), max(1, len(clips)))
    if rest or each == 0:
        return torch.full((len(outcome.values),), -1 - step)
    # Two examples of a clip lie in two halves, more lie side by side.
    return clips.repeat(each) if each == 2 else clips.repeat_interleave(each)


def changed(
    batch: dict[str, torch.Tensor], condition: str, step: int, classes: np.ndarray | None
) -> dict[str, torch.Tensor]:
    if classes is not None:
        batch = {**batch, "class": torch.tensor(classes)[batch["clip"]]}
    if condition == "scrambled":
        return scrambled(batch, step)
    if condition in ("blank", "frozen"):
        return blank(batch) if condition == "blank" else frozen(batch)
    return mislabelled(batch) if condition == "labels" else batch


def changed_inputs(
    loss: EvolvedLoss, term: str, condition: str, batch: dict[str, torch.Tensor], step: int, progress: float
) -> Inputs:
    inputs = loss.inputs(batch, step, progress)
    if condition == "displaced":
        return displaced(loss.terms[term], inputs)
    return mismatched(loss.terms[term], inputs) if condition == "mismatched" else inputs
