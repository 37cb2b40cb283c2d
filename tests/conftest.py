"""Linear algebra on one thread: the matrices are small, and threads that spin would take the cores from the audio."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
