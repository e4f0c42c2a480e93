"""States far out, images of functions and models that tests of moments share."""

from __future__ import annotations

import numpy as np
from references import MODELS

import fsp

CHECKED = 200  # states at which an inequality is tried


def load(name):
    return fsp.load(MODELS / f"{name}.ant")


def far_out(rng, largest, most=3000):
    """Draw states near the origin and far out, within the largest counts."""
    size = np.exp(rng.uniform(0, np.log(most), (CHECKED, len(largest))))
    drawn = np.minimum(rng.integers(0, size.astype(int) + 1), np.where(np.isfinite(largest), largest, most))
    return drawn.astype(np.int64)
