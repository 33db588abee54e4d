"""Snakemake as a cluster's user starts it, except that it asks for the state of its jobs every second.

The executor waits up to three minutes between two questions, and no option shortens that.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda executor: 1, lambda executor, value: None)
sys.exit(main())
