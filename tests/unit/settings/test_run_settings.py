"""A wrong configuration is told in one line before anything runs."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline_src.errors import UserError
from pipeline_src.settings import catalogue
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.settings.export_limits import RANGES
from pipeline_src.settings.learning import LossSettings, NetworkSettings, WindowSettings
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
    assert len(settings.loss.terms) == 48
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
        ("fetch.proxy", "http://me:word@proxy.example:3128", "fetch: proxy: names a user or a password - allowed: an"),
        ("decode.frame_rate", 0.0005, "decode.frame_rate: 0.0005 - allowed: 0.001 to 120"),
        ("decode.max_duration_s", 2e9, "decode.max_duration_s: 2000000000 - allowed: 0.001 to 1000000000"),
        ("decode.timeout_s", 1e-6, "decode.timeout_s: 1e-06 - allowed: 0.001 to 1000000000"),
        ("decode.max_pixels", 2**31, "decode.max_pixels: 2147483648 - allowed: 1 to 2147483647"),
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
        ("collections.pool.modalities", ["rgb"], "must include audio, which the term audio.backward uses"),
        ("collections.pool.modalities", ["flow"], "modalities: allowed: rgb, and any of"),
        ("run", "../elsewhere", "run: '../elsewhere'"),
        ("seeds", [0, 0], "seeds: [0, 0] - allowed: each seed once"),
        ("seeds", [-1], "seeds.0: -1 - allowed: greater than or equal to 0"),
        ("transfer.collections", ["motions", "motions"], "transfer.collections: motions, motions - allowed: each name"),
        ("transfer.linear", {"inverse_regularisation": [0]}, "inverse_regularisation.0: 0 - allowed: greater than 0"),
        ("transfer.finetune.learning_rates", [1e30], "learning_rates.0: 1e+30 - allowed: less than or equal to 100"),
        ("loss.tasks", {"align": None}, "allowed: a mapping of task families"),
        ("loss.tasks", 3, "allowed: a mapping of task families"),
        ("search.settings", 5, "settings: 5 - allowed: a mapping"),
        ("data_root", "da{x}ta", "data_root: 'da{x}ta'"),
        ("collections.motions.splits", {"count": 2}, "splits: given for a set with splits of its own"),
        ("final.processes", 5, "batch_size: 12 - allowed: a multiple of processes, 5"),
        ("proxy.processes", 2, "proxy.processes: 2 - allowed: 1; individuals train side by side"),
        ("search.generations", 0, "search.generations: 0 - allowed: greater than or equal to 1"),
    ],
)
def test_a_wrong_value_names_the_setting_the_value_and_what_is_allowed(path: str, value: Any, expected: str) -> None:
    with pytest.raises(UserError) as error:
        load_settings(changed(path, value))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_windows_that_an_export_could_not_hold_are_refused_before_anything_is_trained() -> None:
    large = changed("decode", {"height": 224, "width": 224}) | {"window": {"frames": 64, "crop": 224}}
    large["transfer"] = large["transfer"] | {"embed": {"windows": 83}}
    load_settings(large)
    large["transfer"]["embed"]["windows"] = 84
    with pytest.raises(UserError, match=r"transfer.embed.windows: 84 - allowed: at most 83 of 64x224x224 pixels"):
        load_settings(large)


def test_no_other_setting_allows_what_an_export_does_not() -> None:
    """A trained encoder could be exported, but not be read."""
    for model, name, own in (
        (WindowSettings, "frames", "frames"),
        (WindowSettings, "crop", "crop"),
        (NetworkSettings, "width", "network_width"),
        (EmbedSettings, "windows", "windows"),
    ):
        bounds = [getattr(part, "ge", getattr(part, "le", None)) for part in model.model_fields[name].metadata]
        assert (min(bounds), max(bounds)) == RANGES[own]


def test_a_labelled_pool_is_refused() -> None:
    with pytest.raises(UserError, match=r"collections.pool.source: labelled"):
        load_settings(changed("collections.pool.source.part", "labelled"))


def test_a_labelled_folder_without_splits_is_refused() -> None:
    config = changed("collections.motions", {"source": {"kind": "folder", "path": "x", "labels": "folder"}})
    with pytest.raises(UserError, match=r"collections.motions.splits: missing"):
        load_settings(config)


def test_terms_may_be_names_patterns_or_groups() -> None:
    config = changed("loss.terms", ["*.shuffle", "distill.flow.*", "rgb>flow.translate"])
    config["search"]["controls"] = ["*"]
    assert len(load_settings(config).loss.terms) == 10
    config["loss"]["terms"] = ["space", "rgb.shuffle"]
    assert load_settings(config).loss.terms == (
        "rgb.aspect_ratio",
        "rgb.jigsaw",
        "rgb.relative_position",
        "rgb.rotation",
        "rgb.shuffle",
    )


def test_a_pattern_of_controls_leaves_out_what_cannot_train_the_rgb_network() -> None:
    config = changed("loss.terms", ["*.shuffle", "distill.flow.layer1", "*.translate"])
    config["search"]["controls"] = ["*"]
    settings = load_settings(config)
    found = settings.search.controls_of(settings.loss.terms)
    assert found == ("distill.flow.layer1", "rgb.shuffle", "rgb>audio.translate", "rgb>flow.translate")
    config["search"]["controls"] = ["*", "flow.shuffle"]
    settings = load_settings(config)
    assert "flow.shuffle" in settings.search.controls_of(settings.loss.terms)


def test_a_single_entry_may_have_a_term_that_is_not_searched_with_settings_of_its_own() -> None:
    config = changed("lineup", [{"name": "moco", "kind": "single", "term": "rgb.moco", "settings": {"queue": 64}}])
    settings = load_settings(config)
    loss = settings.loss_of(settings.lineup[0])
    assert loss.terms == ("rgb.moco",)
    assert loss.tasks["moco"]["queue"] == 64
    assert loss.tasks["moco"]["temperature"] == 0.07
    assert "rgb.moco" not in settings.loss.terms
    # A stage gets them as JSON and parses them again.
    assert LossSettings.model_validate(loss.model_dump(mode="json")) == loss


def test_every_term_can_be_an_entry_of_its_own() -> None:
    entries = [
        {"name": f"row{number}", "kind": "upper_bound", "term": term, "collection": "motions"}
        if catalogue.reads_labels(family)
        else {"name": f"row{number}", "kind": "single", "term": term}
        for number, (term, family) in enumerate(catalogue.terms().items())
    ]
    settings = load_settings(changed("lineup", entries))
    assert len(settings.lineup) == len(catalogue.terms()) >= 84
    for entry in settings.lineup:
        assert entry.term in settings.loss_of(entry).terms


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"kind": "single", "term": "rgb.mocco"}, "term: 'rgb.mocco' - did you mean 'rgb.moco'?"),
        ({"kind": "single", "term": "rgb.moco", "settings": {"queue": 0}}, "moco.queue: 0 - allowed: 1 to 1000000"),
        ({"kind": "single", "term": "rgb.shuffle", "settings": {"hidden": 8}}, "allowed: loss.tasks instead"),
        ({"kind": "uniform", "settings": {"hidden": 8}}, "settings: given without a term"),
        ({"kind": "single", "term": "rgb.ubernce"}, "it learns from labels; allowed: as the term of an entry of kind"),
        ({"kind": "upper_bound", "term": "rgb.ubernce"}, "collection: None - allowed: a labelled set"),
        ({"kind": "upper_bound", "term": "rgb.moco", "collection": "motions"}, "it reads no labels"),
        ({"kind": "random", "pool_fraction": 0.5}, "pool_fraction: 0.5 - allowed: 1 for kind random"),
        (
            {"kind": "pretrained", "weights": "w.pth", "network": "r3d_18", "pool_fraction": 0.5},
            "1 for kind pretrained",
        ),
        ({"kind": "evolved", "pool_fixed": "epochs"}, "only with a pool_fraction below 1"),
        ({"kind": "pretrained"}, "weights: None - allowed: a name or file"),
        ({"kind": "evolved", "weights": "w.pth"}, "weights: 'w.pth' - allowed: a name or file for kind pretrained"),
        ({"kind": "scratch", "network": "r3d_18"}, "network: 'r3d_18' - allowed: nothing"),
        ({"kind": "pretrained", "weights": "r3d_18"}, "allowed: r3d_18/NAME or r2plus1d_18/NAME"),
        ({"kind": "pretrained", "weights": "w.pth"}, "network: missing"),
        (
            {"kind": "upper_bound", "term": "rgb.ubernce", "collection": "pool"},
            "allowed: labelled collections: motions",
        ),
    ],
)
def test_a_wrong_lineup_entry_is_told(entry: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as error:
        load_settings(changed("lineup", [{"name": "row", **entry}]))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_labels_are_never_searched() -> None:
    """The search would otherwise be told what it is judged by."""
    with pytest.raises(UserError, match=r"loss.terms: rgb.ubernce - it learns from labels"):
        load_settings(changed("loss.terms", ["rgb.ubernce"]))
    assert "rgb.ubernce" not in load_settings(changed("loss.terms", ["*"])).loss.terms


def test_an_upper_bound_never_learns_from_another_split_s_test_clips() -> None:
    bound = {"name": "bound", "kind": "upper_bound", "term": "rgb.ubernce", "collection": "motions"}
    config = changed("lineup", [bound])
    load_settings(config)
    config["collections"]["motions"] = {
        "source": {"kind": "folder", "path": "x", "labels": "folder"},
        "splits": {"count": 3},
    }
    with pytest.raises(UserError, match=r"lineup.bound.collection: 'motions' - training clips of one split"):
        load_settings(config)


def test_a_window_too_short_for_a_term_is_told() -> None:
    config = changed("loss.terms", ["rgb.shuffle_and_learn"])
    config["window"]["frames"] = 4
    config["lineup"] = [{"name": "scratch", "kind": "scratch"}]
    with pytest.raises(UserError, match=r"rgb.shuffle_and_learn - it needs window.frames of at least 5, found 4"):
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
