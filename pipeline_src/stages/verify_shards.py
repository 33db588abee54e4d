"""Check that the files of collections are those that were indexed, and say how to repair what is broken.

For people; no rule calls it. Exit code 0 when all is well, 1 when a file is broken, 2 for a mistake in the call.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from pipeline_src.shards.verify import Problem, repair, verify
from pipeline_src.stages.command import run


def main() -> None:
    """Print a line for each broken file, then the commands that remake them."""
    arguments = _arguments()
    problems: list[Problem] = []
    for folder in arguments.folders:
        # Named as Snakemake names them: relative to the folder that it is run in.
        inside = folder.resolve().is_relative_to(Path.cwd())
        place = Path(os.path.relpath(folder.resolve())) if inside else folder
        with tqdm(desc=f"verify {place}", unit="B", unit_scale=True, file=sys.stderr, mininterval=1) as bar:
            found = verify(place, arguments.threads, bar.update)
        for problem in found:
            print(f"{problem.path}: {problem.reason}", flush=True)
        problems += found
    if not problems:
        return
    removed, made = repair(problems)
    print(f"\n{len(problems)} broken. To remake them, and what was made of them (add the run's own --configfile):")
    print(f"  rm -f {' '.join(shlex.quote(str(path)) for path in removed)}")
    print(f"  snakemake {' '.join(shlex.quote(str(path)) for path in made)}")
    sys.exit(1)


def _threads(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} - allowed: 1 or more")
    return int(text)


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="data/{collection}")
    options.add_argument("--threads", type=_threads, default=2, help="shards read at a time (default: 2)")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
