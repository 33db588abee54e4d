"""Settings of where and how a job runs are told apart from those that a result depends on."""

import copy

from pipeline_src.settings.base import merged
from pipeline_src.settings.clips import FetchSettings
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.settings.run import RunSettings, load_settings
from tests.tiny_run import TINY


def test_the_two_parts_of_the_settings_make_up_the_whole() -> None:
    settings = load_settings(copy.deepcopy(TINY))
    whole = settings.model_dump(mode="json")
    assert merged(settings.for_result(), settings.for_machine()) == whole
    assert RunSettings.model_validate(whole) == settings


def test_the_machine_has_the_settings_that_rerun_nothing_in_every_section_that_has_them() -> None:
    training = {"device", "processes", "workers", "tensorboard", "checkpoint_every_s", "scratch"}
    found = load_settings(copy.deepcopy(TINY)).for_machine()
    assert set(found) == {"fetch", "proxy", "final", "fitness", "transfer", "redo_hours"}
    assert set(found["proxy"]) == set(found["final"]) == training
    assert set(found["fitness"]["embed"]) == {"device"}
    assert set(found["transfer"]) == {"embed", "finetune"}
    assert set(found["transfer"]["embed"]) == set(found["transfer"]["finetune"]) == {"device"}


def test_how_videos_are_asked_for_says_nothing_of_what_comes() -> None:
    """The advice of a failed fetch is to change these, and must not fetch everything again."""
    advised = {"timeout_s", "retries", "sleep_s", "rate_limit", "proxy", "cookies", "keep_media"}
    assert set(FetchSettings().for_machine()) == advised
    assert set(FetchSettings().for_result()) == {"min_height", "max_bytes", "hosts", "allow_private"}


def test_a_device_says_nothing_of_the_result() -> None:
    one, two = EmbedSettings(device="cpu"), EmbedSettings(device="auto", batch_size=7)
    assert one.for_machine() == {"device": "cpu"}
    assert one.for_result() == {"windows": 3, "batch_size": 32}
    assert merged(two.for_result(), one.for_machine()) == {"windows": 3, "batch_size": 7, "device": "cpu"}


def test_naming_one_setting_of_a_section_leaves_the_others_as_they_are() -> None:
    config = copy.deepcopy(TINY)
    assert "embed" not in config["fitness"]
    config["fitness"]["embed"] = {"batch_size": 7}
    found = load_settings(config).fitness.embed
    assert found.model_copy(update={"batch_size": 32}) == load_settings(copy.deepcopy(TINY)).fitness.embed
