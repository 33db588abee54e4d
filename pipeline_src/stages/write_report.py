"""Write the report of a run: one HTML page, its figures as SVG files, and its numbers as CSV files."""

from pathlib import Path

from pipeline_src.files import whole_directory, whole_file
from pipeline_src.report.gather import gather
from pipeline_src.report.page import draw_figures, render
from pipeline_src.report.tidy import tidy_tables
from pipeline_src.settings.base import Settings
from pipeline_src.settings.run import RunSettings
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What the report depends on: the whole configuration."""

    run: RunSettings


def main() -> None:
    """Parse, read the run, draw, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--page", required=True, type=Path, help="HTML file to write")
    arguments.add_argument(
        "--figures",
        required=True,
        type=Path,
        help="directory to write, with a folder of SVG files for each group of figures",
    )
    arguments.add_argument("--tables", required=True, type=Path, help="directory of CSV files to write")
    given = arguments.parse_args()
    facts = gather(settings_from(given.settings, StageSettings).run)
    figures = draw_figures(facts)
    page = render(facts, figures)
    with whole_directory(given.figures) as folder:
        for group, panels in figures.groups().items():
            (folder / group).mkdir()
            for panel in panels:
                (folder / group / f"{panel.name}.svg").write_text(panel.svg, encoding="utf-8")
    with whole_directory(given.tables) as folder:
        for name, table in tidy_tables(facts).items():
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    with whole_file(given.page) as part:
        part.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
