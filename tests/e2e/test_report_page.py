"""The report in a browser: what a reader sees and does."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline_src.settings.run import load_settings
from tests.tiny_run import TINY, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="the page is opened with Debian's packages chromium and chromium-driver, which are not installed",
    ),
]
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, finished: Project) -> Any:
    browser.set_window_size(*DESKTOP)
    browser.get((finished.run / "report" / "index.html").as_uri())
    return browser


def test_nothing_fails_and_nothing_is_fetched(page: Any) -> None:
    assert page.get_log("browser") == []
    asked = []
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    assert [url for url in asked if not url.startswith("data:")] == [page.current_url]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_figure_is_drawn_and_the_page_is_no_wider_than_the_window(
    page: Any, size: tuple[int, int], tmp_path: Path
) -> None:
    # A window of the browser is wider than a phone; the page's view is not.
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size is PHONE}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        wide = page.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1] == size[0]
        sizes = page.execute_script(
            "return [...document.querySelectorAll('.panel svg, .strip')]"
            ".map(e => [e.getBoundingClientRect().width, e.getBoundingClientRect().height])"
        )
        assert len(sizes) > 20
        assert min(min(pair) for pair in sizes) >= 20
        folder = Path(os.environ.get("REPORT_SCREENSHOTS", tmp_path))
        height = page.execute_script("return document.documentElement.scrollHeight")
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "height": height})
        assert page.save_screenshot(str(folder / f"report_{size[0]}.png"))
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_strips_of_the_gallery_play(page: Any) -> None:
    box = page.find_element("css selector", ".gallery input")
    place = "return getComputedStyle(document.querySelector('.strip')).backgroundPositionX"
    still = page.execute_script(place)
    time.sleep(0.4)
    assert page.execute_script(place) == still
    page.execute_script("arguments[0].click()", box)
    seen = set()
    for _ in range(12):
        seen.add(page.execute_script(place))
        time.sleep(0.1)
    assert len(seen) >= 4
    marks = [mark.text[0] for mark in page.find_elements("css selector", ".query figcaption.better, .query .worse")]
    assert set(marks) == {"✓", "✗"}


def rewritten(project: Project, top1: dict[str, str]) -> Path:
    """The page of a run, written again with other k-means results of some entries; an empty one has failed."""
    table = project.run / "transfer" / "summary.csv"
    with open(table) as file:
        rows = list(csv.DictReader(file))
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            if row["method"] == "kmeans" and row["entry"] in top1:
                row["mean"] = top1[row["entry"]]
                if not row["mean"]:
                    row |= {"low": "", "high": "", "failed": "1"}
            writer.writerow(row)
    report = project.folder / "again"
    command = [sys.executable, "-m", "pipeline_src.stages.write_report", "--page", str(report / "index.html")]
    command += ["--figures", str(report / "figures"), "--tables", str(report / "tables")]
    settings = json.dumps({"run": load_settings(TINY).model_dump(mode="json")})
    subprocess.run([*command, "--settings", settings], cwd=project.folder, check=True, timeout=120)
    return report / "index.html"


def test_tables_sort_by_number_with_failures_last(browser: Any, edited: Project) -> None:
    top1 = {"evolved": "0.05", "scratch": "", "frame count": "1", "raw pixels": "0.1"}
    browser.get(rewritten(edited, top1).as_uri())
    table = browser.find_element("css selector", "#results table.sortable")
    names = "return [...arguments[0].tBodies[0].rows].map(r => r.cells[0].firstChild.textContent)"
    rising = ["evolved", "raw pixels", "frame count"]
    assert browser.execute_script(names, table) != [*rising, "scratch"]
    heads = table.find_elements("css selector", "thead button")
    assert heads[1].text == "k-means"
    for order, wanted in (("descending", rising[::-1]), ("ascending", rising)):
        browser.execute_script("arguments[0].click()", heads[1])
        assert browser.execute_script(names, table) == [*wanted, "scratch"]
        assert table.find_elements("css selector", "thead th")[1].get_attribute("aria-sort") == order
    browser.execute_script("arguments[0].click()", heads[0])
    assert browser.execute_script(names, table) == sorted([*rising, "scratch"], reverse=True)


def test_the_explorer_shows_each_individual_s_weights(page: Any, finished: Project) -> None:
    points = page.find_elements("css selector", "#explorer circle")
    tables = [path.read_text().splitlines() for path in finished.run.glob("search/gen_*/generation.csv")]
    assert len(points) == sum(len(table) - 1 for table in tables) == 4
    shown = page.find_element("css selector", "#explorer output")
    first = shown.text
    assert first.startswith("generation ")
    assert len(shown.find_elements("css selector", "li")) == 4
    texts = set()
    for point in points:
        page.execute_script("arguments[0].dispatchEvent(new PointerEvent('pointerenter'))", point)
        texts.add(shown.text)
    assert len(texts) == 4
    page.execute_script("document.querySelector('#explorer svg').focus()")
    left, right = "\ue012", "\ue014"
    keys = page.switch_to.active_element
    keys.send_keys(left * len(points))
    at_the_first = shown.text
    keys.send_keys(right)
    assert shown.text in texts - {at_the_first}
    keys.send_keys(left)
    assert shown.text == at_the_first
    page.execute_script(
        "const s = document.querySelector('#explorer select'); s.value = 'rgb.shuffle';"
        "s.dispatchEvent(new Event('change'))"
    )
    opacity = "return [...document.querySelectorAll('#explorer circle')].map(c => c.style.fillOpacity)"
    shown_weights = sorted((float(value) - 0.12) / 0.88 for value in page.execute_script(opacity))
    rows = [row for path in finished.run.glob("search/gen_*/generation.csv") for row in csv.DictReader(path.open())]
    assert shown_weights == pytest.approx(sorted(float(row["rgb.shuffle"]) for row in rows), abs=0.002)


def test_the_explorer_names_generations_that_there_are(browser: Any, finished: Project, tmp_path: Path) -> None:
    """A search of one generation has no second one."""
    page = (finished.run / "report" / "index.html").read_text()
    head, begin, rest = page.partition('id="population">')
    text, end, tail = rest.partition("</script>")
    for last, named in ((0, ["0"]), (1, ["0", "1"])):
        population = json.loads(text)
        population["individuals"] = [one for one in population["individuals"] if one["g"] <= last]
        (tmp_path / "page.html").write_text(f"{head}{begin}{json.dumps(population)}{end}{tail}")
        browser.get((tmp_path / "page.html").as_uri())
        middle = "document.querySelectorAll('#explorer svg text[text-anchor=middle]')"
        assert browser.execute_script(f"return [...{middle}].map(t => t.textContent)") == [*named, "generation"]
