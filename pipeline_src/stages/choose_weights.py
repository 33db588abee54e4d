"""Choose the weights that a lineup entry is trained with."""

from pydantic import Field

from pipeline_src.evolution.lineup import choose_weights
from pipeline_src.files import read_json, write_json
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What the choice depends on; `fixed` and `floor` of the searched space for a random entry only."""

    entry: LineupEntry
    terms: tuple[str, ...] = Field(min_length=1)
    seed: int = Field(ge=0)
    fixed: dict[str, float] = Field({})
    floor: float | None = None


def main() -> None:
    """Parse, choose, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--state", help="state.json of the last generation, for what a search found")
    arguments.add_argument("--out", required=True, help="weights.json to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    state = read_json(given.state) if given.state else None
    weights = choose_weights(
        settings.entry, settings.terms, settings.seed, state, fixed=settings.fixed, floor=settings.floor
    )
    write_json(given.out, weights)


if __name__ == "__main__":
    run(main)
