"""An enzyme, and the rate of Michaelis and Menten in its place: how far apart are the laws of the product?

The reduction holds where binding is fast; distances of probabilities say how good it is, beyond the means.
"""

import fsp


def full(speed):
    """Return the network with the enzyme; all binding `speed` times as fast."""
    return fsp.Model(
        name="enzyme",
        species={"S": 12, "E": 2, "C": 0, "P": 0},
        reactions=[
            fsp.Reaction("S + E -> C", mass_action=1.0 * speed),
            fsp.Reaction("C -> S + E", mass_action=5.0 * speed),
            fsp.Reaction("C -> E + P", mass_action=1.0),
        ],
    )


def reduced():
    """Return the network without it: the complex, at rest, holds 2 S/(5 + S) of the two enzymes on average."""
    return fsp.Model(name="reduced", species={"S": 12, "P": 0}, reactions=[fsp.Reaction("S -> P", rate="2*S/(5 + S)")])


def test_enzyme_reduction():
    product = fsp.transient(reduced(), times=[3.0], tol=1e-8)[-1].marginal("P")
    distances = []
    for speed in (0.3, 3, 30):
        exact = fsp.transient(full(speed), times=[3.0], tol=1e-8)[-1].marginal("P")
        distances.append(exact.distance(product))
        print(f"binding {speed:4g} times as fast: distance {distances[-1]:.4f}")
    assert distances[0] > distances[1] > distances[2] - 2e-8


if __name__ == "__main__":
    test_enzyme_reduction()
