"""Train, validation and test parts of a labelled collection."""

import hashlib
from collections.abc import Sequence

from pipeline_src.errors import UserError
from pipeline_src.settings.clips import RandomSplits

PARTS = ("train", "validation", "test", "unused")


def part_named(text: str, where: str) -> str:
    """The part that a value of a split column names; "val" is validation.

    Raises:
        UserError: another value; `where` names its line and column.
    """
    name = text.strip().lower()
    name = "validation" if name == "val" else name
    if name not in PARTS:
        raise UserError(f"{where}: {text!r} - allowed: {', '.join(PARTS)}")
    return name


def random_parts(source_video: str, settings: RandomSplits, seed: int) -> tuple[str, ...]:
    """The part of a source video in each random split.

    It depends on the seed and on the video's own name only: further videos leave it unchanged. The fractions
    are therefore expectations, not exact counts.
    """
    return tuple(_random_part(source_video, settings, seed, split) for split in range(1, settings.count + 1))


def _random_part(source_video: str, settings: RandomSplits, seed: int, split: int) -> str:
    digest = hashlib.sha256(f"{seed}\0{split}\0{source_video}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < settings.test:
        return "test"
    return "validation" if place < settings.test + settings.validation else "train"


def check_parts(
    name: str, labels: Sequence[str], splits: Sequence[tuple[str, ...]], drawn: RandomSplits | None = None
) -> None:
    """Refuse a labelled set that cannot be evaluated.

    Args:
        name: the collection, for the message.
        labels: (clips,) class of each clip.
        splits: (clips,) part of each clip in each split.
        drawn: the settings of random splits, None for splits that the source names.

    Raises:
        UserError: one class only; or a split whose test part is empty, whose training part has fewer than two
            classes, whose test part shares no class with it, or which lacks the validation part asked for.
    """
    classes = sorted(set(labels))
    if len(classes) < 2:
        raise UserError(f"collections.{name}: one class only, {classes[0]!r} - allowed: at least two classes")
    for k in range(len(splits[0])):
        found: dict[str, set[str]] = {part: set() for part in PARTS}
        for label, parts in zip(labels, splits, strict=True):
            found[parts[k]].add(label)
        problem = _problem(found, drawn)
        if problem:
            mend = (
                f"splits are drawn by source video: add videos, raise or lower collections.{name}.splits.test"
                f"{' and validation' if drawn.validation else ''}, or change seed"
                if drawn
                else "mend the splits that its source names"
            )
            raise UserError(f"collections.{name}: split {k + 1} has {problem}; {mend}")


def _problem(found: dict[str, set[str]], drawn: RandomSplits | None) -> str:
    if not found["test"]:
        return "no test clip"
    if not found["train"]:
        return "no train clip"
    if len(found["train"]) < 2:
        return f"train clips of one class only, {next(iter(found['train']))!r}"
    if not found["train"] & found["test"]:
        return "no class with both train and test clips"
    if drawn and drawn.validation and not found["validation"]:
        return "no validation clip"
    return ""
