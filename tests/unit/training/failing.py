"""A program for tests that runs in two processes, of which the second fails.

python -m tests.unit.training.failing EXCEPTION
"""

import os
import sys

from pipeline_src.errors import UserError
from pipeline_src.stages.command import run
from pipeline_src.training.distributed import start, started_by_torchrun


def main() -> None:
    """Raise the exception that the argument names."""
    if not started_by_torchrun():
        sys.exit(start("tests.unit.training.failing", sys.argv[1:], 2))
    if os.environ["RANK"] == "1":
        raise {"UserError": UserError, "OSError": OSError}[sys.argv[1]]("only 1 fails")


if __name__ == "__main__":
    run(main)
