"""Metastable sets of a network, from its slowest modes.

Left eigenvectors of slow modes are nearly constant on each set that is seldom left.  With k of them, the constant one
included, each state is a point that lies near one of k vertices; its memberships are its coordinates among these, which
add up to one.  The vertices are found one by one, each the point farthest from the span of those before.

References
----------
M. Weber, T. Galliat, Characterization of transition states in conformational dynamics using fuzzy sets, ZIB-Report
02-12 (2002).
P. Deuflhard, M. Weber, Robust Perron cluster analysis in conformation dynamics, Linear Algebra Appl. 398 (2005) 161,
doi:10.1016/j.laa.2004.10.026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, ComplexArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class MetastableSet:
    """A set of states that is seldom left; as a condition, ``fsp.committor(model, sets[0], sets[1])``.

    Parameters
    ----------
    name
        Its most probable state, such as ``"U=51, V=3"``.
    species
        (d,) names.
    states
        (m, d) the states that belong to it.
    probability
        Their probability in the stationary law, an estimate.
    """

    name: str
    species: tuple[str, ...]
    states: IntArray
    probability: float

    def __call__(self, counts: Mapping[str, Any]) -> BoolArray:
        """Tell whether states belong to the set, from counts of each species by name, (n,); (n,) booleans."""
        asked = np.stack([np.asarray(counts[name]) for name in self.species], axis=1).astype(np.int64)  # (n, d)
        shape = np.maximum(self.states.max(axis=0), 0) + 1
        inside = ((asked >= 0) & (asked < shape)).all(axis=1)
        keys = np.ravel_multi_index(tuple(np.where(inside[:, None], asked, 0).T), tuple(shape.tolist()))
        marks: BoolArray = inside & np.isin(keys, np.ravel_multi_index(tuple(self.states.T), tuple(shape.tolist())))
        return marks

    def __str__(self) -> str:
        return f"around {self.name}: {len(self.states):,} states, probability ≈ {self.probability:.6g}"


def metastable_sets(
    species: tuple[str, ...],
    states: IntArray,
    modes: tuple[ComplexArray, ComplexArray],
    stationary: FloatArray,
    n_sets: int | None,
    core: float,
) -> list[MetastableSet]:
    """Return sets of states (n, d), from eigenvalues (k,) and left eigenvectors (n, k) of the slowest modes."""
    values, left = modes
    k = _count(values) if n_sets is None else n_sets
    if isinstance(k, bool) or not isinstance(k, int) or not 2 <= k <= len(values) + 1:
        raise ArgumentError(
            f"`n_sets` must be 2 to {len(values) + 1}, one more than there are modes, but is {k!r}; ask "
            f"`fsp.relaxation` for more."
        )
    if not 0.5 <= core < 1.0:
        raise ArgumentError(
            f"`core` must be a membership from 0.5 to 1, below which states belong to no set, not {core!r}."
        )
    if (values[: k - 1].imag != 0.0).any():
        raise ArgumentError(
            f"Modes of {k} metastable sets must be real, but one of them turns around; ask for fewer with `n_sets`."
        )
    points = np.column_stack([np.ones(len(states)), left[:, : k - 1].real])  # (n, k)
    memberships = points @ np.linalg.inv(points[_vertices(points[:, 1:])])  # (n, k), 1 in sum
    sets = []
    for membership in memberships.T:
        inside = membership > core
        weight = np.where(inside, stationary, -1.0)
        best = int(np.argmax(weight))
        name = ", ".join(f"{s}={x}" for s, x in zip(species, states[best].tolist(), strict=True))
        sets.append(MetastableSet(name, species, states[inside], float(stationary[inside].sum())))
    return sorted(sets, key=lambda state_set: -state_set.probability)


def _count(values: ComplexArray) -> int:
    """Return the number of sets: modes are counted before the largest gap between the logarithms of their rates."""
    if len(values) < 2:
        raise ArgumentError("`n_sets` must be given where there is one mode only; ask `fsp.relaxation` for more modes.")
    return int(np.argmax(np.diff(np.log(-values.real)))) + 2


def _vertices(points: FloatArray) -> IntArray:
    """Return the places of k + 1 of the points (n, k) that span most of them."""
    first = int(np.argmax(np.linalg.norm(points - points.mean(axis=0), axis=1)))
    places, left = [first], points - points[first]
    for _ in range(points.shape[1]):
        size = np.linalg.norm(left, axis=1)
        place = int(np.argmax(size))
        places.append(place)
        direction = left[place] / size[place]
        left = left - np.outer(left @ direction, direction)
    return np.array(places)
