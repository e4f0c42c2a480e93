"""A genetic toggle switch: two modes, and how fast the cell switches from one to the other.

Each protein represses the other's gene, so that one of them is in power.  The cell starts with U in power; V
has the stronger promoter, and the probability that it has taken over is bounded from both sides.  Later each
protein has two modes: a few copies in some cells, many in the others.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

import fsp

MODEL = Path(__file__).with_name("toggle_switch.ant")


def modes(marginal: fsp.Distribution) -> list[int]:
    """Return the copy numbers that are more probable than both neighbours."""
    pmf = np.concatenate([[0.0], marginal.pmf, [0.0]])
    peaks = (pmf[1:-1] > pmf[:-2]) & (pmf[1:-1] > pmf[2:])
    return marginal.support[peaks & (marginal.pmf > 1e-3)].tolist()


def test_toggle_switch():
    solution = fsp.transient(fsp.load(MODEL), times=[10, 20, 30], tol=1e-6)
    print(solution)

    switched = [dist.probability("V > U") for dist in solution]
    for dist, share in zip(solution, switched, strict=True):
        print(f"t = {dist.t:g}: V has taken over with probability {share}")
    assert all(a.upper < b.lower for a, b in pairwise(switched))

    for species in ("U", "V"):
        found = modes(solution[-1].marginal(species))
        print(f"modes of {species}: {found}")
        assert len(found) == 2


if __name__ == "__main__":
    test_toggle_switch()
