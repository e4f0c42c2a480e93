"""What the stoichiometry alone says: conservation laws, and the largest count of each species.

A law w keeps w·x constant: w S = 0 for the stoichiometric matrix S (species by reactions), an integer left
null vector.  Laws without negative weights, such as A + B, are the extreme rays of a cone, found by
Farkas' algorithm in exact arithmetic; others complete the basis.  The largest count of species i is
bounded by the linear programme max {xᵢ : x = x₀ + S ξ, x ≥ 0, ξ ≥ 0}.  `change` is Sᵀ, (n_reactions, n_species).

References
----------
Colom, Silva, "Convex geometry and semiflows in P/T nets", LNCS 483 (1991), doi:10.1007/3-540-53863-1_22.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fsp.arrays import FloatArray, IntArray

Vector = tuple[int, ...]

_MOST_RAYS = 2000  # Farkas' algorithm can grow exponentially; beyond this, laws of any sign must do
_MANY_STATES = 200  # initial states, beyond which their hull is not worked out
_SLACK = 1e-9  # relative tolerance of the linear programmes


def conservation_laws(change: IntArray) -> IntArray:
    """Return a basis of the laws that every reaction keeps, (n_laws, n_species).

    Whole weights without common divisor, those without negative weights first, then by size.
    """
    n_species = change.shape[1]
    reactions = _distinct(change)
    n_laws = n_species - len(echelon(reactions, n_species)[1])
    candidates = [*sorted(_rays(reactions, n_species), key=_size), *_null_space(reactions, n_species)]
    laws: list[Vector] = []
    for law in candidates:
        if len(laws) < n_laws and _independent([*laws, law], n_species):
            laws.append(law)
    return np.array(laws, dtype=np.int64).reshape(n_laws, n_species)


def _distinct(change: IntArray) -> list[Vector]:
    """Return the different directions of the reactions: a reverse or repeated one adds no condition."""
    directions = {_primitive(tuple(int(n) for n in row)) for row in change}
    return sorted(direction for direction in directions if any(direction))


def _primitive(vector: Vector) -> Vector:
    """Return a vector divided by its content, its first weight that is not 0 made positive."""
    divisor = math.gcd(*vector) or 1
    first = next((n for n in vector if n), 1)
    return tuple(n // (divisor if first > 0 else -divisor) for n in vector)


def _size(law: Vector) -> tuple[int, int, Vector]:
    return sum(law), sum(n != 0 for n in law), tuple(-n for n in law)


def _rays(reactions: list[Vector], n_species: int) -> list[Vector]:
    """Return the non-negative laws of smallest support; none where there are too many to enumerate."""
    unit = [tuple(int(i == j) for j in range(n_species)) for i in range(n_species)]
    rows = [(tuple(reaction[i] for reaction in reactions), unit[i]) for i in range(n_species)]
    pending = set(range(len(reactions)))
    while pending and rows:
        column = min(pending, key=lambda j: (_cost(rows, j), j))
        pending.remove(column)
        if _cost(rows, column) > _MOST_RAYS:
            return []
        rows = _minimal([row for row in rows if row[0][column] == 0] + _combined(rows, column))
    return [law for _, law in rows]


def _cost(rows: list[tuple[Vector, Vector]], column: int) -> int:
    """Return how many combinations the elimination of a column makes."""
    signs = [row[0][column] for row in rows]
    return sum(n > 0 for n in signs) * sum(n < 0 for n in signs)


def _combined(rows: list[tuple[Vector, Vector]], column: int) -> list[tuple[Vector, Vector]]:
    """Return the non-negative combinations of two rows that cancel a column."""
    combined = []
    for gain, law_up in (row for row in rows if row[0][column] > 0):
        for loss, law_down in (row for row in rows if row[0][column] < 0):
            a, b = -loss[column], gain[column]
            joint = tuple(a * x + b * y for x, y in zip(gain + law_up, loss + law_down, strict=True))
            divisor = math.gcd(*joint)
            joint = tuple(n // divisor for n in joint)
            combined.append((joint[: len(gain)], joint[len(gain) :]))
    return combined


def _minimal(rows: list[tuple[Vector, Vector]]) -> list[tuple[Vector, Vector]]:
    """Drop repeated rows and those whose support holds the support of another."""
    kept: list[tuple[frozenset[int], tuple[Vector, Vector]]] = []
    supported = [(frozenset(i for i, n in enumerate(row[1]) if n), row) for row in dict.fromkeys(rows)]
    for support, row in sorted(supported, key=lambda pair: (len(pair[0]), pair[1][1])):
        if not any(other <= support for other, _ in kept):
            kept.append((support, row))
    return [row for _, row in kept]


def echelon(rows: Iterable[Sequence[int | Fraction]], width: int) -> tuple[list[list[Fraction]], list[int]]:
    """Return the reduced row echelon form over the rationals, and its pivot columns."""
    given = list(rows)
    matrix = [{j: Fraction(n) for j, n in enumerate(row) if n} for row in given]  # stoichiometries are mostly zeros
    pivots: list[int] = []
    for column in range(width):
        top = len(pivots)
        found = next((i for i in range(top, len(matrix)) if column in matrix[i]), None)
        if found is None:
            continue
        matrix[top], matrix[found] = matrix[found], matrix[top]
        lead = matrix[top][column]
        matrix[top] = {j: n / lead for j, n in matrix[top].items()}
        for i, row in enumerate(matrix):
            if i != top and column in row:
                matrix[i] = _difference(row, row[column], matrix[top])
        pivots.append(column)
    length, zero = len(given[0]) if given else 0, Fraction(0)
    return [[row.get(j, zero) for j in range(length)] for row in matrix[: len(pivots)]], pivots


def _difference(row: dict[int, Fraction], factor: Fraction, other: dict[int, Fraction]) -> dict[int, Fraction]:
    """Return row - factor·other without zeros."""
    made = dict(row)
    for j, n in other.items():
        left = made.get(j, 0) - factor * n
        if left:
            made[j] = left
        else:
            made.pop(j, None)
    return made


def _null_space(reactions: list[Vector], n_species: int) -> list[Vector]:
    """Return a basis of the laws of any sign, smallest first."""
    matrix, pivots = echelon(reactions, n_species)
    laws = []
    for free in sorted(set(range(n_species)) - set(pivots)):
        law = [Fraction(int(i == free)) for i in range(n_species)]
        for row, pivot in zip(matrix, pivots, strict=True):
            law[pivot] = -row[free]
        common = math.lcm(*(n.denominator for n in law))
        laws.append(_primitive(tuple(int(n * common) for n in law)))
    return sorted(laws, key=lambda law: (sum(map(abs, law)), law))


def _independent(laws: list[Vector], n_species: int) -> bool:
    return len(echelon(laws, n_species)[1]) == len(laws)


def species_bounds(change: IntArray, initial_states: IntArray) -> FloatArray:
    """Bound the count of each species over all states that the stoichiometry allows, (n_species,), inf without limit.

    With several `initial_states` (m, n_species) the bound is over their convex hull, or, where they are many, over all
    counts within their range that keep the conservation laws; neither is ever too small.
    """
    directions = np.unique(change[change.any(axis=1)], axis=0)  # (r, d)
    bounds: FloatArray = initial_states.max(axis=0).astype(float)  # (d,)
    endless = (directions[(directions >= 0).all(axis=1)] > 0).any(axis=0)  # made by a reaction that consumes nothing
    bounds[endless] = math.inf
    produced = np.flatnonzero((directions > 0).any(axis=0) & ~endless)
    if not len(produced):
        return bounds
    from scipy.optimize import linprog  # here, as its import costs as much as a small solve

    # unknowns: ξ (r,) and what says where the chain started; x = counts @ unknowns ≥ 0
    few = len(initial_states) <= _MANY_STATES
    counts, conditions = (_hull if few else _range)(change, directions, initial_states)
    for i in produced:
        best = linprog(-counts[i], **conditions)
        value = -float(best.fun or 0.0) if best.status == 0 else math.inf  # unbounded, or no bound proven
        bounds[i] = math.inf if math.isinf(value) else max(bounds[i], math.floor(value + _SLACK * max(1.0, value)))
    return bounds


def _hull(change: IntArray, directions: IntArray, initial_states: IntArray) -> tuple[FloatArray, dict[str, Any]]:
    """Return counts and conditions where the weights λ (m,) of the initial states are unknowns, Σλ = 1."""
    start = np.unique(initial_states, axis=0)  # (m, d)
    counts = np.concatenate([directions, start]).T.astype(float)  # (d, r + m)
    weights = np.concatenate([np.zeros(len(directions)), np.ones(len(start))])[None, :]  # (1, r + m)
    return counts, {"A_ub": -counts, "b_ub": np.zeros(len(counts)), "A_eq": weights, "b_eq": [1.0]}


def _range(change: IntArray, directions: IntArray, initial_states: IntArray) -> tuple[FloatArray, dict[str, Any]]:
    """Return counts and conditions where the state (d,) that the chain started in is unknown, within its range."""
    laws = conservation_laws(change)  # (n_laws, d)
    kept = initial_states @ laws.T  # (m, n_laws)
    counts = np.concatenate([directions.T, np.eye(change.shape[1])], axis=1)  # (d, r + d)
    law = np.concatenate([np.zeros((len(laws), len(directions))), laws], axis=1)
    limits = [np.zeros(len(counts)), kept.max(axis=0), -kept.min(axis=0)]
    ends = zip(initial_states.min(axis=0).tolist(), initial_states.max(axis=0).tolist(), strict=True)
    conditions = {"A_ub": np.concatenate([-counts, law, -law]), "b_ub": np.concatenate(limits)}
    return counts, {**conditions, "bounds": [(0.0, None)] * len(directions) + list(ends)}


def irreversible_gain(change: IntArray) -> npt.NDArray[np.bool_]:
    """Tell which reactions no stationary distribution can have going on, (n_reactions,).

    A weighting w >= 0 of the species that no reaction lowers, ``w·ν_r >= 0``, rises for ever with every reaction
    that raises it; in a stationary state such reactions have no flux.  One linear programme finds them all.
    """
    from scipy.optimize import linprog  # here, as its import costs as much as a small solve

    r, n_species = change.shape
    # unknowns: w (d,) and z (r,), 0 <= z <= 1, z <= change w; as many z as possible are raised
    cost = np.concatenate([np.zeros(n_species), -np.ones(r)])
    rows = np.concatenate([-change.astype(float), np.eye(r)], axis=1)
    limits = [(0.0, None)] * n_species + [(0.0, 1.0)] * r
    best = linprog(cost, A_ub=rows, b_ub=np.zeros(r), bounds=limits)
    if best.x is None:
        return np.zeros(r, dtype=np.bool_)
    return np.asarray(best.x[n_species:] > 0.5)


def same_lattice(change: IntArray, steps: IntArray) -> npt.NDArray[np.bool_]:
    """Tell which differences of states (m, n_species) are whole combinations of the reactions, (m,)."""
    rest = np.array(steps, dtype=np.int64)
    for column, row in lattice_basis(change):
        whole = rest[:, column] // row[column]
        rest -= whole[:, None] * np.array(row, dtype=np.int64)
    return np.asarray(~rest.any(axis=1))


def lattice_basis(change: IntArray) -> list[tuple[int, Vector]]:
    """Return a basis of all whole combinations of the reactions, in echelon form: pivot column and row of each."""
    rows = [tuple(int(n) for n in row) for row in np.unique(change, axis=0)]
    basis = []
    for column in range(change.shape[1]):
        while True:
            own = sorted((row for row in rows if row[column]), key=lambda row: abs(row[column]))
            if len(own) < 2:
                break
            least = own[0]
            rows = [row for row in rows if not row[column]] + [least]
            for row in own[1:]:
                times = row[column] // least[column]
                rows.append(tuple(x - times * y for x, y in zip(row, least, strict=True)))
        if own:
            basis.append((column, own[0]))
            rows = [row for row in rows if row != own[0]]
    return basis


def producible(change: IntArray, needs: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which species may ever be there, (n_species,); all others stay at zero for ever.

    Without the species of `needs` (n_reactions, n_species) a reaction does not happen; `present` (n_species,) are there
    at first.
    """
    found = present.copy()
    while True:
        possible = ~((needs | (change < 0)) & ~found).any(axis=1)
        more = found | (change[possible] > 0).any(axis=0)
        if (more == found).all():
            return found
        found = more
