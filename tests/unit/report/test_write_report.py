"""The page and its figures, made by the stage as Snakemake runs it."""

import base64
import hashlib
import html.parser
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pipeline_src.errors import UserError
from pipeline_src.report.captions import of_figures, of_tables
from pipeline_src.settings.run import load_settings
from pipeline_src.stages.write_report import main

Make = Callable[..., Any]
FEW = {"loss": {"terms": ["rgb.shuffle", "rgb>flow.translate", "distill.flow.layer1"]}}
VOID = {"meta", "link", "br", "img", "hr", "input", "path", "use"}


class Outline(html.parser.HTMLParser):
    """Checks that tags close, and collects ids, links and elements that load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.bare_svg = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]
        self.links += [given["href"]] if tag == "a" else []  # type: ignore[list-item]
        self.loads += [f"{tag} {given[name]}" for name in ("src", "data", "action") if given.get(name)]
        self.loads += [f"{tag} {given['href']}"] if tag == "link" else []
        self.bare_svg += tag == "svg" and not (given.get("role") == "img" and len(given.get("aria-label") or "") > 20)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def write(monkeypatch: pytest.MonkeyPatch, folder: Path, settings: Any) -> str:
    """Run the stage; returns the page."""
    text = json.dumps({"run": settings.model_dump(mode="json")})
    page, figures = folder / "report" / "index.html", folder / "report" / "figures"
    arguments = ["write_report", "--settings", text, "--page", str(page), "--figures", str(figures)]
    arguments += ["--tables", str(folder / "report" / "tables")]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    return page.read_text(encoding="utf-8")


def test_the_page_is_whole_and_needs_nothing_else(
    fake_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hostile: str
) -> None:
    """Names of clips could run scripts in the reader's browser, pictures be missing offline or to a screen reader, or
    links lead nowhere."""
    run = fake_run(**FEW)
    run.kl = lambda g, i: None if i == 3 else 0.5 - 0.1 * g
    run.failed = {"pool": [(hostile, "undecodable", hostile)] + [(f"clip{n}", "missing", "gone") for n in range(59)]}
    page = write(monkeypatch, tmp_path, run.write())

    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert re.findall(r"<script[^>]*>", page) == ['<script type="application/json" id="population">', "<script>"]
    assert not re.search(r"<[^>]* on[a-z]+=", page.split("<script>")[0])
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The browser runs this script and no other.
    assert f"script-src 'sha256-{digest}'" in page
    assert hostile not in page
    assert page.count("&lt;script&gt;alert(&#39;clip&#39;)&lt;/script&gt;") >= 4
    assert outline.loads == []
    assert "@import" not in page
    assert not re.search(r"url\(['\"]?http", page)
    assert outline.bare_svg == 0
    assert len(outline.ids) == len(set(outline.ids))
    for link in outline.links:
        assert link.startswith("data:application/json;base64,") or link[1:] in outline.ids
    for picture in set(re.findall(r'(?:href="|url\()#([^")]+)', page)):
        assert picture in outline.ids
    assert len(page.encode()) < 5_000_000

    assert "Failed clips of pool (60, the first 50 shown)" in page
    assert "clip48" in page
    assert "clip49" not in page
    for word in (
        "44.2",
        "62.8",
        "66.2",
        "HMDB51",
        "1 h 6 min",
        "2.0 GiB",
        "does not beat",
        "untrained network",
    ):
        assert word in page
    figures = {path.name: path for path in (tmp_path / "report/figures").glob("*/*.svg")}
    assert {
        "task_weights_shuffle.svg",
        "weights_over_generations.svg",
        "distillation_weights_flow.svg",
        "final_weights_tasks.svg",
        "final_weights_distillation.svg",
        "fitness_zipf.svg",
        "fitness_weak.svg",
        "results_motions_linear.svg",
        "training_evolved.svg",
        "losses_evolved_shuffle.svg",
    } <= figures.keys()
    for path in figures.values():
        root = ElementTree.parse(path).getroot()
        assert root.find("{http://www.w3.org/2000/svg}title") is not None


def test_every_group_of_figures_and_every_table_has_a_caption(
    fake_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`snakemake --report` would show pictures without a word, or stop."""
    write(monkeypatch, tmp_path, fake_run(**FEW).write())
    report = tmp_path / "report"
    assert {path.name for path in (report / "figures").iterdir()} == of_figures().keys()
    assert {path.stem for path in (report / "tables").iterdir()} == of_tables().keys()


def test_same_inputs_same_bytes(fake_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every rerun would look like a new result."""
    settings = fake_run(
        loss={"terms": ["rgb.shuffle", "distill.flow.layer1"]}, lineup=[{"name": "e", "kind": "evolved"}]
    )
    settings = settings.write()
    contents = []
    for name in ("first", "second"):
        write(monkeypatch, tmp_path / name, settings)
        contents.append(
            {p.name: p.read_bytes() for p in sorted((tmp_path / name / "report").rglob("*")) if p.is_file()}
        )
    assert contents[0] == contents[1]
    assert len(contents[0]) > 5


def test_the_settings_on_the_page_repeat_the_run(
    fake_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file that the page offers would not start the same run."""
    settings = fake_run(loss={"terms": ["rgb.shuffle"]}, lineup=[{"name": "e", "kind": "evolved"}]).write()
    page = write(monkeypatch, tmp_path, settings)
    offered = re.search(r"data:application/json;base64,([A-Za-z0-9+/=]+)", page)
    assert offered is not None
    assert load_settings(json.loads(base64.b64decode(offered.group(1)))) == settings


def test_a_run_without_labelled_collections_or_any_success(
    fake_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A pool alone, a search whose individuals all failed and a lineup without training still get their page."""
    run = fake_run(
        loss={"terms": ["rgb.shuffle"]},
        collections={"pool": {"source": {"kind": "world"}}},
        transfer={},
        fitness={"clips": 240},
        search={"population": 2, "generations": 1},
        lineup=[{"name": "scratch", "kind": "scratch"}],
    )
    run.kl = lambda g, i: None
    page = write(monkeypatch, tmp_path, run.write())
    assert "evaluated no labelled collection" in page
    assert "No individual of the search got a fitness." in page
    assert "No individual got a fitness, so there is no evolved loss to show." in page
    assert "No entry of the lineup was trained." in page
    assert "No clip failed." in page


def test_an_unknown_setting_is_a_user_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A traceback instead of the setting's name."""
    arguments = ["write_report", "--settings", '{"runn": {}}', "--page", "p", "--figures", "f", "--tables", "t"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(UserError, match="runn"):
        main()
