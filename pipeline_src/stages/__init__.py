"""One program per rule of the workflow.

Sums depend on how they are split over threads, so numerical libraries get one thread here, whatever the job's
cores are; torch's number of threads is a setting.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
