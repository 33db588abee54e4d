import pytest

from pipeline_src.clips.splits import check_parts, part_named, random_parts
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import RandomSplits

DRAWN = RandomSplits(count=2, test=0.3, validation=0.2)


def test_fractions_are_met_on_average_and_splits_differ() -> None:
    count = 100_000
    parts = [random_parts(f"v{k}", DRAWN, 0) for k in range(count)]
    for split in range(2):
        column = [part[split] for part in parts]
        for part, share in (("test", 0.3), ("validation", 0.2), ("train", 0.5)):
            deviation = (share * (1 - share) / count) ** 0.5
            assert abs(column.count(part) / count - share) < 4 * deviation
    both = sum(part == ("test", "test") for part in parts) / count
    assert abs(both - 0.09) < 4 * (0.09 * 0.91 / count) ** 0.5, "splits are drawn independently"
    assert any(first != second for first, second in parts)


def test_parts_follow_the_seed_and_the_video_alone() -> None:
    few = {name: random_parts(name, DRAWN, 1) for name in ("a", "b", "c")}
    assert {name: random_parts(name, DRAWN, 1) for name in ("z", "a", "y", "b", "c")}.items() >= few.items()
    names = [f"v{k}" for k in range(50)]
    assert [random_parts(n, DRAWN, 1) for n in names] != [random_parts(n, DRAWN, 2) for n in names]


def test_val_is_validation_and_other_words_are_told() -> None:
    assert [part_named(text, "") for text in ("val", " Train", "test", "unused")] == [
        "validation",
        "train",
        "test",
        "unused",
    ]
    with pytest.raises(UserError, match=r"line 3, column s: 'dev' - allowed: train, validation, test, unused"):
        part_named("dev", "line 3, column s")


@pytest.mark.parametrize(
    ("labels", "parts", "drawn", "message"),
    [
        ("aaa", ["train", "train", "test"], None, "one class only, 'a'"),
        ("aab", ["train", "train", "train"], None, "split 1 has no test clip; mend the splits that its source names"),
        ("aab", ["test", "test", "test"], None, "no train clip"),
        ("aab", ["train", "train", "test"], None, "train clips of one class only, 'a'"),
        ("abc", ["train", "train", "test"], None, "no class with both"),
        ("aba", ["train", "train", "test"], DRAWN, r"no validation clip; .*mine\.splits\.test.*seed"),
    ],
)
def test_a_set_that_cannot_be_evaluated_is_refused(
    labels: str, parts: list[str], drawn: RandomSplits | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_parts("mine", list(labels), [(part,) for part in parts], drawn)


def test_every_split_is_checked() -> None:
    good = [("train", "train"), ("train", "train"), ("test", "test")]
    check_parts("mine", ["a", "b", "a"], good)
    with pytest.raises(UserError, match="split 2 has no test clip"):
        check_parts("mine", ["a", "b", "a"], [*good[:2], ("test", "unused")])
