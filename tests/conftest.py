"""What every test runs under: one thread, no window, and the same random numbers each time.

HYPOTHESIS_PROFILE chooses how property tests search: `ci` (the same examples each time), `explore` (new
ones, and many).
"""

from __future__ import annotations

import os
import zlib

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "agg")

# Only now: numpy reads the number of threads when it is imported.
import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True, max_examples=50)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def rng(request):
    """Give a generator that each test has for itself, whatever the order of the tests and the folder of the file."""
    return np.random.default_rng(zlib.crc32(f"{request.path.name}::{request.node.name}".encode()))
