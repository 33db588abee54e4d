"""What reruns when code changes."""

import textwrap
from pathlib import Path

import pytest

from pipeline_src import provenance


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "pipeline_src"
    (package / "stages").mkdir(parents=True)
    (package / "flow").mkdir()
    for folder in (package, package / "stages", package / "flow"):
        (folder / "__init__.py").write_text('"""A package."""\n')
    (package / "stages" / "decode.py").write_text("from pipeline_src.sizes import side\n\nprint(side())\n")
    (package / "sizes.py").write_text('"""Sizes."""\n\n\ndef side():\n    """A side."""\n    return 3  # pixels\n')
    (package / "flow" / "dis.py").write_text("SPEED = 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return package


def version(*modules: str) -> str:
    """As a new process finds it."""
    for cached in (provenance.code_version, provenance._exists, provenance._facts, provenance._known):
        cached.cache_clear()
    provenance._used.clear()
    return provenance.code_version(*modules)


def test_comments_docstrings_and_layout_rerun_nothing(project: Path) -> None:
    before = version("pipeline_src.stages.decode")
    (project / "sizes.py").write_text(
        textwrap.dedent('''
            """Sizes of everything."""
            # A comment.
            def side():

                "Another docstring."
                return (
                    3
                )
        ''')
    )
    assert version("pipeline_src.stages.decode") == before


def test_a_change_in_an_imported_module_reruns_the_stage(project: Path) -> None:
    before = version("pipeline_src.stages.decode")
    (project / "sizes.py").write_text("def side():\n    return 4\n")
    assert version("pipeline_src.stages.decode") != before


def test_a_module_nobody_imports_reruns_nothing_until_it_is_chosen(project: Path) -> None:
    before = version("pipeline_src.stages.decode")
    chosen = version("pipeline_src.stages.decode", "pipeline_src.flow.dis")
    (project / "flow" / "dis.py").write_text("SPEED = 2\n")
    (project / "flow" / "new.py").write_text("SPEED = 3\n")
    assert version("pipeline_src.stages.decode") == before
    assert version("pipeline_src.stages.decode", "pipeline_src.flow.dis") != chosen


def test_what_was_parsed_once_is_not_parsed_again_and_never_taken_for_something_else(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = version("pipeline_src.stages.decode")
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.setattr(provenance, "CACHE", tmp_path / ".snakemake" / "code_versions.json")
    assert version("pipeline_src.stages.decode") == without
    with monkeypatch.context() as unparsed:
        unparsed.setattr(provenance, "_parsed", None)
        assert version("pipeline_src.stages.decode") == without
    old = (project / "sizes.py").read_text()
    (project / "sizes.py").write_text(old.replace("3", "4"))
    assert version("pipeline_src.stages.decode") != without
    (project / "sizes.py").write_text(old)
    for broken in ("", "[]", '{"a": 1}', '{"a": ["b"]}'):
        provenance.CACHE.write_text(broken)
        assert version("pipeline_src.stages.decode") == without


def test_a_package_init_is_part_of_what_is_imported(project: Path) -> None:
    before = version("pipeline_src.stages.decode")
    (project / "stages" / "__init__.py").write_text("THREADS = 1\n")
    assert version("pipeline_src.stages.decode") != before


def test_the_real_stages_do_not_see_methods_that_are_loaded_by_name() -> None:
    seen, queue = set(), ["pipeline_src.stages.extract_flow", "pipeline_src.stages.try_weights"]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(name for name in provenance._facts(name)[1] if provenance._path(name).exists())
    assert not {"pipeline_src.features.flow.dis", "pipeline_src.tasks.shuffle"} & seen
    assert "pipeline_src.loss.engine" in seen


def test_a_run_record_holds_what_repeats_a_result() -> None:
    record = provenance.run_record({"a": 1}, ("numpy", "no-such-package"))
    assert record["settings"] == {"a": 1}
    assert record["packages"]["numpy"][0].isdigit()
    assert record["packages"]["no-such-package"] == "not installed"
    assert record["settings_hash"] == provenance.run_record({"a": 1})["settings_hash"]
    assert record["settings_hash"] != provenance.run_record({"a": 2})["settings_hash"]
