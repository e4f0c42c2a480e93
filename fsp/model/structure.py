"""What the stoichiometry alone says: conservation laws, and the largest count of each species.

A law w keeps w·x constant: w S = 0 for the stoichiometric matrix S (species by reactions), an integer left
null vector.  Laws without negative weights, such as A + B, are combinations of the extreme rays of a cone, which are
found in exact arithmetic; others complete the basis.  The largest count of species i is bounded by the linear programme

    max {xᵢ : x = x₀ + S ξ, x ≥ 0, ξ ≥ 0} = min {y·x₀ : y ≥ eᵢ, y S ≤ 0}.

Any law y is allowed on the right, and only laws are where a combination of the reactions with positive weights changes
nothing, as y S ≤ 0 is then y S = 0: the bound is the least w·x₀/wᵢ of the rays.  `change` is Sᵀ,
(n_reactions, n_species).

References
----------
T. S. Motzkin et al., "The double description method", Contributions to the Theory of Games II (1953) 51.
Colom, Silva, "Convex geometry and semiflows in P/T nets", LNCS 483 (1991), doi:10.1007/3-540-53863-1_22.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.linear_programmes import Limits, LinearProgramme
from fsp.model.echelon import Echelon, Row
from fsp.time_limit import check_time_limit

Vector = tuple[int, ...]

_MOST_RAYS = 2000  # their number can grow exponentially; beyond this, laws of any sign must do
_MANY_STARTS = 200  # initial states, beyond which their hull is not worked out
_PROGRAMME_TOLERANCE = 1e-9  # relative tolerance of the linear programmes
_LARGEST_DENOMINATOR = 10_000  # of weights that a linear programme finds; more than the sum is checked, chosen


def conservation_laws(change: IntArray) -> IntArray:
    """Return a basis of the laws that every reaction keeps, (n_laws, n_species).

    Whole weights without common divisor, those without negative weights first, then by size.
    """
    n_species = change.shape[1]
    conserved = _null_space(change)
    of_any_sign = sorted(map(_primitive, conserved.values()), key=lambda law: (sum(map(abs, law)), law))
    form = Echelon(n_species)
    laws = [
        law
        for law in [*sorted(_rays(conserved), key=_size), *of_any_sign]
        if form.rank < len(conserved) and form.add(law)
    ]
    return np.array(laws, dtype=np.int64).reshape(len(conserved), n_species)


def _distinct(change: IntArray) -> list[Row]:
    """Return the different directions of the reactions, sparsest first: a reverse or repeated one adds no condition."""
    rows = change[change.any(axis=1)]
    rows = rows // np.gcd.reduce(rows, axis=1, keepdims=True)
    first = np.take_along_axis(rows, (rows != 0).argmax(axis=1)[:, None], axis=1)
    rows_kept = different_rows(rows * np.sign(first))
    by_size = np.argsort((rows_kept != 0).sum(axis=1), kind="stable")
    return [{int(j): int(row[j]) for j in np.flatnonzero(row)} for row in rows_kept[by_size]]


def different_rows(rows: IntArray) -> IntArray:
    """Return the different rows in lexical order; np.unique takes seconds for thousands of long ones, and 8 ms once."""
    return np.array(sorted(set(map(tuple, rows.tolist()))), dtype=np.int64).reshape(-1, rows.shape[1])


def _primitive(vector: Vector) -> Vector:
    """Return a vector divided by its content, its first weight that is not 0 made positive."""
    divisor = math.gcd(*vector) or 1
    first = next((n for n in vector if n), 1)
    return tuple(n // (divisor if first > 0 else -divisor) for n in vector)


def _size(law: Vector) -> tuple[int, int, Vector]:
    return sum(law), sum(n != 0 for n in law), tuple(-n for n in law)


def _null_space(change: IntArray) -> dict[int, Vector]:
    """Return a basis of the laws of any sign: each is positive at one species where all others are 0, its key."""
    form = Echelon(change.shape[1])
    for direction in _distinct(change):
        form.add_row(direction)
    reduced = form.reduced()
    rows_by_lead = {}
    for free in sorted(set(range(change.shape[1])) - set(reduced)):
        touched = {pivot: row for pivot, row in reduced.items() if free in row}
        common = math.lcm(*(row[pivot] // math.gcd(row[pivot], row[free]) for pivot, row in touched.items()))
        law = [0] * change.shape[1]
        law[free] = common
        for pivot, row in touched.items():
            law[pivot] = -row[free] * common // row[pivot]
        rows_by_lead[free] = tuple(law)
    return rows_by_lead


def _rays(basis: Mapping[int, Vector]) -> list[Vector]:
    """Return the non-negative laws of smallest support; none where there are too many to enumerate.

    A law is a combination of those of the basis.  It is not negative at their own species for weights y >= 0; the
    conditions at all other species are added one after the other (the double description of the cone).
    """
    rays, conditions = list(basis.values()), set(basis)
    while True:
        costs = {i: _cost(rays, i) for i in range(len(rays[0]) if rays else 0)}
        negative = {i: cost for i, (n_negative, cost) in costs.items() if n_negative}
        if not negative:
            return rays
        species = min(negative, key=lambda i: (negative[i], i))
        if negative[species] > _MOST_RAYS:
            return []
        conditions.add(species)
        rays = _minimal([ray for ray in rays if ray[species] >= 0] + _combined(rays, species), conditions)


def _cost(rays: list[Vector], species: int) -> tuple[int, int]:
    """Return how many rays are negative at a species, and how many combinations keep them from it."""
    weights = [ray[species] for ray in rays]
    n_negative = sum(n < 0 for n in weights)
    return n_negative, n_negative * sum(n > 0 for n in weights)


def _combined(rays: list[Vector], species: int) -> list[Vector]:
    """Return the non-negative combinations of two rays that are 0 at a species."""
    combined = []
    for up in (ray for ray in rays if ray[species] > 0):
        check_time_limit()
        for down in (ray for ray in rays if ray[species] < 0):
            a, b = -down[species], up[species]
            joint = [a * x + b * y for x, y in zip(up, down, strict=True)]
            divisor = math.gcd(*joint)
            combined.append(tuple(n // divisor for n in joint))
    return combined


def _minimal(rays: list[Vector], conditions: Collection[int]) -> list[Vector]:
    """Drop repeated rays and those that are positive wherever another is, at the species of the conditions."""
    kept: list[tuple[frozenset[int], Vector]] = []
    supported = [(frozenset(i for i in conditions if ray[i]), ray) for ray in dict.fromkeys(rays)]
    for support, ray in sorted(supported, key=lambda pair: (len(pair[0]), pair[1])):
        check_time_limit()
        if not any(other <= support for other, _ in kept):
            kept.append((support, ray))
    return [ray for _, ray in kept]


def species_bounds(change: IntArray, initial_states: IntArray) -> FloatArray:
    """Bound the count of each species over all states that the stoichiometry allows, (n_species,), inf without limit.

    With several `initial_states` (m, n_species) the bound is over their convex hull, or, where they are many, over all
    counts within their range that keep the conservation laws; neither is ever too small.
    """
    directions = different_rows(change[change.any(axis=1)])  # (r, d)
    bounds: FloatArray = initial_states.max(axis=0).astype(float)  # (d,)
    endless = (directions[(directions >= 0).all(axis=1)] > 0).any(axis=0)  # made by a reaction that consumes nothing
    bounds[endless] = math.inf
    produced = np.asarray((directions > 0).any(axis=0) & ~endless)  # (d,)
    if not produced.any():
        return bounds
    known = _bounds_of_laws(directions, initial_states[0]) if len(initial_states) == 1 else None
    bounds[produced] = _programmes(directions, initial_states, produced) if known is None else known[produced]
    return bounds


def _bounds_of_laws(directions: IntArray, start: IntArray) -> FloatArray | None:
    """Return the bounds by the laws, (d,); None where others may be less, or the rays are too many."""
    basis = _null_space(directions)
    rays = _rays(basis)
    if (basis and not rays) or not _returns(directions):
        return None
    bounds = np.full(len(start), math.inf)
    for ray in rays:
        held = sum(weight * n for weight, n in zip(ray, start.tolist(), strict=True))
        for i, weight in enumerate(ray):
            if weight:
                bounds[i] = min(bounds[i], held // weight)
    return bounds


def _returns(directions: IntArray) -> bool:
    """Tell whether a combination of all directions (r, d) with positive weights changes nothing."""
    if not len(_one_way(directions)):
        return True
    if ((directions > 0).any(axis=0) != (directions < 0).any(axis=0)).any():
        return False
    columns = directions.T.astype(float)  # (d, r)
    positive = LinearProgramme([(1.0, None)] * len(directions), equal=columns, right=np.zeros(len(columns)))
    return positive.minimum() is not None


def _one_way(directions: IntArray) -> IntArray:
    """Return the directions (r, d) whose reverse is not among them."""
    given = set(map(tuple, directions.tolist()))
    alone = [row for row in directions.tolist() if tuple(-n for n in row) not in given]
    return np.array(alone, dtype=np.int64).reshape(-1, directions.shape[1])


def _programmes(directions: IntArray, initial_states: IntArray, produced: BoolArray) -> FloatArray:
    """Return the bounds of the species that are `produced` (d,) by the linear programme, one for each.

    What reversible directions keep, W x, only the others change: W x = W (x₀ + S ξ) with ξ of these.
    """
    one_way = _one_way(directions)  # (r, d)
    alone = set(map(tuple, one_way.tolist()))
    there_and_back = [row for row in directions.tolist() if tuple(row) not in alone]
    both = np.array(there_and_back, dtype=np.int64).reshape(-1, directions.shape[1])
    kept = np.array(list(_null_space(both).values()), dtype=float).reshape(-1, directions.shape[1])  # W (k, d)
    start = (_hull if len(initial_states) <= _MANY_STARTS else _range)(directions, initial_states)
    # unknowns: x (d,), ξ (r,), and s (m,)
    moved = np.concatenate([kept, -kept @ one_way.T, -kept @ start.states], axis=1)  # (k, d + r + m)
    equations = np.concatenate(
        [np.zeros((len(start.equal), moved.shape[1] - start.equal.shape[1])), start.equal], axis=1
    )
    right = np.concatenate([np.zeros(len(moved)), start.right])
    limits: Limits = [*[(0.0, None)] * (moved.shape[1] - len(start.limits)), *start.limits]
    programme = LinearProgramme(limits, equal=np.concatenate([moved, equations]), right=right)
    bounds = []
    for i in np.flatnonzero(produced):
        check_time_limit()
        best = programme.minimum(-np.eye(1, len(limits), int(i))[0])
        value = math.inf if best is None else -best.value  # unbounded, or no bound proven
        least = initial_states[:, i].max()
        bounds.append(
            math.inf if math.isinf(value) else max(least, math.floor(value + _PROGRAMME_TOLERANCE * max(1.0, value)))
        )
    return np.array(bounds, dtype=float)


class _StartConstraints(NamedTuple):
    """Where the chain may have started: ``states @ s`` with unknowns s, ``equal @ s = right`` within the limits."""

    states: FloatArray  # (d, m)
    equal: FloatArray  # (k, m)
    right: FloatArray  # (k,)
    limits: list[tuple[float, float | None]]  # (m,)


def _hull(_: IntArray, initial_states: IntArray) -> _StartConstraints:
    """Return all mixtures of the initial states."""
    states = different_rows(initial_states).T.astype(float)  # (d, m)
    m = states.shape[1]
    return _StartConstraints(states, np.ones((1, m)), np.ones(1), [(0.0, None)] * m)


def _range(directions: IntArray, initial_states: IntArray) -> _StartConstraints:
    """Return all states within the range of the initial ones whose laws are; s are its counts, and the laws'."""
    laws = conservation_laws(directions)  # (k, d)
    values = np.concatenate([initial_states, initial_states @ laws.T], axis=1)  # (m, d + k)
    k, d = laws.shape
    limits = list(zip(values.min(axis=0).tolist(), values.max(axis=0).tolist(), strict=True))
    equal = np.concatenate([laws, -np.eye(k)], axis=1)
    return _StartConstraints(np.eye(d, d + k), equal, np.zeros(k), limits)


def irreversible_gain(change: IntArray) -> npt.NDArray[np.bool_]:
    """Tell which reactions no stationary distribution can have going on, (n_reactions,).

    A weighting w >= 0 of the species that no reaction lowers, ``w·ν_r >= 0``, rises for ever with every reaction
    that raises it; in a stationary state such reactions have no flux.  One linear programme finds them all.
    """
    r, n_species = change.shape
    # unknowns: w (d,) and z (r,), 0 <= z <= 1, z <= change w; as many z as possible are raised
    cost = np.concatenate([np.zeros(n_species), -np.ones(r)])
    rows = np.concatenate([-change.astype(float), np.eye(r)], axis=1)
    limits = [(0.0, None)] * n_species + [(0.0, 1.0)] * r
    best = LinearProgramme(limits, above=rows, below=np.zeros(r)).minimum(cost)
    if best is None:
        return np.zeros(r, dtype=np.bool_)
    return np.asarray(best.x[n_species:] > 0.5)


def lowered(directions: IntArray) -> Vector | None:
    """Return whole weights of the species, (d,), whose sum every direction (m, d) lowers; None where none are found.

    No state is then come back to.
    """
    if len(directions) == 1:
        return tuple(int(-n) for n in directions[0])
    if not len(directions) or len(_one_way(directions)) < len(directions):
        return None
    limits = [(None, None)] * directions.shape[1]
    optimum = LinearProgramme(limits, above=directions.astype(float), below=-np.ones(len(directions))).minimum()
    if optimum is None:
        return None
    near = [Fraction(float(x)).limit_denominator(_LARGEST_DENOMINATOR) for x in optimum.x]
    common = math.lcm(*(x.denominator for x in near))
    weights = tuple(int(x * common) for x in near)
    proved = all(sum(w * n for w, n in zip(weights, row, strict=True)) < 0 for row in directions.tolist())
    return weights if proved else None


def same_lattice(change: IntArray, steps: IntArray) -> npt.NDArray[np.bool_]:
    """Tell which differences of states (m, n_species) are whole combinations of the reactions, (m,)."""
    rest = np.array(steps, dtype=np.int64)
    for column, row in lattice_basis(change):
        quotient = rest[:, column] // row[column]
        rest -= quotient[:, None] * np.array(row, dtype=np.int64)
    return np.asarray(~rest.any(axis=1))


def lattice_basis(change: IntArray) -> list[tuple[int, Vector]]:
    """Return a basis of all whole combinations of the reactions, in echelon form: pivot column and row of each."""
    rows = [tuple(int(n) for n in row) for row in different_rows(change)]
    basis = []
    for column in range(change.shape[1]):
        while True:
            candidates = sorted((row for row in rows if row[column]), key=lambda row: abs(row[column]))
            if len(candidates) < 2:
                break
            least = candidates[0]
            rows = [row for row in rows if not row[column]] + [least]
            for row in candidates[1:]:
                times = row[column] // least[column]
                rows.append(tuple(x - times * y for x, y in zip(row, least, strict=True)))
        if candidates:
            basis.append((column, candidates[0]))
            rows = [row for row in rows if row != candidates[0]]
    return basis


def producible(change: IntArray, needs: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which species may ever be there, (n_species,); all others stay at zero for ever.

    Without the species of `needs` (n_reactions, n_species) a reaction does not happen; `present` (n_species,) are there
    at first.
    """
    made = present.copy()
    while True:
        possible = ~((needs | (change < 0)) & ~made).any(axis=1)
        more = made | (change[possible] > 0).any(axis=0)
        if (more == made).all():
            return made
        made = more
