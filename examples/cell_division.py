"""Cell division: molecules are made, and at each division every one goes to this daughter with probability 1/2.

From an empty start the law is Poisson at all times: halves of Poisson counts are Poisson, and so are births.
"""

import numpy as np
from scipy.stats import poisson

import fsp


def test_cell_division():
    rate, period = 8.0, 1.5
    divisions = [fsp.Event(f"time >= {k * period}", {"X": "binomial(X, 0.5)"}) for k in (1, 2, 3)]
    model = fsp.Model(
        name="division", species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=rate)], events=divisions
    )
    solution = fsp.transient(model, times=[1.0, 2.0, 4.0, 5.0], tol=1e-8)
    print(solution)
    for dist in solution:
        passed = int(dist.t / period)
        mean = sum(rate * period * 0.5 ** (passed - k) for k in range(passed)) + rate * (dist.t - passed * period)
        law = poisson.pmf(dist.states[:, 0], mean)
        gap = np.abs(law - dist.probabilities).sum() + 1 - law.sum()
        print(f"t = {dist.t:g}: mean {mean:.4f}, true error {gap:.1e}, bound {dist.error.total:.1e}")
        assert gap <= dist.error.total + 1e-12


if __name__ == "__main__":
    test_cell_division()
