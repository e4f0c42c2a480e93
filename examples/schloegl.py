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
            fsp.Reaction("2 X -> 3 X", mass_action=0.36),
            fsp.Reaction("3 X -> 2 X", mass_action=0.03),
            fsp.Reaction("0 -> X", mass_action=8.0),
            fsp.Reaction("X -> 0", mass_action=2.9),
        ],
    )
    dist = fsp.stationary(model)
    print(dist)
    print("modes at", dist.modes("X"))

    x = np.arange(1, 400)
    births = 0.36 * (x - 1) * (x - 2) / 2 + 8.0  # from x - 1
    deaths = 0.03 * x * (x - 1) * (x - 2) / 6 + 2.9 * x
    logs = np.concatenate([[0.0], np.cumsum(np.log(births / deaths))])
    law = np.exp(logs - logs.max())
    law /= law.sum()
    counts = dist.states[:, 0]
    gap = abs(law[counts] - dist.probabilities).sum() + 1 - law[counts].sum()
    print(f"true error {gap:.1e}, bound {dist.error.total:.1e}")
    assert gap <= dist.error.total + 1e-11  # the last for the rounding of 400 ratios

    up = fsp.passage(model, "X >= 30").mean()
    print("mean time to thirty molecules", up)
    assert up > 1.0


if __name__ == "__main__":
    test_schloegl()
