"""How a network relaxes: the slowest eigenvalues of its generator, and their modes.

On the states that hold the stationary distribution the eigenvalues of the generator are 0 = λ₁ > Re λ₂ ≥ …; a deviation
from the stationary distribution decays like ``exp(λ₂ t)`` in the end.  States that are left for good are left out.
Where all ways end in single states the eigenvalues are those on the others: minus the decay rate, whose vector is the
quasi-stationary distribution, and the following ones (`transients`).

A space without a way out of it has the eigenvalues of the network.  Otherwise the space holds the states of the
stationary distribution and those that a drift condition excepts, so that no slow mode lies outside; jumps that leave it
come back at the most probable state, which makes no slow modes (`led_back`), or end the chain where it is absorbed.  It
grows from all of its boundary, which shows how far the eigenvalues are from settled.  What is not shown is printed with
``≈``.

References
----------
C. Schütte, M. Sarich, Metastability and Markov State Models in Molecular Dynamics, AMS 2013.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.chains.chain import led_back
from fsp.chains.classes import Classes, close_leaks, closed_classes, reached
from fsp.chains.modes import Block, Modes, slowest
from fsp.chains.null_vectors import null_vector
from fsp.chains.transient_modes import transient_modes
from fsp.distribution import ErrorLedger
from fsp.equilibrium.certifier import Certifier
from fsp.errors import ArgumentError, ConvergenceError, StateSpaceError, ToleranceWarning
from fsp.generator import Generator
from fsp.model.arguments import check_call
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.projection.growth import MAX_STATES, Growth, starting_vector
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, ComplexArray, FloatArray, IntArray
    from fsp.model import Model

SETTLED = 1e-6  # relative error of an eigenvalue that is printed without ≈
STALLED = 8  # growths of the space after which the eigenvalues change no less
GROWN_STATES = 30_000  # beyond which a space that was larger at first is grown once, and others no more


@dataclass(frozen=True, slots=True, eq=False)
class Relaxation:
    """The slowest modes of a network.

    Parameters
    ----------
    eigenvalues
        In falling order of their real parts, without zero, 1/time, (n_modes,).
    residuals
        ``‖A v - λ v‖₁ / ‖v‖₁`` of the right eigenvectors, 1/time, (n_modes,).
    n_states
        Number of states.
    species
        Names of the species.
    states
        The states that modes are given on, (n, n_species); where they are spread over ranks, those of this one.
    right
        Right eigenvectors as columns: how the probabilities deviate from the stationary ones, (n, n_modes).
    left
        Left eigenvectors, of largest modulus 1: nearly constant on metastable sets, (n, n_modes).
        ``left.T @ right`` is the identity.  None on ranks, where right eigenvectors have 1-norm 1, and where transient
        classes share an eigenvalue that has no left one.
    stationary
        The stationary distribution, (n,); None on ranks, and where the chain is absorbed.
    quasi_stationary
        Where all ways end in absorbing states, what the distribution on the others tends to as long as none is met,
        (n,); else None.
    errors
        Estimated errors of the eigenvalues, of rounding and by what they changed when the space grew, 1/time,
        (n_modes,); None where there is no estimate.
    confirmed
        Which eigenvalues are those of the network but for a relative error of 1e-6, as far as can be shown, (n_modes,);
        others are printed with ``≈``.
    notes
        Remarks.
    """

    eigenvalues: ComplexArray
    residuals: FloatArray
    n_states: int
    species: tuple[str, ...]
    states: IntArray
    right: ComplexArray
    left: ComplexArray | None = None
    stationary: FloatArray | None = None
    quasi_stationary: FloatArray | None = None
    errors: FloatArray | None = None
    confirmed: BoolArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """The spectral gap, or the rate of absorption in the end: the rate of the slowest mode, 1/time."""
        return float(-self.eigenvalues[0].real)

    @property
    def times(self) -> FloatArray:
        """Relaxation times, in falling order, (n_modes,)."""
        times: FloatArray = -1.0 / self.eigenvalues.real
        return times

    def __str__(self) -> str:
        """Return a line for each mode, and the notes."""
        about = (
            ["≈ "] * len(self.eigenvalues) if self.confirmed is None else ["" if c else "≈ " for c in self.confirmed]
        )
        found, named = (
            ("states", "spectral gap") if self.quasi_stationary is None else ("transient states", "decay rate")
        )
        lines = [f"relaxation: {self.n_states:,} {found}, {named} {about[0]}{self.gap:.4g}"]
        for k, (value, time, residual) in enumerate(zip(self.eigenvalues, self.times, self.residuals, strict=True)):
            shown = f"{value.real:.6g}" if value.imag == 0.0 else f"{value.real:.6g}{value.imag:+.6g}i"
            lines.append(
                f"  mode {k + 1}: eigenvalue {about[k]}{shown}, relaxation time {about[k]}{time:.6g}, "
                f"residual {residual:.1e}"
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The modes on one space.

    Parameters
    ----------
    generator
        Of the space.
    members
        Which of its states the modes are on, (n,).
    modes
        In falling order of the real parts of their eigenvalues.
    p
        The stationary vector, (n,); None where the chain is absorbed.
    n_left_out
        Number of states on the way from the initial ones that are left for good.
    """

    generator: Generator
    members: IntArray
    modes: Modes
    p: FloatArray | None
    n_left_out: int

    @property
    def leaks(self) -> bool:
        """Whether the states have a way out of the space."""
        return bool(self.generator.leak_rates[self.members].any())

    @property
    def weight(self) -> FloatArray:
        """Where the modes are, (n_states,)."""
        weight = np.zeros(len(self.generator))
        right = np.abs(self.modes.right)
        weight[self.members] = (right / right.sum(axis=0)).sum(axis=1)
        return weight


def relaxation(
    model: Model,
    n_modes: int = 3,
    tol: float = 1e-10,
    *,
    space: StateSpace | None = None,
    max_states: int = MAX_STATES,
    max_memory: int | None = None,
) -> Relaxation:
    """Return the slowest modes of the chain that the network ends in, or of its way to absorbing states.

    Parameters
    ----------
    model
        The reaction network; its propensities must not depend on time.
    n_modes
        Number of eigenvalues beside zero: those of greatest real part among some more of least modulus.
    tol
        Error of the stationary distribution whose states are taken first, if there is no `space`.
    space
        The states, with a reflecting boundary.
    max_states, max_memory
        Limits on the number of states and on bytes.

    Returns
    -------
    Relaxation
        Eigenvalues, times and modes; `confirmed` says which are those of the network on all of its states, and `notes`
        why others may not be.

    Raises
    ------
    ArgumentError
        If `n_modes` is not a positive number, or too large for the number of states.
    StateSpaceError
        If there is no stationary distribution, or several closed classes of more than one state: each relaxes on its
        own.
    ConvergenceError
        If modes are not found, or an eigenvalue has no digits in double precision.
    BackendError
        If propensities depend on time.
    """
    from fsp.equilibrium.stationary import check_arguments

    check_call(model, space=space, max_states=max_states, max_memory=max_memory)
    check_arguments(model, tol)
    if not isinstance(n_modes, int) or n_modes < 1:
        raise ArgumentError(f"`n_modes` must be a positive number, but is {n_modes!r}.")
    if space is not None:
        return _answer(model, _modes_on(model, space, n_modes, None), None, "the boundary of `space` reflects")
    growth = Growth(model, max_states, max_memory, stationary=True)
    begin, mode, missing = _beginning(model, growth, tol, max_states, max_memory)
    found, changes = _settled(model, growth, begin, mode, n_modes)
    return _answer(model, found, changes, missing)


def _beginning(
    model: Model, growth: Growth, tol: float, max_states: int, max_memory: int | None
) -> tuple[StateSpace, IntArray, str]:
    """Return a space that holds all slow modes, as far as is known, its most probable state, and what is not known."""
    from fsp.equilibrium.stationary import stationary

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)
        rest = stationary(model, tol, max_states=max_states, max_memory=max_memory)
    missing = "" if rest.error.certified else "the stationary distribution is an estimate"
    space = growth.first().union(StateSpace.from_states(model.species, rest.states))
    if not model.is_finite:
        try:
            excepted = Certifier(model, drift_condition(model, None), "auto", tol).excepted()
            if not growth.affords(len(excepted)):
                raise NoDriftCondition(f"the drift condition needs {len(excepted):,} states")
            space = growth.with_states(space, excepted)
        except NoDriftCondition as failure:
            missing = missing or str(failure)
    return space, rest.states[[int(np.argmax(rest.probabilities))]], missing


def _absorbs(generator: Generator, members: IntArray) -> bool:
    return len(members) == 1 and not generator.leak_rates[members].any()


def _settled(
    model: Model, growth: Growth, space: StateSpace, mode: IntArray, n_modes: int
) -> tuple[_Found, FloatArray]:
    """Grow the space until the eigenvalues settle, or no longer come closer; return them, and how they changed last."""
    found = _modes_on(model, space, n_modes, mode)
    changes, least, since = np.full(n_modes, np.inf), np.inf, 0
    ledger = ErrorLedger(truncation=2.0, certified=False)
    most = max(GROWN_STATES, len(space))
    while found.leaks and least > SETTLED and since < STALLED and len(space) <= most:
        before = found
        try:
            space = growth.grow(space, found.generator, found.weight, None, ledger, everywhere=True)
            found = _modes_on(model, space, n_modes, mode)
        except (StateSpaceError, ConvergenceError):  # the limits, or vectors that double precision does not hold
            break
        changes = np.abs(_folded(found.modes.values) - _folded(before.modes.values))
        relative = float((changes / np.abs(found.modes.values)).max())
        since = 0 if relative < least else since + 1
        least = min(least, relative)
    return found, changes


def _folded(values: ComplexArray) -> ComplexArray:
    """Return the one of each pair of conjugates that lies above: which comes first is chance."""
    return values.real + 1j * np.abs(values.imag)


def _modes_on(model: Model, space: StateSpace, n_modes: int, mode: IntArray | None) -> _Found:
    """Return the modes on a space whose leaks are led back to the state `mode`, or reflected where there is none."""
    generator = Generator(model, space)
    initial, leak_rates = starting_vector(model, space), generator.leak_rates
    matrix = generator.to_csr()
    reflecting = (matrix + sparse.diags_array(leak_rates)).tocsr()
    ends = _reached_classes(reflecting, initial)
    certifier = Certifier(model, None, "auto", 1.0)
    apart = certifier.separate(generator, ends).members  # others are pockets of the space
    if len(apart) > 1 and not all(_absorbs(generator, own) for own in apart):
        raise StateSpaceError(
            f"Relaxation must be that of one closed class, but {len(apart)} of them are reached, each of which relaxes "
            f"on its own. Start in a state that leads to one of them only."
        )
    if mode is not None:
        closed, killed = led_back(matrix, leak_rates, int(space.index(mode)[0])), matrix
    else:
        back = (initial > 0.0) & np.any([certifier.onward(generator, own) for own in ends.members], axis=0)
        closed = killed = close_leaks(matrix, leak_rates, initial) if back.any() else reflecting
        leak_rates = np.zeros(len(space))
    ends = _reached_classes(closed, initial)
    passed = np.flatnonzero(ends.transient)
    if all(_absorbs(generator, own) for own in ends.members):
        return _Found(generator, passed, _before_absorption(killed, leak_rates, passed, n_modes), None, 0)
    own = max(ends.members, key=len)
    if n_modes > len(own) - 1:
        raise ArgumentError(f"`n_modes` must be less than the number of states {len(own)}, but is {n_modes}.")
    block = closed[own][:, own].tocsr()
    p = null_vector(block).p
    return _Found(generator, own, slowest(Block(block, p, np.zeros(len(own))), n_modes), p, len(passed))


def _reached_classes(matrix: Any, initial: FloatArray) -> Classes:
    """Return the closed classes that the initial states lead to, and the transient states on the way."""
    inside = reached(matrix, initial)
    classes = closed_classes(matrix)
    return Classes(tuple(own for own in classes.members if inside[own].any()), inside & classes.transient)


def _before_absorption(matrix: Any, leak_rates: FloatArray, states: IntArray, n_modes: int) -> Modes:
    """Return the modes on the transient `states` of a generator that ends where it leaves them."""
    if not len(states):
        raise StateSpaceError(
            "Relaxation must be that of several states, but the initial state is absorbing. Start in another one."
        )
    columns = matrix[:, states]
    absorbing = np.ones(matrix.shape[0])
    absorbing[states] = 0.0
    return transient_modes(columns[states].tocsr(), leak_rates[states] + absorbing @ columns, n_modes)


def _answer(model: Model, found: _Found, changes: FloatArray | None, missing: str) -> Relaxation:
    modes, states = found.modes, found.generator.space.states_at(found.members)
    size = np.abs(modes.values)
    notes = [f"{found.n_left_out:,} states that are left for good are left out"] if found.n_left_out else []
    if not found.leaks:
        changes, missing = np.zeros(len(size)), ""
    lost, remarks = found.generator.rate_errors.worst, found.generator.rate_errors.remarks(model)
    errors = None if changes is None or np.isinf(changes).any() else (modes.errors + lost) * size + changes
    confirmed = np.zeros(len(size), dtype=np.bool_)
    if missing:
        notes.append(f"the eigenvalues are estimates: {missing}")
    elif not lost <= SETTLED:
        notes.append(f"the eigenvalues are estimates: {'; '.join(remarks)}")
    elif errors is None:
        notes.append("the eigenvalues are estimates: the space cannot grow")
    else:
        confirmed = errors <= SETTLED * size
    if errors is not None and not (confirmed.all() or missing):
        notes.append(f"eigenvalues with ≈ have relative errors of about {float((errors / size).max()):.1e}")
    ends = np.abs(modes.right[:, 0].real) if found.p is None else None
    return Relaxation(
        modes.values,
        modes.residuals,
        len(states),
        tuple(model.species),
        states,
        modes.right,
        modes.left,
        found.p,
        None if ends is None else ends / ends.sum(),
        errors,
        confirmed,
        tuple(notes),
    )
