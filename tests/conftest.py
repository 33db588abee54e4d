"""Fixtures that several levels of tests share."""

import shutil
from collections.abc import Iterator

import pytest

from tests.tiny_run import ROOT, TINY, TRACKED, Project, copy_project, render_videos


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished tiny run; tests that edit it use `edited`."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    render_videos(project.folder / "videos", 29)
    (project.folder / "videos" / "no video.mp4").write_text("this is text")
    project.snakemake()
    return project


@pytest.fixture
def edited(finished: Project) -> Iterator[Project]:
    """The finished run, whose code and configuration a test may edit; they are put back afterwards."""
    yield finished
    for name in TRACKED:
        target = finished.folder / name
        if target.is_dir():
            shutil.rmtree(target)
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    finished.configure(TINY)
