"""Approximations of the master equation in a growing volume: the error of the mean concentration falls as 1/V.

Two molecules pair; in larger volumes with as much more of each, rate equations miss the mean by less and less, and the
next order of the expansion in the volume by its square.
The number of A stays even: its law is far from a normal one in the 1-norm (L1 = 1), and near in Wasserstein's distance.
    python examples/volume.py --plot volume.png
"""

import sys

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
    found = fsp.approximations(model, times=1.0, volumes=[1, 2, 4, 8, 16])
    print(found)
    return found


def test_volume():
    found = compare()
    assert abs(found.order("rate-equations") - 1).max() < 0.05
    assert abs(found.order("next-order") - 2).max() < 0.05
    assert abs(found.order("next-order", "variance") - 3).max() < 0.1


if __name__ == "__main__":
    test_volume()
    if "--plot" in sys.argv:
        compare().plot().savefig(sys.argv[sys.argv.index("--plot") + 1])
