"""Dimerisation: pairs form and fall apart, and at rest the number of pairs has a closed form.

With K = c_on/c_off the weight of n pairs among N molecules is K^n / ((N - 2 n)! n!), since every step is balanced.
"""

import numpy as np
from scipy.special import gammaln

import fsp


def test_dimerization():
    total, on, off = 40, 0.05, 0.5
    model = fsp.Model(
        name="dimerization",
        species={"A": total, "D": 0},
        reactions=[fsp.Reaction("2 A -> D", mass_action=2 * on), fsp.Reaction("D -> 2 A", mass_action=off)],
    )
    dist = fsp.stationary(model)
    print(dist)

    pairs = np.arange(total // 2 + 1)
    weights = pairs * np.log(on / off) - gammaln(total - 2 * pairs + 1) - gammaln(pairs + 1)
    law = np.exp(weights - weights.max())
    law /= law.sum()
    found = dist.marginal("D")
    gap = abs(law[found.states[:, 0]] - found.probabilities).sum() + 1 - law[found.states[:, 0]].sum()
    print(f"true error {gap:.1e}, bound {dist.error.total:.1e}")
    assert gap <= dist.error.total + 1e-12  # the last for the rounding of the closed form


if __name__ == "__main__":
    test_dimerization()
