"""Terms that ask for the order of time, or whether streams belong together, leave padded windows alone.

Padding would tell them: the end that a short clip repeats comes first when it plays backward, and two streams of one
clip are padded alike.
"""

from pathlib import Path

import pytest
import torch

from pipeline_src.batches.loader import TrainingWindows, training_batches
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.settings.learning import LossSettings, NetworkSettings, WindowSettings
from tests.unit.conftest import write_pool

FRAMES = 8
ORDER = [
    *(f"{modality}.{task}" for modality in ("rgb", "flow", "grey", "audio") for task in ("shuffle", "backward")),
    *("rgb.odd_one_out", "rgb.order_sorting", "rgb.shuffle_and_learn", "rgb.tcn", "rgb.slow_steady"),
    *("rgb.cycle_consistency", "audio~rgb.align", "flow~rgb.align", "audio~rgb.avts"),
    *("audio~rgb.embed", "flow~rgb.embed", "grey~rgb.embed", "audio~rgb.l3"),
]
OF_FLOW = ("flow.shuffle", "flow.backward", "flow~rgb.align", "flow~rgb.embed")


def values(
    folder: Path, lengths: tuple[int, ...], term: str, padding: str, future: int = 2, **settings: object
) -> tuple[dict[str, torch.Tensor], int]:
    """What the term says of a batch of clips of these lengths, and how many examples it judges."""
    pool = write_pool(folder, lengths=lengths, silent=())
    window = WindowSettings(frames=FRAMES, crop=16, future_frames=future, padding=padding)
    tasks = {term.rsplit(".", 1)[1]: settings}
    loss = EvolvedLoss(
        weights={term: 1.0},
        scales={},
        loss=LossSettings.model_validate({"terms": [term], "tasks": tasks}),
        network=NetworkSettings(video="small_r3d", width=4, decoder_width=4),
        window=window,
        statistics=statistics_of(pool, ["rgb", "flow", "grey", "audio"]),
        spectrogram=(FRAMES * 5, 8),
        seed=0,
    ).train()
    windows = TrainingWindows(pool, window, loss.views, 0)
    (batch,) = training_batches(windows, len(lengths), 0, 0, 1, 0, False)
    inputs = loss.inputs(batch, 0)
    outcome = loss.terms[term].outcome(inputs)
    return loss.weigh(inputs).raw, 0 if outcome is None else len(outcome.values)


@pytest.mark.parametrize("padding", ["loop", "hold"])
@pytest.mark.parametrize("term", ORDER)
def test_short_clips_say_nothing_of_order(tmp_path: Path, term: str, padding: str) -> None:
    """Else a network tells a short clip's direction by its padding, and learns nothing of time."""
    raw, judged = values(tmp_path / "short", (7, 4, 1, 6), term, padding)
    assert (raw, judged) == ({}, 0)
    _, few = values(tmp_path / "mixed", (7, 30, 4, 24, 1, 28), term, padding)
    _, all_long = values(tmp_path / "long", (30, 24, 28), term, padding)
    assert few == all_long > 0


@pytest.mark.parametrize("term", [*ORDER[:2], *OF_FLOW])
def test_a_clip_as_long_as_the_window_lacks_its_last_flow(tmp_path: Path, term: str) -> None:
    """Else the last flow, shown twice, tells which end of the window is the clip's."""
    raw, judged = values(tmp_path / "pool", (FRAMES,) * 4, term, "loop")
    assert (judged == 0) == (term in OF_FLOW)
    assert (not raw) == (term in OF_FLOW)


@pytest.mark.parametrize(("length", "same"), [(12, True), (30, False)])
def test_no_window_is_shifted_to_where_it_lacks_its_last_flow(tmp_path: Path, length: int, same: bool) -> None:
    """All shifted windows of such clips were padded, and no other: it told them from synchronised ones for certain."""
    shifted, other = (
        values(tmp_path / kind, (length,) * 6, "flow~rgb.align", "loop", future=4, negatives=kind)[0]
        for kind in ("shifted", "other")
    )
    assert shifted.keys() == {"flow~rgb.align"}
    assert torch.equal(shifted["flow~rgb.align"], other["flow~rgb.align"]) == same
