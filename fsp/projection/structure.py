"""Communicating classes of a truncated chain, and the probability of ending in each closed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph, linalg

from fsp.errors import ConvergenceError

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The closed communicating classes of a generator.

    Parameters
    ----------
    members
        Indices of the states of each closed class, ascending.
    transient
        Mask of the states in none of them, (n,).
    """

    members: tuple[IntArray, ...]
    transient: BoolArray


def closed_classes(matrix: Any) -> Classes:
    """Return the strongly connected components of `matrix` (CSR, jumps j → i) that no jump leaves."""
    n_classes, label = csgraph.connected_components(matrix, directed=True, connection="strong")
    target = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    crossing = (label[target] != label[matrix.indices]) & (matrix.data > 0.0)
    closed = np.ones(n_classes, dtype=np.bool_)
    closed[label[matrix.indices[crossing]]] = False
    order = np.argsort(label, kind="stable")
    edges = np.searchsorted(label[order], np.arange(n_classes + 1))
    members = tuple(order[edges[c] : edges[c + 1]] for c in np.flatnonzero(closed))
    return Classes(members, ~closed[label])


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """Where a chain that starts in transient states ends.

    Parameters
    ----------
    weights
        Probability of ending in each closed class, (n_classes,).
    occupation
        Mean time spent in each transient state, zero elsewhere, (n,).
    lost
        Probability of leaving the space before a closed class is reached.
    """

    weights: FloatArray
    occupation: FloatArray
    lost: float


def absorption(matrix: Any, classes: Classes, leak_rates: FloatArray, start: FloatArray) -> Absorption:
    """Follow the distribution `start` (n,) into the closed classes; what leaks on the way is lost.

    The mean times u spent in the transient states solve ``-(A - leak)_TT u = start_T``; what flows from them into a
    class, plus what starts there, is its probability.

    Raises
    ------
    ConvergenceError
        If the transient states are left so slowly that double precision does not tell the probabilities.
    """
    weights = np.array([start[members].sum() for members in classes.members])
    occupation = np.zeros(matrix.shape[0])
    inside = np.flatnonzero(classes.transient)
    if not start[inside].any():
        return Absorption(weights, occupation, 0.0)
    system = sparse.diags_array(leak_rates[inside]) - matrix[inside][:, inside]
    occupation[inside] = np.maximum(linalg.splu(system.tocsc()).solve(start[inside]), 0.0)
    flux = matrix @ occupation
    weights = weights + np.array([flux[members].sum() for members in classes.members])
    lost = float(leak_rates[inside] @ occupation[inside])
    return absorbed(weights, occupation, lost)


def absorbed(weights: FloatArray, occupation: FloatArray, lost: float) -> Absorption:
    """Return where a chain ends, or raise a ConvergenceError unless that has all of its probability."""
    if not abs(weights.sum() + lost - 1.0) < 1e-6:
        raise ConvergenceError(
            f"The absorption probabilities must sum to 1, but sum to {weights.sum() + lost:.3g}: the transient states "
            f"are left so slowly that the probabilities cannot be told in double precision."
        )
    return Absorption(weights, occupation, lost)


def close_leaks(matrix: Any, leak_rates: FloatArray, start: FloatArray) -> Any:
    """Return the chain on the space with its leaks closed: reflected, or led back to `start`.

    A reflecting boundary gives the exact conditional distribution of a reversible chain.  In an irregular space it
    may also make a trap of states whose ways back are all cut off; jumps that leave such a closed class without
    an initial state re-enter at those instead.  Transient states keep their leaks out of it: see `absorption`.
    """
    reflecting = (matrix + sparse.diags_array(leak_rates)).tocsr()
    trapped = np.zeros(len(start), dtype=np.bool_)
    for members in closed_classes(reflecting).members:
        trapped[members] = leak_rates[members].any() and not start[members].any()
    if not trapped.any():
        return reflecting
    leaking, entries = np.flatnonzero(trapped & (leak_rates > 0.0)), np.flatnonzero(start)
    rates = np.outer(start[entries], leak_rates[leaking]).ravel()
    places = (np.repeat(entries, len(leaking)), np.tile(leaking, len(entries)))
    back = sparse.coo_array((rates, places), shape=matrix.shape)
    return (matrix + sparse.diags_array(np.where(trapped, 0.0, leak_rates)) + back).tocsr()
