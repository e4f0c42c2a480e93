"""Isomerisation A <-> B in a closed box: binomial with p = K / (1 + K) at equilibrium, K = k_f / k_r.

Molecules are independent, so that the mean number of B is N K / (1 + K), the same as in the rate equation,
and the fluctuations around it are binomial, which the rate equation does not tell.
"""

import numpy as np
from scipy.stats import binom

import fsp

N = 50


def test_isomerization():
    model = fsp.Model(
        name="isomerization",
        species={"A": N, "B": 0},
        parameters={"kf": 3.0, "kr": 1.0},
        reactions=[
            fsp.Reaction("A -> B", mass_action="kf"),
            fsp.Reaction("B -> A", mass_action="kr"),
        ],
    )
    for kf in (0.5, 1.0, 3.0):
        changed = model.with_parameters(kf=kf)
        K = changed.parameters["kf"] / changed.parameters["kr"]

        dist = fsp.transient(changed, times=[20], tol=1e-9)[-1]  # relaxation takes 1 / (kf + kr)
        number_of_b = dist.marginal("B")
        law = binom.pmf(np.arange(N + 1), N, K / (1 + K))
        missed = law.copy()
        missed[number_of_b.support] -= number_of_b.pmf
        print(f"K = {K:g}: mean {dist.mean()['B']:.6f}, N K / (1 + K) = {N * K / (1 + K):.6f}, {dist.error}")
        assert abs(missed).sum() <= number_of_b.error.total + 1e-10  # the last for what is left of the start

        forever = fsp.stationary(changed, tol=1e-9)
        assert abs(forever.mean()["B"] - N * K / (1 + K)) < 1e-6


if __name__ == "__main__":
    test_isomerization()
