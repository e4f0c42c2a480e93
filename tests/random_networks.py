"""Random mass-action networks for property tests, as plain data that `hypothesis` can shrink.

A *complex* is a multiset of at most three molecules, a tuple of counts; each species has a weight of 1 or 2.
Closed networks keep the weight of every complex, so that their state space is finite.  Open ones gain weight
only from slow births and lose each species by degradation, so that few molecules are around at any time.
"""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st

NAMES = "ABCD"

Complex = tuple[int, ...]

constants = st.sampled_from([0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.5])


def _complexes(n_species: int) -> list[Complex]:
    return [c for c in itertools.product(range(4), repeat=n_species) if sum(c) <= 3]


def _weight(complex_: Complex, weights: list[int]) -> int:
    return sum(w * n for w, n in zip(weights, complex_, strict=True))


def _side(complex_: Complex) -> str:
    molecules = (name if n == 1 else f"{n} {name}" for n, name in zip(complex_, NAMES, strict=False) if n)
    return " + ".join(molecules) or "0"


def _reaction(reactants: Complex, products: Complex, constant: float) -> dict[str, Any]:
    return {"equation": f"{_side(reactants)} -> {_side(products)}", "mass_action": constant}


@st.composite
def closed_networks(draw: st.DrawFn) -> dict[str, Any]:
    """Draw 2–4 species and 1–5 reactions of order 1–3 that keep a weighted sum of the copy numbers."""
    n_species = draw(st.integers(2, 4))
    weights = draw(st.lists(st.integers(1, 2), min_size=n_species, max_size=n_species))
    pairs = [
        (a, b)
        for a, b in itertools.permutations(_complexes(n_species), 2)
        if _weight(a, weights) == _weight(b, weights)
    ]
    chosen = draw(st.lists(st.tuples(st.sampled_from(pairs), constants), min_size=1, max_size=5))
    start = draw(st.lists(st.integers(0, 4), min_size=n_species, max_size=n_species))
    return _network(start, [_reaction(a, b, c) for (a, b), c in chosen])


@st.composite
def open_networks(draw: st.DrawFn) -> dict[str, Any]:
    """Draw 1–4 species, all of which decay, with one or two births and 0–4 reactions of order 1–3."""
    n_species = draw(st.integers(1, 4))
    weights = draw(st.lists(st.integers(1, 2), min_size=n_species, max_size=n_species))
    complexes = _complexes(n_species)
    empty = (0,) * n_species
    births = [c for c in complexes if 1 <= sum(c) <= 2]
    losses = [
        (a, b)
        for a, b in itertools.permutations(complexes, 2)
        if sum(a) > 0 and _weight(b, weights) <= _weight(a, weights)
    ]
    units = [tuple(int(i == j) for j in range(n_species)) for i in range(n_species)]
    slow = st.sampled_from([0.1, 0.3, 0.8])
    born = draw(st.lists(st.tuples(st.sampled_from(births), slow), min_size=1, max_size=2 if n_species < 3 else 1))
    chosen = draw(st.lists(st.tuples(st.sampled_from(losses), constants), max_size=4))
    start = draw(st.lists(st.integers(0, 3), min_size=n_species, max_size=n_species))
    return _network(
        start,
        [_reaction(empty, complex_, c) for complex_, c in born]
        + [_reaction(unit, empty, draw(constants)) for unit in units]
        + [_reaction(a, b, c) for (a, b), c in chosen],
    )


@st.composite
def reversible_networks(draw: st.DrawFn) -> dict[str, Any]:
    """Draw 1–3 species and 1–3 reversible reactions of order 0–2, closed, or open by one species."""
    n_species = draw(st.integers(1, 3))
    weights = draw(st.lists(st.integers(1, 2), min_size=n_species, max_size=n_species))
    complexes = [c for c in _complexes(n_species) if 1 <= sum(c) <= 2]
    pairs = [(a, b) for a, b in itertools.combinations(complexes, 2) if _weight(a, weights) == _weight(b, weights)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=2, unique=True)) if pairs else []
    empty = (0,) * n_species
    first = (1, *empty[1:])
    if not chosen or draw(st.booleans()):
        chosen = [*chosen, (empty, draw(st.sampled_from([first, (2, *empty[1:])])))]
    start = draw(st.lists(st.integers(0, 4), min_size=n_species, max_size=n_species))
    both = [(a, b) for a, b in chosen] + [(b, a) for a, b in chosen]
    return _network(start, [_reaction(a, b, draw(constants)) for a, b in both])


def networks() -> st.SearchStrategy[dict[str, Any]]:
    """Draw `{"species": {name: count}, "reactions": [{"equation": …, "mass_action": …}]}`, closed or open."""
    return st.one_of(open_networks(), closed_networks())


@st.composite
def moving_packets(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, int] | None, float, float, str]:
    """Draw a network whose probability leaves its start for good, bounds of its counts, a time, `tol`, and a solver.

    Many molecules are converted in a chain or by pairs (None for the bounds), or decay while few are born.
    """
    rate = st.sampled_from([0.3, 1.0, 2.0])
    tol = draw(st.sampled_from([1e-2, 1e-3, 1e-5, 1e-7]))
    t = draw(st.sampled_from([0.4, 1.0, 2.5]))
    solver = draw(st.sampled_from(["auto", "uniformization", "krylov", "rational"]))
    kind = draw(st.sampled_from(["chain", "pairs", "decay"]))
    if kind == "decay":
        start = draw(st.integers(60, 250))
        born = draw(st.sampled_from(["A", "2 A", "A + B"]))
        species = {"A": start, "B": 0}
        reactions = [(f"0 -> {born}", draw(rate)), ("A -> 0", draw(rate)), ("B -> 0", draw(rate))]
        drawn = {"equation": "A -> B", "mass_action": 0.02}
        made = [{"equation": equation, "mass_action": constant} for equation, constant in reactions]
        return {"species": species, "reactions": [*made, drawn]}, {"A": start + 50, "B": 45}, t, tol, solver
    start = draw(st.integers(25, 60))
    back = draw(st.sampled_from([[], [("C -> A", 0.05)], [("B -> A", 0.2)]]))
    first = ("A -> B", draw(rate)) if kind == "chain" else ("2 A -> A + B", draw(rate) / 10.0)
    made = [
        {"equation": equation, "mass_action": constant} for equation, constant in [first, ("B -> C", draw(rate)), *back]
    ]
    return {"species": {"A": start, "B": 0, "C": 0}, "reactions": made}, None, t, tol, solver


def _network(start: list[int], reactions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"species": dict(zip(NAMES, start, strict=False)), "reactions": reactions}


def as_model(network: dict[str, Any]) -> Any:
    """Build the `fsp.Model` of a drawn network."""
    import fsp

    return fsp.Model(
        species=network["species"], reactions=[fsp.Reaction(**reaction) for reaction in network["reactions"]]
    )


@st.composite
def birth_death(draw):
    """Draw rates of a birth-death chain with at most linear births and at least as fast deaths, as formulas."""
    number = st.sampled_from([0.1, 0.3, 1.0, 2.5, 7.0])
    a, b, c, d = (draw(number) for _ in range(4))
    births = draw(st.sampled_from([f"{a}", f"{a} + {b}*X/({c} + X)", f"{a} + {b}/(1 + (X/{c})^3)", f"{a} + 0.3*{d}*X"]))
    deaths = draw(st.sampled_from([f"{d}*X", f"{d}*X + {b}*X*(X - 1)", f"{d}*X + {c}*X/({a} + X)"]))
    return births, deaths, draw(st.integers(0, 12)), draw(st.sampled_from([1e-2, 1e-5, 1e-9]))
