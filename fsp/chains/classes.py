"""Communicating classes of a truncated chain, and the probability of ending in each closed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.chain import led
from fsp.chains.elimination import factorised
from fsp.chains.hitting_times import ExitTimes
from fsp.errors import ConvergenceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import BoolArray, FloatArray, IntArray

WAY_OUT = (
    "Start in states of the classes that they lead to, or next to them (`with_initial`), or give a `space` without "
    "those, for what lasts until then."
)


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The closed communicating classes of a generator."""

    members: tuple[IntArray, ...]  # indices of the states of each closed class, ascending
    transient: BoolArray  # mask of the states in none of them, (n,)


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


def reached(matrix: Any, start: FloatArray | BoolArray) -> BoolArray:
    """Tell which states jumps of `matrix` (n, n), j → i at [i, j], lead to from where `start` (n,) is not zero."""
    n = matrix.shape[0]
    source = sparse.csr_array((start > 0)[:, None].astype(np.float64))  # jumps from a state of its own
    jumps = sparse.block_array([[abs(matrix), source], [None, sparse.csr_array((1, 1))]], format="csr")
    order = csgraph.breadth_first_order(jumps.T.tocsr(), n, directed=True, return_predecessors=False)
    marks = np.zeros(n + 1, dtype=np.bool_)
    marks[order] = True
    return marks[:n]


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """Where a chain that starts in transient states ends."""

    weights: FloatArray  # probability of ending in each closed class, (n_classes,)
    # Mean time spent in each transient state, zero elsewhere, (n,); zero where all end in one class.
    occupation: FloatArray
    lost: float  # probability of leaving the space before a closed class is reached
    relative: float = np.inf  # bound of the relative error of each of these; infinite where there is none


def absorption(
    matrix: Any, classes: Classes, leak_rates: FloatArray, start: FloatArray, roundings: float
) -> Absorption:
    """Follow the distribution `start` (n,) into the closed classes; what leaks on the way is lost.

    The mean times u spent in the transient states solve ``-(A - leak)_TT u = start_T``; what flows from them into a
    class, plus what starts there, is its probability.  They come from an elimination without a subtraction, so that
    rates may be as far apart as they like; where that takes too long, from a factorisation.  `matrix` (n, n) CSR has a
    diagonal without leaks, and rates are right but for the relative error `roundings`.
    """
    weights = np.array([start[members].sum() for members in classes.members])
    occupation = np.zeros(matrix.shape[0])
    inside = np.flatnonzero(classes.transient)
    if not start[inside].any():
        return Absorption(weights, occupation, 0.0, 0.0)
    if len(weights) == 1 and not leak_rates.any():  # nowhere else to end, and nothing to grow
        return Absorption(np.ones(1), occupation, 0.0, 0.0)
    into = matrix[:, inside].tocsr()  # (n, n_transient)
    leaks = leak_rates[inside]
    out = leaks + np.asarray(into[~classes.transient].sum(axis=0)).ravel()  # rates of leaving the transient states
    occupation[inside], relative = _mean_times(into[inside], leaks, out, start[inside], roundings)
    entering = into @ occupation[inside]
    weights = weights + np.array([entering[members].sum() for members in classes.members])
    with np.errstate(invalid="ignore"):  # infinite times, of which what is nan is refused
        lost = float(leaks @ occupation[inside])
    return absorbed(weights, occupation, lost, relative + len(inside) * UNIT_ROUNDOFF)


def _mean_times(
    within: Any, leaks: FloatArray, out: FloatArray, start: FloatArray, roundings: float
) -> tuple[FloatArray, float]:
    """Return the mean times spent in transient states, (m,), and a bound of their relative error."""
    try:
        system = ExitTimes(within, out, roundings)
    except RuntimeError:  # too long, or products of rates that are no normal numbers
        return _factorised((sparse.diags_array(leaks) - within).tocsc(), start), np.inf
    return system.solve(start), system.relative + roundings


def _factorised(matrix: Any, start: FloatArray) -> FloatArray:
    try:
        times: FloatArray = np.maximum(factorised(matrix).solve(start), 0.0)
        return times
    except RuntimeError as failure:
        raise ConvergenceError(
            f"Transient states must be left in a time that double precision can tell, but the equations for it cannot "
            f"be solved: {failure}. {WAY_OUT}"
        ) from None


def absorbed(weights: FloatArray, occupation: FloatArray, lost: float, relative: float = np.inf) -> Absorption:
    """Return where a chain ends, or raise a ConvergenceError unless that has all of its probability."""
    if not abs(weights.sum() + lost - 1.0) < 1e-6:
        raise ConvergenceError(
            f"The absorption probabilities must sum to 1, but sum to {weights.sum() + lost:.3g}: the transient states "
            f"are left so slowly that the probabilities cannot be told in double precision. {WAY_OUT}"
        )
    return Absorption(weights, occupation, lost, relative)


def close_leaks(
    matrix: Any, leak_rates: FloatArray, start: FloatArray, leads: Callable[[IntArray, IntArray], bool] | None = None
) -> Any:
    """Return the chain on the space with its leaks closed: reflected, or led back to `start`.

    A reflecting boundary gives the exact conditional distribution of a reversible chain.  In an irregular space it
    may also make a trap of states whose ways back are all cut off; jumps that leave such a closed class without
    an initial state re-enter at those instead, unless `leads` says that there is no way to them: it tells whether the
    members of a class may come to others of the states through the outside.  Transient states keep their leaks out of
    it: see `absorption`.
    """
    reflecting = (matrix + sparse.diags_array(leak_rates)).tocsr()
    entries = np.flatnonzero(start)
    trapped = _traps(reflecting, leak_rates, entries, leads)
    if not trapped.any():
        return reflecting
    rates = np.where(trapped, leak_rates, 0.0)
    back = (start[z] * led(rates, np.full(len(start), z)) for z in entries)
    return (reflecting - sparse.diags_array(rates) + sum(back)).tocsr()


def lead_back(
    matrix: Any,
    leak_rates: FloatArray,
    start: FloatArray,
    likely: FloatArray,
    leads: Callable[[IntArray, IntArray], bool],
) -> Any:
    """Return the chain of a generator with the leaks of each closed class led back to one of its states.

    Its stationary vector is what the chain does between two visits of that state, but for what it does outside, and a
    larger space only adds to it.  Reflection would hold states at the boundary whose ways on are cut off.  The state is
    the one with most of `likely` (n,), or of `start` (n,) where there is none.  Traps are those of `close_leaks`;
    transient states keep their leaks.
    """
    reflecting = (matrix + sparse.diags_array(leak_rates)).tocsr()
    z = np.argmax(likely if likely.any() else start)
    trapped = np.where(_traps(reflecting, leak_rates, np.array([z]), leads), leak_rates, 0.0)
    joined = (reflecting - sparse.diags_array(trapped) + led(trapped, np.full(len(start), z))).tocsr()
    classes = closed_classes(joined)
    into = np.full(len(start), -1)
    entered = joined @ classes.transient.astype(np.float64)
    for members in classes.members:
        place = next((p[members] for p in (likely, start, entered) if p[members].any()), np.ones(1))
        into[members] = members[np.argmax(place)]
    rates = np.where((into >= 0) & (trapped == 0.0), leak_rates, 0.0)
    return (joined - sparse.diags_array(rates) + led(rates, into)).tocsr()


def _traps(
    reflecting: Any, leak_rates: FloatArray, entries: IntArray, leads: Callable[[IntArray, IntArray], bool] | None
) -> BoolArray:
    """Tell which states are in a closed class that leaks, and may lead through the outside to `entries`, in none."""
    trapped = np.zeros(len(leak_rates), dtype=np.bool_)
    for members in closed_classes(reflecting).members:
        if leak_rates[members].any() and not np.isin(entries, members).any():
            trapped[members] = leads is None or leads(members, entries)
    return trapped
