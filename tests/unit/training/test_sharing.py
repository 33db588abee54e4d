"""Several losses that train on the same batches."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline_src.settings.learning import NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.loop import Course, state_of, train
from pipeline_src.training.pretrain import PretrainSettings, build_loss, pool_batches
from tests.unit.small_loss import small_loss

USED = PretrainSettings(
    loss=small_loss("rgb.reconstruct", "rgb.moco", "rgb.backward", "audio~rgb.embed", "flow.shuffle"),
    network=NetworkSettings(video="small_r3d", width=4, decoder_width=4),
    window=WindowSettings(frames=5, crop=16, future_frames=2),
    fit="crop",
    training=TrainingSettings(batch_size=4, device="cpu", iterations=6, accumulate=2),
    torch_threads=1,
)
POPULATION: list[dict[str, float]] = [
    {"rgb.reconstruct": 1.0, "rgb.moco": 0.5, "audio~rgb.embed": 0.2},
    {"rgb.backward": 1.0, "flow.shuffle": 0.3},
    {},
    {"rgb.reconstruct": 0.1, "rgb.backward": 0.9},
]


def courses_of(pool: Collection, population: list[dict[str, float]]) -> list[Course]:
    return [Course(build_loss(USED, pool, weights, {}, 0), USED.training) for weights in population]


def trained(
    pool: Collection, courses: list[Course], folder: Path, *, until: int | None = None, start: Any = None
) -> list[Course]:
    views = {view for course in courses for view in course.loss.views}

    def batches_from(first: int) -> Iterable[Any]:
        return pool_batches(USED, pool, views, 0, first, 12, False)

    checkpoint = Checkpoint(folder / "r.pt", "x")
    train(courses, batches_from, USED.training, checkpoint, torch.device("cpu"), until=until, start=start)
    return courses


def assert_equal(one: Course, two: Course) -> None:
    assert (one.metrics, one.failure) == (two.metrics, two.failure)
    ours, theirs = one.loss.state_dict(), two.loss.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_sharing_batches_changes_no_loss_by_a_bit(long_pool: Collection, tmp_path: Path) -> None:
    together = trained(long_pool, courses_of(long_pool, POPULATION), tmp_path)
    for weights, shared in zip(POPULATION, together, strict=True):
        (alone,) = trained(long_pool, courses_of(long_pool, [weights]), tmp_path)
        assert_equal(shared, alone)
    assert [len(course.metrics) for course in together] == [6, 6, 0, 6]


def test_a_loss_that_fails_leaves_the_others_alone(long_pool: Collection, tmp_path: Path) -> None:
    broken, sound = courses_of(long_pool, [POPULATION[1], POPULATION[0]])
    with torch.no_grad():
        broken.loss.terms["flow.shuffle"].head[2].bias.fill_(float("nan"))  # type: ignore[index,operator,union-attr]
    trained(long_pool, [broken, sound], tmp_path)
    assert broken.failure == "loss of flow.shuffle is not finite at iteration 0"
    (alone,) = trained(long_pool, courses_of(long_pool, POPULATION[:1]), tmp_path)
    assert_equal(sound, alone)


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3], [3, 0]])
def test_training_goes_on_where_a_shorter_one_ended_with_whom_it_is_given(
    chosen: list[int], long_pool: Collection, tmp_path: Path
) -> None:
    whole = trained(long_pool, courses_of(long_pool, POPULATION), tmp_path)
    first = trained(long_pool, courses_of(long_pool, POPULATION), tmp_path, until=2)
    torch.save(state_of(first, 2), tmp_path / "states.pt")
    states = torch.load(tmp_path / "states.pt", weights_only=True)
    start = {**states, "courses": [states["courses"][number] for number in chosen]}
    second = trained(long_pool, courses_of(long_pool, [POPULATION[i] for i in chosen]), tmp_path, start=start)
    for number, course in zip(chosen, second, strict=True):
        assert_equal(course, whole[number])
