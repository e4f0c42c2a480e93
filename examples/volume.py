"""Approximations of the master equation in a growing volume: the error of the mean concentration falls as 1/V.

Two molecules pair; in larger volumes with as much more of each, reaction-rate equations miss the mean by less and less.
The number of A stays even: its law is far from a normal one in the 1-norm (L1 = 1), and near in Wasserstein's distance.
    python examples/volume.py --plot volume.png
"""

import sys

import numpy as np

import fsp


def compare():
    model = fsp.Model(
        name="pairs",
        species={"A": 20, "B": 0},
        reactions=[
            fsp.Reaction("2 A -> B", mass_action=0.05, name="pair"),
            fsp.Reaction("B -> 2 A", mass_action=0.3, name="split"),
        ],
    )
    found = fsp.approximations(model, times=1.0, volumes=[1, 2, 4, 8, 16], runs=2000, seed=1, steps=200)
    print(found)
    return found


def test_volume():
    found = compare()
    assert abs(found.order - 1).max() < 0.05


def plot(found, file):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
    volumes = np.array(found.volumes)
    for j, name in enumerate(found.species):
        axes.loglog(volumes, found.mean_error[:, 0, j], "o-", label=f"mean of {name}, reaction-rate equations")
    sd_error = np.abs(found.lna_sd / found.cme_sd - 1)[:, 0, 1]
    axes.loglog(volumes, sd_error, "s-", label="sd of B, linear noise (relative)")
    axes.loglog(volumes, found.l1[:, 0, 1], "^-", label="law of B, linear noise (1-norm)")
    axes.loglog(volumes, 0.5 * found.mean_error[0, 0, 1] / volumes, "k--", label="slope of 1/V")
    axes.set(xlabel="volume V", ylabel="distance from the master equation", xticks=volumes)
    axes.set_xticks(volumes, [f"{v:g}" for v in volumes])
    axes.minorticks_off()
    axes.legend(fontsize=7)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    test_volume()
    if "--plot" in sys.argv:
        plot(compare(), sys.argv[sys.argv.index("--plot") + 1])
