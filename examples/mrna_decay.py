"""mRNA decay: of 100 molecules, each lost at rate d, binomially many are left.

The state space is finite, so that nothing is truncated, and the printed error is that of the solver alone.
"""

import numpy as np
from scipy.stats import binom

import fsp


def test_mrna_decay():
    model = fsp.Model(
        name="mrna_decay",
        species={"M": 100},
        parameters={"d": 1.0},
        reactions=[fsp.Reaction("M -> 0", mass_action="d")],
    )
    solution = fsp.transient(model, times=[0.5, 1, 5], tol=1e-8)
    print(solution)

    for dist in solution:
        left = binom.pmf(np.arange(101), 100, np.exp(-model.parameters["d"] * dist.t))  # (101,)
        missed = left.copy()
        missed[dist.states[:, 0]] -= dist.probabilities
        print(f"t = {dist.t:g}: true error {abs(missed).sum():.1e}, bound {dist.error.total:.1e}")
        assert abs(missed).sum() <= dist.error.total + 1e-13  # the last for the rounding of scipy's binomial


if __name__ == "__main__":
    test_mrna_decay()
