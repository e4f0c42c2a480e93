"""A simulator with a common mistake is caught, the mistake is named, and the simulator passes once it is mended."""

import numpy as np

import fsp

TIMES = [0.25, 0.5, 1.0]


def simulate(pairs, runs, seed):
    """Dimerisation by the direct method; `pairs` is the number of pairs that meet at rate 0.05."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((runs, len(TIMES), 2), dtype=int)
    for run in range(runs):
        monomers, dimers, t = 30, 0, 0.0
        for k, output in enumerate(TIMES):
            while True:
                rates = np.array([0.05 * pairs(monomers) * (monomers > 1), 0.5 * dimers])
                wait = rng.exponential() / max(rates.sum(), 1e-300)
                if t + wait > output:  # exponential waits have no memory: go on from the output time
                    t = output
                    break
                t += wait
                step = 1 if rng.uniform() * rates.sum() < rates[0] else -1
                monomers, dimers = monomers - 2 * step, dimers + step
            counts[run, k] = monomers, dimers
    return counts


def test_wrong_simulator():
    model = fsp.Model(
        name="dimerisation",
        species={"M": 30, "D": 0},
        reactions=[
            fsp.Reaction("2 M -> D", mass_action=0.05, name="join"),
            fsp.Reaction("D -> 2 M", mass_action=0.5, name="part"),
        ],
    )
    wrong = fsp.verify(model, simulate(lambda m: m * m / 2, 2000, seed=1), TIMES)
    print(wrong)
    assert wrong.verdict == "fail"
    assert wrong.explanations[0].text == "the propensity of 'join' has M² in place of M (M - 1)"

    mended = fsp.verify(model, simulate(lambda m: m * (m - 1) / 2, 2000, seed=2), TIMES)
    print(mended)
    assert mended.passed


if __name__ == "__main__":
    test_wrong_simulator()
