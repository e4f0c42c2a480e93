"""A promoter that follows the day: the rate of births is k (1 + sin t), and the law stays Poisson.

Its mean solves m' = k (1 + sin t) - m, so that m = k (1 - exp(-t)) + k (sin t - cos t + exp(-t))/2.
"""

import numpy as np
from scipy.stats import poisson

import fsp


def test_daily_rhythm():
    model = fsp.Model(
        name="daily_rhythm",
        species={"X": 0},
        parameters={"k": 6.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*(1 + sin(time))"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    solution = fsp.transient(model, times=[1, 2, 4, 8], tol=1e-6)
    print(solution)
    for dist in solution:
        t = dist.t
        mean = 6 * (1 - np.exp(-t)) + 3 * (np.sin(t) - np.cos(t) + np.exp(-t))
        law = poisson.pmf(dist.states[:, 0], mean)
        gap = np.abs(law - dist.probabilities).sum() + 1 - law.sum()
        print(f"t = {t:g}: mean {mean:.4f}, true error {gap:.1e}, {dist.error}")
        assert gap <= dist.error.total + 1e-12


if __name__ == "__main__":
    test_daily_rhythm()
