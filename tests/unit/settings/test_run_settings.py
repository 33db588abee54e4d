"""A wrong configuration is told in one line before anything runs."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline_src.errors import UserError
from pipeline_src.settings import catalogue
from pipeline_src.settings.reference import reference
from pipeline_src.settings.run import RunSettings, load_settings

ROOT = Path(__file__).resolve().parents[3]
DEMO = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(DEMO)
    *parents, last = path.split(".")
    section = config
    for name in parents:
        section = section.setdefault(name, {})
    section[last] = value
    return config


def test_the_demo_configuration_is_valid() -> None:
    settings = load_settings(DEMO)
    assert len(settings.loss.terms) == 34
    assert settings.collections["motions"].split_count == 1


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_example_configuration_is_valid(path: Path) -> None:
    load_settings(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("sead", 1, "config: sead: unknown setting; did you mean 'seed'?"),
        ("decode.frame_rat", 8, "decode.frame_rat: unknown setting; did you mean 'frame_rate'?"),
        ("decode.frame_rate", -1, "decode.frame_rate: -1 - allowed: greater than 0"),
        ("decode.frame_rate", "fast", "decode.frame_rate: 'fast'"),
        ("flow.method", "tvl2", "'tvl2' - did you mean 'tvl1'?"),
        ("search.strategy", "tournamnt", "'tournamnt' - did you mean 'tournament'?"),
        ("loss.terms", ["rgb.shufle"], "terms: 'rgb.shufle' - did you mean 'rgb.shuffle'?"),
        ("loss.terms", [], "loss.terms"),
        ("loss.tasks", {"embed": {"margin": -1}}, "embed.margin: -1 - allowed: 0.0 to 4.0"),
        ("loss.tasks", {"embed": {"margn": 1}}, "embed.margn: unknown setting; did you mean 'margin'?"),
        ("loss.tasks", {"align": {"negatives": "easy"}}, "allowed: shifted, other, both"),
        ("window.crop", 64, "window.crop: 64 - allowed: at most 40"),
        ("transfer.collections", ["hmdb"], "transfer.collections: 'hmdb' - allowed: labelled collections: motions"),
        ("fitness.weak.collection", "pool", "fitness.weak.collection: 'pool' - allowed: labelled collections: motions"),
        ("fitness.weak.split", 2, "fitness.weak.split: 2 - allowed: 1 to 1"),
        ("fitness.clips", 10, "fitness.clips: 10 - allowed: at least 70 for 8 clusters"),
        ("collections.pool.modalities", ["rgb"], "must include audio, which the term audio~rgb.align uses"),
        ("collections.pool.modalities", ["flow"], "modalities: allowed: rgb, and any of"),
        ("run", "../elsewhere", "run: '../elsewhere'"),
        ("seeds", [0, 0], "seeds: [0, 0] - allowed: each seed once"),
        ("seeds", [-1], "seeds.0: -1 - allowed: greater than or equal to 0"),
        ("transfer.collections", ["motions", "motions"], "transfer.collections: motions, motions - allowed: each name"),
        ("transfer.linear", {"inverse_regularisation": [0]}, "inverse_regularisation.0: 0 - allowed: greater than 0"),
        ("transfer.finetune.learning_rate", 1e30, "learning_rate: 1e+30 - allowed: less than or equal to 100"),
        ("loss.tasks", {"align": None}, "allowed: a mapping of task families"),
        ("loss.tasks", 3, "allowed: a mapping of task families"),
        ("search.settings", 5, "settings: 5 - allowed: a mapping"),
        ("data_root", "da{x}ta", "data_root: 'da{x}ta'"),
        ("collections.motions.splits", {"count": 2}, "splits: given for a set with splits of its own"),
        ("search.generations", 0, "search.generations: 0 - allowed: greater than or equal to 1"),
    ],
)
def test_a_wrong_value_names_the_setting_the_value_and_what_is_allowed(path: str, value: Any, expected: str) -> None:
    with pytest.raises(UserError) as error:
        load_settings(changed(path, value))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_labelled_pool_is_refused() -> None:
    with pytest.raises(UserError, match=r"collections.pool.source: labelled"):
        load_settings(changed("collections.pool.source.part", "labelled"))


def test_a_labelled_folder_without_splits_is_refused() -> None:
    config = changed("collections.motions", {"source": {"kind": "folder", "path": "x", "labels": "folder"}})
    with pytest.raises(UserError, match=r"collections.motions.splits: missing"):
        load_settings(config)


def test_terms_may_be_patterns_and_a_term_outside_the_search_space_is_no_single_entry() -> None:
    config = changed("loss.terms", ["*.shuffle", "distill.flow.*", "rgb>flow.translate"])
    assert len(load_settings(config).loss.terms) == 9
    config["loss"]["terms"] = ["*.shuffle"]
    with pytest.raises(UserError, match=r"lineup.rgb-to-flow.term"):
        load_settings(config)


def test_weak_fitness_never_sees_labels_of_another_split_s_test_clips() -> None:
    config = changed("collections.motions", {"source": {"kind": "folder", "path": "x", "labels": "folder"}})
    config["collections"]["motions"]["splits"] = {"count": 3}
    load_settings(config)
    config["fitness"]["measure"] = "weak"
    with pytest.raises(UserError, match=r"fitness.measure: 'weak' - motions is evaluated on 3 splits"):
        load_settings(config)


def test_settings_of_tasks_carry_their_defaults_so_that_a_changed_default_reruns() -> None:
    settings = load_settings(changed("loss.tasks", {"embed": {"margin": 0.5}}))
    assert settings.loss.tasks["embed"] == {"margin": 0.5, "size": 64}
    assert load_settings(settings.model_dump(mode="json")) == settings


def test_every_term_is_known_by_name_without_loading_torch() -> None:
    terms = catalogue.terms()
    assert terms["rgb>flow.translate"] == "translate"
    assert terms["distill.audio.layer3"] == "distill"


def test_the_settings_reference_and_schema_are_up_to_date() -> None:
    """Fails after a changed setting until `make docs` is run."""
    assert (ROOT / "config" / "README.md").read_text() == reference()
    schema = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    assert schema == json.loads(json.dumps(RunSettings.model_json_schema()))


def test_numbers_of_a_chosen_module_have_the_declared_type() -> None:
    """OpenCV and range() refuse 5.0 where 5 is meant."""
    settings = load_settings({**DEMO, "flow": {"method": "farneback", "settings": {"scales": 3.0, "window": 1e1}}})
    assert [type(settings.flow.settings[name]) for name in ("scales", "window", "scale_step")] == [int, int, float]
    for method, wrong in (("tvl1_torch", {"median_filter": True}), ("motion_vectors", {"smoothing": 1})):
        with pytest.raises(UserError, match="allowed"):
            load_settings({**DEMO, "flow": {"method": method, "settings": wrong}})
