"""Predator and prey: the probability that the predators have died out, over time.

Prey breed and compete, predators breed by eating and die.  The rate equations settle at a point where both
live on; in a population this small the predators die out nevertheless, and never come back.  The probability
of an event lies between a lower and an upper bound, since the error of the whole distribution is bounded.
"""

from itertools import pairwise

import fsp


def test_predator_prey():
    model = fsp.Model(
        name="predator_prey",
        species={"Prey": 15, "Predator": 8},
        parameters={"breed": 2.0, "compete": 0.1, "eat": 0.12, "die": 1.0},
        reactions=[
            fsp.Reaction("Prey -> 2 Prey", mass_action="breed"),
            fsp.Reaction("2 Prey -> Prey", mass_action="compete"),
            fsp.Reaction("Prey + Predator -> 2 Predator", mass_action="eat"),
            fsp.Reaction("Predator -> 0", mass_action="die"),
        ],
    )
    solution = fsp.transient(model, times=[1, 2, 4, 8, 16], tol=1e-5)
    print(solution)

    extinct = [dist.probability("Predator == 0") for dist in solution]
    for dist, share in zip(solution, extinct, strict=True):
        print(f"t = {dist.t:4g}: predators extinct with probability {share}")
    assert all(share.certified and share.width <= 2e-5 for share in extinct)
    assert all(a.upper < b.lower for a, b in pairwise(extinct))  # extinction is for ever


if __name__ == "__main__":
    test_predator_prey()
