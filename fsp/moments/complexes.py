"""Complexes of a mass-action network, its deficiency, and the equilibrium at which every complex is balanced.

A propensity that is a polynomial ``Σ κ x^(y)`` in falling powers, κ > 0, stands for reactions y → y + ν: whatever their
equations say, these are the complexes that the chain knows.  With n complexes in l linkage classes and stoichiometric
rank s the deficiency is n - l - s.  A network is weakly reversible where every linkage class is strongly connected.

Let K be the stationary vector of the walk on the complexes with the rate constants as rates, positive on each linkage
class.  A positive c is complex balanced where ``c^y / K_y`` is the same for all y of a linkage class: linear equations
for log c.  With deficiency zero they are independent; else they have a solution where the K fulfil a product identity
for each dependency, which is checked exactly.  Constants count as the decimal numbers that they print as.

References
----------
F. Horn, R. Jackson, Arch. Rational Mech. Anal. 47 (1972) 81, doi:10.1007/BF00251225.
M. Feinberg, Arch. Rational Mech. Anal. 49 (1972) 187, doi:10.1007/BF00255665.
D. F. Anderson, G. Craciun, T. G. Kurtz, Product-form stationary distributions for deficiency zero chemical reaction
networks, Bull. Math. Biol. 72 (2010) 1947, doi:10.1007/s11538-010-9517-4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from fsp.arithmetic import SLIGHTLY_UP, UNIT_ROUNDOFF
from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.model import Model
from fsp.model.echelon import echelon
from fsp.model.structure import producible
from fsp.moments.rates import rates
from fsp.time_limit import TimeLimit, check_time_limit

Complex = tuple[int, ...]
Jumps = dict[tuple[Complex, Complex], Fraction]  # rate constants of reactions between complexes

FOLDED_ROUNDING = 16 * UNIT_ROUNDOFF  # relative error of a rate constant that formulas fold, from decimals
MANY_COMPLEXES = 300  # complexes of a linkage class, beyond which no equilibrium is looked for
MOST_CLASS_WORK = 1e6  # complexes times reactions of one: a ring of 300, or 100 of which each pair has a reaction


@dataclass(frozen=True, slots=True, eq=False)
class ComplexGraph:
    """A mass-action network as a graph of complexes."""

    complexes: IntArray  # counts of each species in each, (n, d)
    source: IntArray  # source, target: complexes of each reaction, (m,)
    target: IntArray
    constants: tuple[Fraction, ...]  # κ of each reaction, for propensities κ x^(y)
    linkage: IntArray  # linkage class of each complex, (n,)
    weakly_reversible: bool  # whether each linkage class is strongly connected

    @property
    def change(self) -> IntArray:
        """Net change of each reaction, (m, d)."""
        return self.complexes[self.target] - self.complexes[self.source]

    @property
    def n_linkage_classes(self) -> int:
        """Number of linkage classes."""
        return int(self.linkage.max(initial=-1)) + 1

    @property
    def deficiency(self) -> int:
        """The deficiency, n - l - s."""
        rank = len(echelon(map(tuple, np.unique(self.change, axis=0).tolist()), self.complexes.shape[1])[1])
        return len(self.complexes) - self.n_linkage_classes - rank


@dataclass(frozen=True, slots=True, eq=False)
class Equilibrium:
    """A complex-balanced equilibrium c; the others are ``c exp(W λ)``, with laws W and any λ."""

    log: FloatArray  # natural logarithm of each concentration, (d,)
    error: FloatArray  # bound of the error of each of these, (d,)


def complex_graph(model: Model, present: BoolArray | None = None) -> ComplexGraph | None:
    """Return the complexes of a network; None where a propensity is not of mass-action form.

    `present`: species that there are at first, (d,): reactions that can then never happen are left out; by default none
    are.
    """
    rates_known = rates(model, 0.0, np.full(model.n_species, np.inf))
    if any(rate.exact is None or any(c < 0 for c in rate.exact.values()) for rate in rates_known):
        return None
    jumps: Jumps = {}
    for rate in rates_known:
        if not any(rate.change):
            continue
        for reactants, constant in (rate.exact or {}).items():
            products = tuple(n + step for n, step in zip(reactants, rate.change, strict=True))
            if min(products) < 0:
                return None
            key = (tuple(reactants), products)
            combinations = math.prod(map(math.factorial, reactants))  # of which mass action takes the constant
            decimal = Fraction(repr(float(constant * combinations)))
            jumps[key] = jumps.get(key, Fraction(0)) + decimal / combinations
    if present is not None:
        jumps = _possible(jumps, present)
    return _graph(jumps, model.n_species)


def _possible(jumps: Jumps, present: BoolArray) -> Jumps:
    """Leave out reactions that need a species which is never there."""
    if not jumps:
        return jumps
    needs = np.array([[n > 0 for n in reactants] for reactants, _ in jumps])
    change = np.array([np.subtract(products, reactants) for reactants, products in jumps])
    there = producible(change, needs, present)
    return {key: c for key, c, need in zip(jumps, jumps.values(), needs, strict=True) if not (need & ~there).any()}


def _graph(jumps: Jumps, width: int) -> ComplexGraph:
    complexes = sorted({side for sides in jumps for side in sides})
    place = {side: i for i, side in enumerate(complexes)}
    source = np.array([place[reactants] for reactants, _ in jumps], dtype=np.int64)
    target = np.array([place[products] for _, products in jumps], dtype=np.int64)
    n = len(complexes)
    arrows = sparse.csr_array((np.ones(len(jumps)), (source, target)), shape=(n, n))
    n_classes, linkage = csgraph.connected_components(arrows, connection="weak") if n else (0, np.zeros(0))
    n_strong = csgraph.connected_components(arrows, connection="strong")[0] if n else 0
    sides = np.array(complexes, dtype=np.int64).reshape(n, width)
    return ComplexGraph(sides, source, target, tuple(jumps.values()), linkage.astype(np.int64), n_classes == n_strong)


def complex_balance(graph: ComplexGraph) -> Equilibrium | None:
    """Return a complex-balanced equilibrium; None where there is none, or none is found."""
    if not graph.weakly_reversible:
        return None
    rows: list[list[Fraction]] = []
    ratios: list[Fraction] = []
    sizes: list[int] = []
    for label in range(graph.n_linkage_classes):
        members = np.flatnonzero(graph.linkage == label)
        arrows = int(np.isin(graph.source, members).sum())
        if len(members) > MANY_COMPLEXES or len(members) * arrows > MOST_CLASS_WORK:
            return None
        weights = _walk(graph, members)
        for i, weight in zip(members[1:], weights[1:], strict=True):
            rows.append([Fraction(int(n)) for n in graph.complexes[i] - graph.complexes[members[0]]])
            ratios.append(weight / weights[0])
            sizes.append(len(members))
    return _solved(rows, ratios, sizes, graph.complexes.shape[1])


def is_detailed_balanced(graph: ComplexGraph) -> bool:
    """Tell whether each reaction is balanced by its reverse at some c > 0, so that each jump of the chain is.

    ``κ c^y = κ' c^y'`` for each pair: linear equations for log c, of which dependent ones must agree (Wegscheider).
    """
    sides = list(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
    constants = dict(zip(sides, graph.constants, strict=True))
    pairs = [side for side in sides if side[0] < side[1]]
    if any((target, source) not in constants for source, target in sides):
        return False
    steps = [[Fraction(int(n)) for n in graph.complexes[target] - graph.complexes[source]] for source, target in pairs]
    ratios = [constants[pair] / constants[pair[::-1]] for pair in pairs]
    return _solved(steps, ratios, [1] * len(pairs), graph.complexes.shape[1]) is not None


def _walk(graph: ComplexGraph, members: IntArray) -> list[Fraction]:
    """Return the stationary vector of the walk on a linkage class, exactly, by elimination of its complexes."""
    place = {int(i): k for k, i in enumerate(members)}
    n = len(members)
    into: list[dict[int, Fraction]] = [{} for _ in range(n)]  # by source
    for source, target, constant in zip(graph.source.tolist(), graph.target.tolist(), graph.constants, strict=True):
        if source in place:
            into[place[target]][place[source]] = constant
    shares = []
    for k in reversed(range(1, n)):
        check_time_limit()
        onward = {i: into[i].pop(k) for i in range(k) if k in into[i]}
        total = sum(onward.values())
        shares.append({j: rate / total for j, rate in into[k].items() if j < k})
        for i, rate in onward.items():
            for j, share in shares[-1].items():
                if i != j:
                    into[i][j] = into[i].get(j, Fraction(0)) + rate * share
    weights = [Fraction(1)]
    for part in reversed(shares):
        weights.append(sum((share * weights[j] for j, share in part.items()), Fraction(0)))
    return weights


def _solved(
    rows: Sequence[list[Fraction]], ratios: Sequence[Fraction], sizes: Sequence[int], width: int
) -> Equilibrium | None:
    """Solve ``rows log c = log ratios``; None where dependent rows contradict each other."""
    log, error = np.zeros(width), np.zeros(width)
    if not rows:
        return Equilibrium(log, error)
    combined, chosen = echelon([tuple(column) for column in zip(*rows, strict=True)], len(rows))
    for j in set(range(len(rows))) - set(chosen):
        if not _is_one([*(ratios[i] for i in chosen), ratios[j]], [*(row[j] for row in combined), Fraction(-1)]):
            return None
    unit = [[Fraction(int(i == k)) for k in range(len(chosen))] for i in range(len(chosen))]
    inverse, pivots = echelon([(*rows[i], *unit[k]) for k, i in enumerate(chosen)], width)
    try:
        right = np.array([math.log(ratios[i]) for i in chosen])
    except (OverflowError, ValueError):  # beyond the range of a double
        return None
    off = UNIT_ROUNDOFF * (4.0 + 4.0 * np.abs(right)) + 2.0 * FOLDED_ROUNDING * np.array([sizes[i] for i in chosen])
    for row, pivot in zip(inverse, pivots, strict=True):
        weights = np.array([float(w) for w in row[width:]])
        log[pivot] = weights @ right
        error[pivot] = np.abs(weights) @ (off + UNIT_ROUNDOFF * (len(right) + 4.0) * np.abs(right))
    return Equilibrium(log, error * SLIGHTLY_UP)


def _is_one(factors: Sequence[Fraction], exponents: Sequence[Fraction]) -> bool:
    """Tell whether a product of rational powers is exactly one."""
    common = math.lcm(*(e.denominator for e in exponents))
    top = bottom = 1
    for factor, exponent in zip(factors, exponents, strict=True):
        power = int(exponent * common)
        up, down = (factor.numerator, factor.denominator) if power > 0 else (factor.denominator, factor.numerator)
        top *= up ** abs(power)
        bottom *= down ** abs(power)
    return top == bottom


def structure_record(model: Model) -> dict[str, int | bool] | None:
    """Return what the complexes say; None where the network is not of mass-action form."""
    graph = complex_graph(model)
    if graph is None:
        return None
    return {
        "complexes": len(graph.complexes),
        "linkage_classes": graph.n_linkage_classes,
        "deficiency": graph.deficiency,
        "weakly_reversible": graph.weakly_reversible,
        "complex_balanced": complex_balance(graph) is not None,
    }


def structure_text(model: Model, time_limit: TimeLimit | None = None) -> str:
    """Return the same for people, where there is time for it; by default a second."""
    time_limit = time_limit or TimeLimit()
    record = time_limit.within(lambda: (structure_record(model),))
    if record is None:
        return time_limit.left_out("Complexes", "fsp.moments.complexes.structure_record(model)")
    (entry,) = record
    if entry is None:
        return "Complexes: not a mass-action network"
    kind = "weakly reversible" if entry["weakly_reversible"] else "not weakly reversible"
    law = "; complex balanced, so that stationary distributions are of product form" * entry["complex_balanced"]
    counts = f"{entry['complexes']} in {entry['linkage_classes']} linkage classes, deficiency {entry['deficiency']}"
    return f"Complexes: {counts}, {kind}{law}"
