"""Edits during a run: its jobs use what it was planned with."""

import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tiny_run import TINY, Project
from workflow import planned_code


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout; what is planned comes into another folder, the present one."""
    for name, text in {
        "Snakefile": "rule all:\n",
        "workflow/rules/a.smk": "rule a:\n",
        "workflow/redo_guard.py": "",
        "pipeline_src/__init__.py": "",
        "pipeline_src/report/page.css": "p {}",
        "pipeline_src/__pycache__/a.pyc": "",
    }.items():
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / name).write_text(text)
    (tmp_path / "run" / ".snakemake").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setenv(planned_code.CODE, "")
    monkeypatch.setattr(planned_code, "_own", set())
    return tmp_path / "checkout"


def as_a_job() -> None:
    """What follows happens in another process."""
    planned_code._own.clear()


def test_the_copy_is_whole_and_made_once(checkout: Path) -> None:
    folder = planned_code.planned_code(checkout)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"RULES", "REVISION", "pipeline_src/__init__.py", "pipeline_src/report/page.css"}
    assert planned_code.planned_code(checkout) == folder
    (checkout / "pipeline_src/report/page.css").write_text("q {}")
    assert planned_code.planned_code(checkout) != folder


def test_a_job_uses_the_planned_code(checkout: Path) -> None:
    folder = planned_code.planned_code(checkout)
    as_a_job()
    (checkout / "pipeline_src/__init__.py").write_text("1/0")
    assert planned_code.planned_code(checkout) == folder


def test_the_configuration_is_kept_for_jobs(checkout: Path) -> None:
    planned_code.planned_code(checkout)
    [path] = planned_code.planned_config({"seed": 1})
    assert path.is_absolute()
    assert json.loads(path.read_text()) == {"seed": 1}
    assert planned_code.planned_config({"seed": 2}) != [path]


def test_what_is_edited_while_it_is_copied_is_another_copy(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_file = planned_code.shutil.copyfile

    def edited_just_now(source: Path, target: Path) -> None:
        source.write_text("edited")
        copy_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(planned_code.shutil, "copyfile", edited_just_now)
        folder = planned_code.planned_code(checkout)
    assert (folder / "pipeline_src/__init__.py").read_text() == "edited"
    as_a_job()
    monkeypatch.setenv(planned_code.CODE, "")
    assert planned_code.planned_code(checkout) == folder


def test_a_renamed_file_is_another_copy(checkout: Path) -> None:
    folder = planned_code.planned_code(checkout)
    (checkout / "pipeline_src/__init__.py").rename(checkout / "pipeline_src/a.py")
    assert planned_code.planned_code(checkout) != folder


@pytest.mark.parametrize("edited", ["Snakefile", "workflow/rules/a.smk", "workflow/redo_guard.py"])
def test_a_job_whose_rules_were_edited_stops(checkout: Path, edited: str, capsys: pytest.CaptureFixture[str]) -> None:
    planned_code.planned_code(checkout)
    as_a_job()
    (checkout / edited).write_text("rule b:\n")
    with pytest.raises(SystemExit):
        planned_code.planned_code(checkout)
    assert "edited after this run was planned; start Snakemake again" in capsys.readouterr().err


def test_what_nobody_used_for_months_goes(checkout: Path) -> None:
    old = planned_code.planned_code(checkout)
    planned_code.planned_config({})
    for path in planned_code.PLANNED.iterdir():
        os.utime(path, (0, 0))
    (checkout / "pipeline_src/__init__.py").write_text("2")
    new = planned_code.planned_code(checkout)
    assert list(planned_code.PLANNED.iterdir()) == [planned_code.PLANNED / new.name]
    assert not old.exists()


def test_what_a_job_uses_stays(checkout: Path) -> None:
    """A search may take longer than unused copies are kept."""
    folder = planned_code.planned_code(checkout)
    [configuration] = planned_code.planned_config({})
    for path in (folder, configuration):
        os.utime(path, (0, 0))
    as_a_job()
    planned_code.planned_code(checkout, [configuration])
    planned_code._clear()
    assert folder.exists()
    assert configuration.exists()


@pytest.mark.slow
def test_a_run_ends_as_planned_whatever_is_edited_meanwhile(edited: Project) -> None:
    layers = sorted(edited.run.glob("transfer/labelled/split_1/*/seed_0/linear.json"))
    before = [path.read_bytes() for path in layers]
    config = copy.deepcopy(TINY)
    config["transfer"]["linear"] = {"inverse_regularisation": [0.02]}
    edited.configure(config)
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "1"]
    command += [str(path.relative_to(edited.folder)) for path in layers]
    with subprocess.Popen(
        command, cwd=edited.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        deadline = time.monotonic() + 300
        while [path.read_bytes() if path.exists() else b"" for path in layers] == before:
            assert run.poll() is None, run.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for file in (edited.folder / "pipeline_src").rglob("*.py"):
            file.write_text("raise SystemExit('this was edited in the middle of a run')\n")
        edited.configure({"run": 1})
        said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, said
    chosen = [json.loads(path.read_text())["inverse_regularisation"] for path in layers]
    assert chosen == [0.02] * 2


def test_a_plan_needs_no_folder_that_can_be_written(checkout: Path) -> None:
    Path(".snakemake").rmdir()
    Path(".snakemake").write_text("no folder")
    assert planned_code.planned_code(checkout) == checkout
    assert planned_code.planned_config({"seed": 1}) == []


def test_the_checkout_s_revision_is_kept(checkout: Path) -> None:
    assert (planned_code.planned_code(checkout) / "REVISION").read_text() == "unknown"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=checkout, check=True)
    revision = (planned_code.planned_code(checkout) / "REVISION").read_text()
    assert len(revision) == 40
    (checkout / "Snakefile").write_text("rule c:\n")
    assert (planned_code.planned_code(checkout) / "REVISION").read_text() == f"{revision}-dirty"
