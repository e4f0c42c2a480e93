"""SIR: an infection in a household of twenty; how many fall ill before it dies out?

Who falls ill in the end does not depend on when: the embedded chain gives the same law, step by step.
"""

import numpy as np

import fsp


def final_sizes(n, ill, infect, recover):
    """Return the law of how many were ever ill, by the chances of the next step, (n + 1,)."""
    at = {(n - ill, ill): 1.0}
    sizes = np.zeros(n + 1)
    for healthy in range(n - ill, -1, -1):
        for now in range(n - healthy, 0, -1):
            p = at.pop((healthy, now), 0.0)
            catches = infect * healthy / (infect * healthy + n * recover)
            for state, share in (((healthy - 1, now + 1), catches), ((healthy, now - 1), 1.0 - catches)):
                at[state] = at.get(state, 0.0) + p * share
        sizes[n - healthy] += at.pop((healthy, 0), 0.0)
    return sizes


def test_sir():
    n, infect, recover = 20, 1.6, 1.0
    model = fsp.Model(
        name="sir",
        species={"S": n - 1, "I": 1, "R": 0},
        reactions=[
            fsp.Reaction("S + I -> 2 I", mass_action=infect / n),
            fsp.Reaction("I -> R", mass_action=recover),
        ],
    )
    solution = fsp.transient(model, times=[2, 10, 60], tol=1e-8)
    print(solution)
    dist = solution[-1]
    over = dist.probability("I == 0")
    print("it is over with probability", over)
    assert over.lower > 1 - 1e-6

    exact = final_sizes(n, 1, infect, recover)
    for r in range(1, n + 1):
        found = dist.probability({"R": r})
        assert found.lower - 1e-6 <= exact[r] <= found.upper + 1e-6  # what is not over by then
    print(f"nobody else falls ill with probability {exact[1]:.6f}")


if __name__ == "__main__":
    test_sir()
