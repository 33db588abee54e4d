"""Measure each term's gradient on an untrained network and write the scales that make terms comparable."""

from pathlib import Path

from pipeline_src.errors import UserError
from pipeline_src.files import write_json
from pipeline_src.loss.calibrate import gradient_norms, scales
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import add_machine, parser, run, settings_from
from pipeline_src.training.device import prepare_device
from pipeline_src.training.pretrain import PretrainSettings, build_loss, pool_batches


class StageSettings(PretrainSettings):
    """This stage's settings."""

    seed: int


def main() -> None:
    """Parse, load, measure, write."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--out", type=Path, required=True, help="scales.json to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    pool = Collection.open(given.pool)
    if any("audio" in term for term in settings.loss.terms) and not pool.index["with_sound"]:
        raise UserError("loss.terms: audio terms are named, but no clip of the pool has sound; remove them ('*audio*')")
    if not settings.loss.calibrate:
        write_json(given.out, {"batches": 0, "terms": {term: {"scale": 1.0} for term in settings.loss.terms}})
        return
    device = prepare_device(settings.training.device, settings.torch_threads)
    loss = build_loss(settings, pool, dict.fromkeys(settings.loss.terms, 1.0), {}, settings.seed).to(device).train()
    count = settings.loss.calibrate_batches
    batches = pool_batches(settings, pool, loss.views, settings.seed, 0, count, device.type == "cuda")
    moved = ({name: tensor.to(device) for name, tensor in batch.items()} for batch in batches)
    write_json(given.out, {"batches": count, "terms": scales(gradient_norms(loss, moved))})


if __name__ == "__main__":
    run(main)
