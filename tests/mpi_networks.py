"""Networks that all ranks make alike."""

from __future__ import annotations

from itertools import pairwise

from fsp import Model, Reaction

NAMES = "ABCD"


def toggle(**species):
    return Model(
        name="toggle",
        species={"U": 0, "V": 0, **species},
        reactions=[
            Reaction("0 -> U", rate="50 / (1 + (V / 11)^2)"),
            Reaction("U -> 0", mass_action=1.0),
            Reaction("0 -> V", rate="16 / (1 + (U / 6)^4)"),
            Reaction("V -> 0", mass_action=1.0),
        ],
    )


def chain(n):
    """Return a network of `n` species that molecules pass one after the other."""
    names = [f"S{k}" for k in range(n)]
    steps = [Reaction(f"{a} -> {b}", mass_action=1.0) for a, b in pairwise(names)]
    return Model(species=dict.fromkeys(names, 0), reactions=[Reaction("0 -> S0", mass_action=1.0), *steps])


def random_network(rng):
    """Return an open network of up to four species with jumps by up to two, and constraints that bound it."""
    names = NAMES[: rng.integers(1, len(NAMES) + 1)]
    reactions = [Reaction(f"0 -> {names[0]}", mass_action=2.0)]
    for k in range(rng.integers(2, 7)):
        sides = []
        for _ in range(2):
            counts = rng.integers(0, 3, len(names)) * (rng.random(len(names)) < 0.5)
            sides.append(" + ".join(f"{n} {name}" for n, name in zip(counts, names, strict=True) if n) or "0")
        if sides[0] != sides[1]:
            rate = 0.1 + float(rng.random())
            if k % 3:
                reactions.append(Reaction(" -> ".join(sides), mass_action=rate))
            else:  # does not factorise
                terms = " + ".join(names)
                loss = "".join(f" * ({name} >= {2})" for name in names)
                reactions.append(Reaction(" -> ".join(sides), rate=f"{rate} / (1 + ({terms})^2){loss}"))
    model = Model(species=dict.fromkeys(names, 0), reactions=reactions)
    bounds = rng.integers(3, 12, len(names))
    constraints = [f"{name} <= {bound}" for name, bound in zip(names, bounds, strict=True)]
    return model, [*constraints, f"{' + '.join(names)} <= {int(bounds.sum() * 0.7) + 1}"]
