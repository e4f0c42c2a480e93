"""The slowest modes of states that are left for good: how probability leaves them, and what remains looks like.

Sorted by communicating classes the generator is block triangular: its eigenvalues are those of the classes, each with
its vectors continued downstream (right ones) or upstream (left ones).  The slowest eigenvalue is that of a class whose
right vector is non-negative: minus the decay rate, and, divided by its sum, the quasi-stationary distribution, which
the distribution given that nothing was absorbed yet tends to.

References
----------
J. N. Darroch, E. Seneta, J. Appl. Probab. 4 (1967) 192, doi:10.2307/3212311.
E. A. van Doorn, P. K. Pollett, Eur. J. Oper. Res. 230 (2013) 1, doi:10.1016/j.ejor.2013.01.032 (several classes).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph, linalg

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.classes import reached
from fsp.chains.elimination import BYTES_OF_ENTRY, check_factors
from fsp.chains.modes import CommunicatingClass, Modes, joined, slowest
from fsp.defaults import MODES
from fsp.errors import ArgumentError, ConvergenceError

if TYPE_CHECKING:
    from fsp.arrays import ComplexArray, FloatArray, IntArray

PIVOTED = 2  # factors with pivots over those of an elimination without: up to 1.6 measured, on 2,001 to 6,000 states
RELATIVE_RESIDUAL = 1e-6  # of a vector beyond which its eigenvalue is that of another class on its way too


def transient_modes(matrix: Any, kills: FloatArray, n_modes: int | None) -> Modes:
    """Return the modes next to zero of transient states, left for good at the rates `kills` (n,).

    `matrix` (n, n) CSR is the generator on them, its diagonal with all that leaves each state.  None asks for `MODES`
    of them, or as many as there are.
    """
    n = matrix.shape[0]
    wanted = min(MODES, n) if n_modes is None else n_modes
    if wanted > n:
        raise ArgumentError(f"`n_modes` must be at most the number of transient states {n}, but is {n_modes}.")
    n_classes, label = csgraph.connected_components(matrix, directed=True, connection="strong")
    if n_classes == 1:
        return slowest(CommunicatingClass(matrix, None, kills), wanted)
    candidates = _candidates(matrix, kills, label.astype(np.int64), wanted)
    rates = np.array([-float(modes.values[0].real) for _, modes in candidates])
    chosen: list[Modes] = []
    for k in np.argsort(rates, kind="stable"):
        extended = _continued(matrix, *candidates[k])
        if extended is not None:
            chosen.append(extended)
        if len(chosen) == wanted:
            return joined(chosen)
    if n_modes is None and chosen:
        return joined(chosen)
    raise ConvergenceError(
        f"`n_modes` must be at most the number of modes with vectors of their own {len(chosen)}, but is {n_modes}: "
        f"eigenvalues of several classes are the same."
    )


def _candidates(matrix: Any, kills: FloatArray, label: IntArray, n_modes: int) -> list[tuple[IntArray, Modes]]:
    """Return single modes, with the states of their class, that hold the `n_modes` slowest ones."""
    n = matrix.shape[0]
    jumps = matrix.tocoo()
    crossing = label[jumps.row] != label[jumps.col]
    leaving = kills + np.bincount(jumps.col[crossing], jumps.data[crossing], minlength=n)
    sizes = np.bincount(label)
    alone = np.flatnonzero(sizes[label] == 1)
    alone = alone[np.argsort(leaving[alone], kind="stable")]
    modes_of = [(np.array([k]), _single(leaving[k])) for k in alone.tolist()]
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for c in np.flatnonzero(sizes > 1):
        members = np.sort(order[starts[c] : starts[c + 1]])
        block = CommunicatingClass(matrix[members][:, members].tocsr(), None, leaving[members])
        modes = slowest(block, min(n_modes, len(members)))
        modes_of += [(members, modes.take(slice(k, k + 1))) for k in range(len(modes.values))]
    return modes_of


def _single(rate: float) -> Modes:
    unit = np.ones((1, 1), dtype=np.complex128)
    return Modes(np.array([-rate + 0j]), np.zeros(1), np.full(1, 4.0 * UNIT_ROUNDOFF), unit, unit)


def _continued(matrix: Any, members: IntArray, modes: Modes) -> Modes | None:
    """Return the mode of a class on all states; None where a class downstream has its eigenvalue too."""
    value = modes.values[0] if modes.values[0].imag else modes.values[0].real
    right = _extended(matrix, members, modes.right[:, 0], value)
    if right is None:
        return None
    left = None if modes.left is None else _extended(matrix.T.tocsr(), members, modes.left[:, 0], value)
    size = float(np.abs(right).sum())
    residuals = np.array([float(np.abs(matrix @ right - right * value).sum()) / size])
    if not residuals[0] <= max(RELATIVE_RESIDUAL * abs(value), 2.0 * modes.residuals[0]):
        return None
    scale = 1.0 if left is None else left[np.argmax(np.abs(left))]
    return replace(
        modes,
        residuals=residuals,
        right=(right * scale)[:, None],
        left=None if left is None else (left / scale)[:, None],
    )


def _extended(matrix: Any, members: IntArray, vector: ComplexArray, value: complex) -> ComplexArray | None:
    """Return the vector of `matrix` that is `vector` on a class and zero on what that does not lead to."""
    n = matrix.shape[0]
    padded = np.zeros(n, dtype=np.complex128)
    padded[members] = vector
    start = np.zeros(n)
    start[members] = 1.0
    ways = reached(matrix, start)
    ways[members] = False
    later = np.flatnonzero(ways)
    if not len(later):
        return padded
    system = (matrix[later][:, later] - sparse.diags_array(np.full(len(later), value))).tocsc()
    source = -(matrix[later][:, members] @ vector)
    check_factors(system, (2 if np.iscomplexobj(value) else 1) * PIVOTED * BYTES_OF_ENTRY)
    try:
        lu: Any = linalg.splu(system)
    except RuntimeError:  # singular
        return None
    if np.iscomplexobj(value):
        padded[later] = lu.solve(source)
    else:
        padded[later] = lu.solve(source.real) + 1j * lu.solve(source.imag)
    return padded if np.isfinite(padded).all() else None
