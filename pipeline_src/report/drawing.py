"""How every figure is drawn: one style, and SVG whose bytes depend on its content only."""

import io
import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

INK, MUTED, GRID = "#22262b", "#5f6771", "#d9d6cf"
ACCENT, SECOND, WARM, THIRD = "#1f5f8b", "#b4531f", "#a8324a", "#2f7d4f"
STREAM_COLOURS = {
    "rgb": "#b4531f",
    "flow": "#1f5f8b",
    "grey": "#6b6f76",
    "audio": "#2f7d4f",
    "rgb>flow": "#1f5f8b",
    "grey>rgb": "#8a6d1d",
    "flow~rgb": "#1f5f8b",
    "grey~rgb": "#8a6d1d",
    "audio~rgb": "#2f7d4f",
}
LAYER_COLOURS = {
    "layer1": "#9dbfa5",
    "layer2": "#5fa37c",
    "layer3": "#2f8079",
    "layer4": "#235a78",
    "embedding": "#3a2a5e",
}
OTHER_COLOURS = ("#7b4b94", "#a8324a", "#0f7d83", "#5b6b2f", "#444fa1", "#93593b")
MARKERS = "osD^vP*X"
WEIGHTS = LinearSegmentedColormap.from_list("weights", ["#f3f1ea", "#bcd0dc", "#6b9dbd", "#1f5f8b", "#0d2f4a"])
STYLE = {
    "svg.hashsalt": "report",
    "figure.facecolor": "#fdfcfa",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.labelsize": 8.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "text.color": INK,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
}
FONTS = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
MOST_GENERATIONS = 80
# Inches of a wide letter and a line of ticks and legends, of a letter of titles, and of a legend's sign and gap.
LETTER, LINE, TITLE_LETTER, LEGEND_SIGN = 0.071, 0.15, 0.095, 0.42
# Lines of a legend that figures have room for; more make the figure higher.
LEGEND_LINES = 3


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        name: its file name without .svg.
        description: what it shows, with its numbers, for readers who can't see it.
        svg: the file's content.
        wide: whether it needs more width than a phone has.
    """

    name: str
    description: str
    svg: str
    wide: bool = False

    @property
    def inline(self) -> str:
        """The picture as an element of a page: ids made unique by the name, sized by the page's style sheet."""
        body = self.svg[self.svg.index("<svg") :]
        body = re.sub(r'\bid="', f'id="{self.name}-', body)
        body = re.sub(r'(href="|url\()#', rf"\1#{self.name}-", body)
        opening = body[: body.index(">") + 1]
        width, box = re.search(r'width="([\d.]+)pt"', opening), re.search(r'viewBox="[^"]*"', opening)
        if not width or not box:
            raise ValueError(f"{self.name}: no size in {opening}")
        pixels = round(float(width.group(1)) * 4 / 3)
        label = escape(self.description, quote=True)
        start = f'<svg {box.group(0)} style="--natural:{pixels}px" role="img" aria-label="{label}"'
        start += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        return start + re.sub(r"<title>.*?</title>", "", body[len(opening) :], count=1, flags=re.DOTALL)


@contextmanager
def drawn(width: float, height: float, into: list[Panel], name: str, *, wide: bool = False) -> Iterator["Drawing"]:
    """Draw one panel of `width` x `height` inches inside the block; it is added to `into` at its end."""
    # From the defaults, so that a user's matplotlibrc changes no figure.
    style: dict[Any, Any] = {**matplotlib.rcParamsDefault, "backend": "svg", **STYLE}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        drawing = Drawing(figure, figure.subplots())
        yield drawing
        into.append(Panel(name, drawing.description, _svg(figure, drawing.description), wide))


class Drawing:
    """A figure with one axes, and the description that its maker writes."""

    def __init__(self, figure: Figure, axes: Axes) -> None:
        self.figure = figure
        self.axes = axes
        self.description = ""

    def title(self, text: str) -> None:
        """A title over the whole width, on as many lines as it needs."""
        lines = wrapped(text, int(self.figure.get_figwidth() / TITLE_LETTER))
        self.figure.suptitle(lines, x=0.01, ha="left", fontsize=9.5, fontweight="bold")

    def legend(self, columns: int = 3) -> None:
        """Names of the lines below the axes, in as many columns as there is room for."""
        handles, labels = self.axes.get_legend_handles_labels()
        if handles:
            width, height = self.figure.get_size_inches()
            labels = [wrapped(label, int((width - LEGEND_SIGN) / LETTER)) for label in labels]
            fitting = max(1, int(width / (LEGEND_SIGN + widest_line(labels))))
            columns = min(columns, fitting)
            self.figure.legend(handles, labels, loc="outside lower left", ncols=columns)
            lines = math.ceil(sum(label.count("\n") + 1 for label in labels) / columns)
            self.figure.set_figheight(height + LINE * max(0, lines - LEGEND_LINES))


def wrapped(name: str, letters: int, lines: int | None = None) -> str:
    """A name on lines of at most so many letters, broken after spaces, hyphens and underscores where it has any.

    Args:
        name: of an entry or class.
        letters: on a line.
        lines: how many at most; what goes beyond is left out.
    """
    # A tab is a place to break at, and is taken out again.
    found = textwrap.wrap(
        name.replace("_", "_\t"), letters, expand_tabs=False, replace_whitespace=False, max_lines=lines, placeholder="…"
    )
    return "\n".join(found).replace("\t", "")


def widest_line(labels: Iterable[str]) -> float:
    """Inches of the widest line of labels of ticks or legends."""
    lines = (line for label in labels for line in label.split("\n"))
    return float(max(TextPath((0, 0), line, size=8).get_extents().width for line in lines)) / 72


def colours(names: list[str]) -> dict[str, str]:
    """A colour per stream; known ones always have the same."""
    unknown = [name for name in names if name not in STREAM_COLOURS]
    return {name: STREAM_COLOURS.get(name) or OTHER_COLOURS[unknown.index(name) % len(OTHER_COLOURS)] for name in names}


def spread(count: int, most: int = MOST_GENERATIONS) -> list[int]:
    """At most `most` of the numbers 0 to count - 1, evenly spaced, first and last included."""
    if count <= most:
        return list(range(count))
    return sorted({round(place) for place in np.linspace(0, count - 1, most)})


def heat_map(axes: Axes, values: np.ndarray, rows: list[str], columns: list[str], *, numbers: bool) -> None:
    """Weights in [0, 1] as colours, with their numbers where there is room; NaN stays empty."""
    axes.pcolormesh(np.ma.masked_invalid(values), cmap=WEIGHTS, vmin=0, vmax=1, edgecolors="#ffffff", linewidth=0.6)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.invert_yaxis()
    axes.grid(False)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    if numbers:
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                colour = "#ffffff" if value > 0.55 else INK
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    f"{value:.2f}",
                    ha="center",
                    va="center_baseline",
                    color=colour,
                    fontsize=8,
                )


def _svg(figure: Figure, description: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    text = text.replace("'DejaVu Sans'", FONTS).replace("DejaVu Sans, sans-serif", FONTS)
    opening = text.index(">", text.index("<svg")) + 1
    return f"{text[:opening]}\n <title>{escape(description)}</title>{text[opening:]}"
