"""What a search begins with: an earlier search's table, one-hot weights, fixed and frozen terms."""

import json
import sys

import pytest

from pipeline_src.errors import UserError
from pipeline_src.evolution.search import propose, rank
from pipeline_src.evolution.space import Space
from pipeline_src.evolution.start import first_individuals, space_of
from pipeline_src.evolution.tables import read_population, read_start
from pipeline_src.settings.run import load_settings
from pipeline_src.settings.search import StrategySettings
from pipeline_src.stages import propose_weights, rank_generation
from tests.unit.evolution.test_evolution_stages import RANKED, write_fitness

TERMS = ["rgb.backward", "rgb.shuffle", "rgb>flow.translate"]
TABLE = """individual,rank,rung,fitness,spread,status,reason,zipf,rgb.backward,rgb.shuffle
3,1,0,-0.1,,ok,,-0.1,0.25,0.75
0,2,0,-0.4,,ok,,-0.4,1.0,0.0
1,3,0,,,diverged,"NaN, at step 3",,0.5,0.5
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "generation.csv"
    path.write_text(TABLE)
    return path


def call(stage, monkeypatch, search, *arguments):
    settings = {"search": search, "terms": TERMS, "seed": 5, **(RANKED if stage is rank_generation else {})}
    monkeypatch.setattr(sys, "argv", ["stage", "--settings", json.dumps(settings), *map(str, arguments)])
    stage.main()


def test_a_table_gives_its_individuals_best_first_and_new_terms_start_at_zero(table):
    """Else an evolved loss is not what the next search begins with."""
    assert read_start(table, TERMS) == [
        {"rgb.backward": 0.25, "rgb.shuffle": 0.75, "rgb>flow.translate": 0.0},
        {"rgb.backward": 1.0, "rgb.shuffle": 0.0, "rgb>flow.translate": 0.0},
    ]
    shuffled = TABLE.splitlines()
    table.write_text("\n".join([shuffled[0], shuffled[2], shuffled[3], shuffled[1]]))
    assert read_start(table, TERMS)[0]["rgb.shuffle"] == 0.75


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TABLE.replace("rgb.shuffle", "rgb.fuse"), r"generation.csv has rgb.fuse - allowed: terms of loss.terms"),
        (TABLE.replace("0.25", "1.25"), "weights from 0 to 1"),
        (TABLE.replace("0.25", "much"), "weights from 0 to 1"),
        (TABLE.replace("0.25", ""), "weights from 0 to 1"),
        ("\n".join(TABLE.splitlines()[:1]), "at least one individual with a fitness"),
        ("\n".join([TABLE.splitlines()[0], TABLE.splitlines()[3]]), "at least one individual with a fitness"),
        ("rank,fitness\n1,-0.5\n", "at least one individual with a fitness"),
        ("", "not a valid table"),
        ("a,b\n1,2,3\n4\n", "has a, b"),
        ("\x00\x01\x02", r"generation.csv"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_one_line(table, text, told):
    """A warm start that ignores what it does not know would not be one."""
    table.write_text(text)
    with pytest.raises(UserError, match=told) as raised:
        read_start(table, TERMS)
    assert "\n" not in str(raised.value)


def test_stages_carry_the_start_and_frozen_weights_through_a_generation(table, tmp_path, monkeypatch):
    """The files agree: the first individual is the table's best, frozen weights never change."""
    search = {"strategy": "cmaes", "population": 5, "start": str(table), "frozen": ["rgb.b*"]}
    for generation in range(2):
        here, before = tmp_path / f"gen_{generation:03d}", tmp_path / f"gen_{generation - 1:03d}"
        state = ["--state", before / "state.json"] if generation else ["--start", table]
        population = here / "population.csv"
        call(
            propose_weights, monkeypatch, search,
            "--generation", generation, *state, "--population", population,
        )  # fmt: skip
        write_fitness(here, [0.0, 1.0, 2.0, 3.0, 4.0])
        call(
            rank_generation, monkeypatch, search,
            "--generation", generation, *(state if generation else []), "--population", population, "--folder", here,
            "--table", here / "generation.csv", "--state-out", here / "state.json",
        )  # fmt: skip
    first, second = (read_population(tmp_path / name / "population.csv") for name in ("gen_000", "gen_001"))
    assert first[0] == {"rgb.backward": 0.25, "rgb.shuffle": 0.75, "rgb>flow.translate": 0.0}
    assert {weights["rgb.backward"] for weights in [*first, *second]} == {0.25}
    assert len({weights["rgb.shuffle"] for weights in second}) >= 4  # draws beyond 1 are set to it
    assert json.loads((tmp_path / "gen_001/state.json").read_text())["terms"] == TERMS[1:]


def test_a_frozen_term_that_the_table_lacks_is_told_instead_of_being_off(table):
    search = StrategySettings(population=8, start=str(table), frozen=["rgb>flow.*"])
    with pytest.raises(
        UserError, match=r"search.frozen: rgb>flow.translate - allowed: terms that .*generation.csv, has"
    ):
        first_individuals(search, TERMS, table)


def test_a_search_whose_first_generation_fails_still_goes_on_around_its_start():
    """Not around the middle of the space."""
    space = Space([f"term_{number}" for number in range(6)])
    settings = {"sigma": 0.05, "smallest_sigma": 0.01}
    start = [dict.fromkeys(space.terms, 0.1)] * 8
    population = propose("cmaes", settings, space, 8, 0, 0, None, start)
    _, state = rank("cmaes", settings, space, population, [None] * 8, 0, None)
    assert max(max(weights.values()) for weights in propose("cmaes", settings, space, 8, 0, 1, state)) < 0.4


def test_one_hot_begins_with_each_searched_term_alone():
    """The start that a later system uses; fixed weights stay beside."""
    search = StrategySettings(population=4, start="one_hot", fixed={"rgb.shuffle": 0.5})
    space = space_of(search, TERMS, None)
    assert [space.weights(space.values(weights)) for weights in first_individuals(search, TERMS, None)] == [
        {"rgb.backward": 1.0, "rgb.shuffle": 0.5, "rgb>flow.translate": 0.0},
        {"rgb.backward": 0.0, "rgb.shuffle": 0.5, "rgb>flow.translate": 1.0},
    ]
    assert first_individuals(StrategySettings(), TERMS, None) == []


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"strategy": "cmaes", "population": 3}, "population: 3 - allowed: at least 4 for cmaes"),
        ({"start": "one_hot", "population": 2}, "search.population: 2 - allowed: at least 3, the terms"),
        ({"fixed": {"rgb.shufle": 1.0}}, "search.fixed: 'rgb.shufle' - did you mean 'rgb.shuffle'"),
        ({"fixed": {"rgb.shuffle": 1.5}}, r"search.fixed.rgb.shuffle: 1.5"),
        ({"fixed": {"rgb.*": 1.0, "*shuffle": 0.5}}, "fits rgb.shuffle, to which another entry applies"),
        ({"fixed": {"*": 0.5}}, "search.fixed, search.frozen: all of loss.terms"),
        ({"frozen": ["rgb.shuffle"]}, "frozen: 'rgb.shuffle' - allowed: nothing unless start is a table"),
        ({"scale": "cubic"}, "search.scale"),
        (
            {"strategy": "grid", "population": 8, "generations": 5},
            "search.generations: 5 - allowed: at most 4, .* 27 points",
        ),
        ({"floor": 0.0}, "search.floor"),
        ({"trials": {"rungs": 3}, "population": 8}, "trials.rungs: 3 - allowed: as many as leave .* less than 9"),
        ({"strategy": "cmaes", "larger": {3: 2}}, "larger.3: 2 - allowed: at least 4 for cmaes"),
        ({"larger": {5: 16}}, "larger: 5 - allowed: less than generations, 5"),
        ({"floor": 0.01}, "floor: 0.01 - allowed: only with scale: log"),
        ({"trials": {"eta": 4}}, "eta: 4 - allowed: only with rungs above 1"),
    ],
)
def test_settings_that_cannot_be_searched_are_told(search, told):
    """Before anything runs, by name."""
    config = {
        "collections": {
            "pool": {"source": {"kind": "world", "videos": 20}, "modalities": ["rgb", "flow"]},
            "motions": {"source": {"kind": "world", "part": "labelled", "videos": 20}},
        },
        "loss": {"terms": TERMS},
        "search": search,
        "transfer": {"collections": ["motions"]},
    }
    with pytest.raises(UserError, match=told):
        load_settings(config)


@pytest.mark.parametrize("kind", ["random", "best_of_random"])
def test_random_weights_have_no_start_table_to_freeze_terms_by(kind, tmp_path):
    """They were drawn for an entry of kind random, as if nothing were frozen."""
    table = tmp_path / "individuals.csv"
    table.write_text("rgb.shuffle,rgb.backward,rgb>flow.translate\n0.5,1,1\n")
    config = {
        "collections": {"pool": {"source": {"kind": "world", "videos": 20}, "modalities": ["rgb", "flow"]}},
        "loss": {"terms": TERMS},
        "search": {"start": str(table), "frozen": ["rgb.shuffle"]},
        "lineup": [{"name": "drawn", "kind": kind}],
    }
    with pytest.raises(UserError, match=f"lineup: kind {kind} - allowed: only without search.frozen"):
        load_settings(config)
