"""Birth and death: from an empty start the copy number is Poisson, of mean k/g (1 - exp(-g t))."""

import numpy as np
from scipy.stats import poisson

import fsp


def test_birth_death_poisson():
    model = fsp.Model(
        name="birth_death",
        species={"X": 0},
        parameters={"k": 100.0, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    solution = fsp.transient(model, times=[0.1, 1, 10], tol=1e-8)
    print(solution)
    for dist in solution:
        law = poisson(100 * -np.expm1(-dist.t))
        missed = abs(law.pmf(dist.states[:, 0]) - dist.probabilities).sum()  # on the states that were kept
        beyond = 1 - law.pmf(dist.states[:, 0]).sum()  # the truncated rest
        assert missed + beyond <= dist.error.total + 1e-13

    forever = fsp.stationary(model, tol=1e-8)
    print(forever)
    gap = abs(poisson(100).pmf(forever.states[:, 0]) - forever.probabilities).sum()
    assert gap < 1e-7


if __name__ == "__main__":
    test_birth_death_poisson()
