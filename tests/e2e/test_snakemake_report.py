"""`snakemake --report` of a finished run: every figure and table of the page, each with its caption and category."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline_src.report import captions
from tests.tiny_run import Project

pytestmark = pytest.mark.slow


def test_every_figure_has_its_caption_and_category(finished: Project, tmp_path: Path) -> None:
    finished.snakemake("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    page = files["report/report.html"].decode()
    results, categories = variable(page, "results"), variable(page, "categories")
    places = {
        path: (category, part)
        for category, parts in categories.items()
        for part, paths in parts.items()
        for path in paths
    }
    report = finished.run / "report"
    figures = sorted(report.glob("figures/*/*.svg"))
    assert len({figure.parent.name for figure in figures}) >= 9
    for figure in figures:
        group = captions.FIGURES[figure.parent.name]
        shown = str(figure.relative_to(finished.folder))
        assert places[shown] == (group.category, group.title)
        assert text(results[shown]["caption"]) == f"{group.title}. {group.text}"
        assert results[shown]["labels"]["shows"].replace(" ", "_") == figure.stem
        assert files[f"report/{results[shown]['data_uri']}"] == figure.read_bytes()
    for table in sorted(report.glob("tables/*.csv")):
        shown = str(table.relative_to(finished.folder))
        assert places[shown][0] == "Numbers"
        assert text(results[shown]["caption"]).startswith(captions.TABLES[table.stem])
    whole = str((report / "index.html").relative_to(finished.folder))
    assert places[whole][0] == "Report"
    assert text(results[whole]["caption"]) == captions.PAGE


def variable(page: str, name: str) -> Any:
    """An object of the page's script."""
    start = f"var {name} = "
    return json.JSONDecoder().raw_decode(page, page.index(start + "{") + len(start))[0]


def text(html: str) -> str:
    """Words of one paragraph."""
    found = re.fullmatch(r"<p>(.*)</p>\s*", html, re.S)
    assert found, html
    return " ".join(found.group(1).split())
