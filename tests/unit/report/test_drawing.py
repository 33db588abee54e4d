"""Figures have room for the names in them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline_src.report import drawing
from pipeline_src.report.gather import gather
from pipeline_src.report.page import draw_figures
from pipeline_src.report.result_figures import fitness_against_transfer
from tests.unit.report import conftest

Make = Callable[..., Any]
EVOLVED, TERM, UNIFORM = "evolved-with-a-name-of-forty-letters-xxx", "single_term_" + 28 * "x", "u" * 64


def test_every_entry_of_a_long_lineup_has_a_name_and_a_mark_of_its_own(fake_run: Make) -> None:
    """There are more entries than letters."""
    names = [f"u{number}" for number in range(29)]
    lineup = [{"name": "evolved", "kind": "evolved"}, *[{"name": name, "kind": "uniform"} for name in names]]
    terms = {"terms": ["rgb.shuffle", "rgb>flow.translate"]}
    (panel,) = fitness_against_transfer(gather(fake_run(lineup=lineup, loss=terms).write()), "motions")
    assert [name for name in names if f"{name} has fitness" not in panel.description] == []
    assert set(range(1, 31)) <= {int(number) for number in re.findall(r">(\d+): ", panel.svg)}


@pytest.mark.filterwarnings("error:constrained_layout")
def test_nothing_is_cut_off_where_names_are_long(fake_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that cannot be told apart, and plots that vanish beside their own names."""
    shares: dict[str, float] = {}
    outside: list[str] = []

    def measured(figure: Figure, description: str) -> str:
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        found, whole = figure.get_tightbbox(renderer), figure.bbox_inches
        if min(found.x0, found.y0, whole.x1 - found.x1, whole.y1 - found.y1) < -0.02:
            outside.append(description)
        axes = figure.axes[0].get_position()
        shares[description] = min(axes.width, axes.height)
        return "<svg></svg>"

    monkeypatch.setattr(drawing, "_svg", measured)
    monkeypatch.setattr(conftest, "LABELS", tuple(f"class_{n}_that_somebody_gave_a_name_like_this" for n in range(3)))
    lineup = [
        {"name": EVOLVED, "kind": "evolved"},
        {"name": TERM, "kind": "single", "term": "rgb.shuffle"},
        {"name": UNIFORM, "kind": "uniform"},
        *({"name": f"random-loss-of-a-draw-with-the-number-{n:03}", "kind": "random"} for n in range(8)),
    ]
    draw_figures(gather(fake_run(loss={"terms": ["rgb.shuffle", "rgb>flow.translate"]}, lineup=lineup).write()))
    assert len(shares) > 20
    assert outside == []
    assert min(shares.values()) > 0.25, min(shares, key=lambda description: shares[description])


@pytest.mark.parametrize(
    ("name", "lines", "wanted"),
    [
        ("short", None, "short"),
        ("rgb-to-flow_translate", None, "rgb-to-\nflow_\ntranslate"),
        ("brush hair_up", None, "brush\nhair_up"),
        ("x" * 25, None, "x" * 10 + "\n" + "x" * 10 + "\n" + "x" * 5),
        ("one two three four five six", 2, "one two\nthree…"),
    ],
)
def test_names_are_broken_where_a_reader_would(name: str, lines: int | None, wanted: str) -> None:
    assert drawing.wrapped(name, 10, lines) == wanted
