"""Schlögl's model: one species, two modes, and the time that it takes to go from one to the other.

At rest births and deaths balance between neighbouring counts, so that the law is a product of ratios of rates.
"""

import numpy as np

import fsp


def test_schloegl():
    model = fsp.Model(
        name="schloegl",
        species={"X": 5},
        reactions=[
            fsp.Reaction("2 X -> 3 X", mass_action=0.15),
            fsp.Reaction("3 X -> 2 X", mass_action=0.0054),
            fsp.Reaction("0 -> X", mass_action=8.0),
            fsp.Reaction("X -> 0", mass_action=1.6),
        ],
    )
    dist = fsp.stationary(model)
    print(dist)
    low, high = dist.modes("X")
    print(f"modes at {low} and {high}")

    x = np.arange(1, 400)
    births = 0.15 * (x - 1) * (x - 2) / 2 + 8.0  # from x - 1
    deaths = 0.0054 * x * (x - 1) * (x - 2) / 6 + 1.6 * x
    logs = np.concatenate([[0.0], np.cumsum(np.log(births / deaths))])
    law = np.exp(logs - logs.max())
    law /= law.sum()
    counts = dist.states[:, 0]
    gap = abs(law[counts] - dist.probabilities).sum() + 1 - law[counts].sum()
    print(f"true error {gap:.1e}, bound {dist.error.total:.1e}")
    assert gap <= dist.error.total + 1e-11  # the last for the rounding of 400 ratios

    start = model.with_initial(X=low)
    up = fsp.passage(start, f"X >= {high}").mean()
    exact = np.sum(np.cumsum(law[:high])[low:] / (law[low:high] * births[low:high]))  # a step up is a barrier each
    print(f"mean time from {low} to {high}: {up}, in closed form {exact:.6f}")
    assert up.lower * (1 - 1e-9) <= exact <= up.upper * (1 + 1e-9)  # the last for the rounding of the sums


if __name__ == "__main__":
    test_schloegl()
