"""How a network relaxes: the slowest eigenvalues of its generator, and their modes.

On the states that hold the stationary distribution the eigenvalues of the generator are 0 = λ₁ > Re λ₂ ≥ …; a deviation
from the stationary distribution decays like ``exp(λ₂ t)`` in the end.  States that are left for good are left out.
Where all ways end in single states the eigenvalues are those on the others: minus the decay rate, whose vector is the
quasi-stationary distribution, and the following ones (`fsp.chains.transient_modes`).

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
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.bars import silent
from fsp.chains.chain import led_back
from fsp.chains.classes import Classes, close_leaks, closed_classes, reached
from fsp.chains.modes import CommunicatingClass, Modes, slowest
from fsp.chains.null_vectors import null_vector
from fsp.chains.transient_modes import transient_modes
from fsp.checks import check_whole
from fsp.defaults import MODES
from fsp.distribution import ErrorLedger
from fsp.distribution.relaxation import EigenvalueErrors, Relaxation
from fsp.equilibrium.certified import StationaryCertifier
from fsp.equilibrium.estimate import check_arguments
from fsp.equilibrium.growth_loop import NextSpace, grow_until
from fsp.equilibrium.mode_bounds import radii
from fsp.equilibrium.stationary import stationary
from fsp.errors import ArgumentError, StateSpaceError, ToleranceWarning
from fsp.generator import Generator
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.projection.backend import serial
from fsp.projection.growth import Growth, starting_vector
from fsp.projection.progress import Progress
from fsp.space import StateSpace

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import ComplexArray, FloatArray, IntArray
    from fsp.generator.base import BaseGenerator
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback
    from fsp.space.base import BaseSpace

SETTLED_EIGENVALUE = 1e-6  # relative error of an eigenvalue that is printed without ≈
STALLED = 8  # growths of the space after which the eigenvalues change no less
GROWN_STATES = 30_000  # beyond which a space that was larger at first is grown once, and others no more


@dataclass(frozen=True, slots=True, eq=False)
class ModesOnSpace:
    """The modes on one space; vectors are those of this process's own states."""

    generator: BaseGenerator
    members: IntArray  # which of the states the modes are on, (m,)
    n_states: int  # number of these, of all processes
    modes: Modes  # in falling order of the real parts of their eigenvalues
    stationary: FloatArray | None = None  # vector on the members, (m,), where it was computed
    absorbed: bool = False  # whether the chain ends outside the members
    n_left_out: int = 0  # states on the way from the initial ones that are left for good

    @property
    def leaks(self) -> bool:
        """Whether the states have a way out of the space."""
        generator = self.generator
        return generator.space.comm.any(bool(generator.leak_rates[self.members].any()))

    @property
    def weight(self) -> FloatArray:
        """Where the modes are, (n,)."""
        weight = np.zeros(len(self.generator.leak_rates))
        right = np.abs(self.modes.right)
        weight[self.members] = (right / self.generator.space.comm.sum(right.sum(axis=0))).sum(axis=1)
        return weight

    @property
    def p(self) -> FloatArray:
        """Nothing: the modes on one space do not begin with those on another."""
        return np.zeros(len(self.generator.leak_rates))

    def answer(self, changes: FloatArray | None, missing: str) -> Relaxation:
        """Return the modes with what is known of their errors.

        `changes` (n_modes,) are those of the eigenvalues when the space grew last, and `missing` what keeps them from
        being those of the network.
        """
        modes, generator = self.modes, self.generator
        size = np.abs(modes.values)
        notes = [f"{self.n_left_out:,} states that are left for good are left out"] if self.n_left_out else []
        if not self.leaks:
            changes, missing = np.zeros(len(size)), ""
        lost, remarks = generator.rate_errors.worst, generator.rate_errors.remarks(generator.model)
        errors = None if changes is None or np.isinf(changes).any() else (modes.errors + lost) * size + changes
        confirmed = np.zeros(len(size), dtype=np.bool_)
        if missing:
            notes.append(f"the eigenvalues are estimates: {missing}")
        elif not lost <= SETTLED_EIGENVALUE:
            notes.append(f"the eigenvalues are estimates: {'; '.join(remarks)}")
        elif errors is None:
            notes.append("the eigenvalues are estimates: the space cannot grow")
        else:
            confirmed = errors <= SETTLED_EIGENVALUE * size
        if errors is not None and not (confirmed.all() or missing):
            notes.append(f"eigenvalues with ≈ have relative errors of about {float((errors / size).max()):.1e}")
        ends = np.abs(modes.right[:, 0].real) if self.absorbed else None
        return Relaxation(
            modes.values,
            modes.residuals,
            self.n_states,
            tuple(generator.model.species),
            generator.space.states_at(self.members),
            modes.right,
            modes.left,
            self.stationary,
            None if ends is None else ends / ends.sum(),
            EigenvalueErrors(errors, confirmed),
            tuple(notes),
        )


def relaxation(
    model: Model,
    n_modes: int | None,
    tol: float,
    *,
    space: StateSpace | None,
    max_states: int,
    max_memory: int | None,
    report: ProgressCallback | None = None,
) -> Relaxation:
    """Do the work of `fsp.relaxation` in one process."""
    check_question(model, n_modes, tol)
    growth = Growth(model, max_states, max_memory, stationary=True)
    if space is not None:
        return _modes_on(model, n_modes, None, growth.checked(space)).answer(None, "the boundary of `space` reflects")
    begin, mode, missing = _beginning(model, growth, tol, max_states, max_memory, report)
    spectrum, changes = converged_modes(growth, begin, partial(_modes_on, model, n_modes, mode), report)
    states = spectrum.generator.space.states_at(spectrum.members)
    around = radii(model, growth, states, spectrum.modes.values, absorbed=spectrum.absorbed, closed=not spectrum.leaks)
    answer = spectrum.answer(changes, missing)
    return replace(answer, known=replace(answer.known, radii=around))


def check_question(model: Model, n_modes: int | None, tol: float) -> None:
    """Raise an error unless so many modes can be asked for."""
    check_arguments(model, tol)
    if n_modes is not None:
        check_whole("n_modes", n_modes, 1)


def _beginning(
    model: Model,
    growth: Growth,
    tol: float,
    max_states: int,
    max_memory: int | None,
    report: ProgressCallback | None,
) -> tuple[StateSpace, IntArray, str]:
    """Return a space that holds all slow modes, as far as is known, its most probable state, and what is not known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)
        rest = stationary(model, tol, max_states=max_states, max_memory=max_memory, progress=report)
    missing = "" if rest.error.certified else "the stationary distribution is an estimate"
    space = serial(growth.first()).union(StateSpace.from_states(model.species, rest.states))
    if not model.is_finite:
        try:
            excepted = StationaryCertifier(model, drift_condition(model, None), "auto", tol).excepted()
            if not growth.affords(len(excepted)):
                raise NoDriftCondition(f"the drift condition needs {len(excepted):,} states")
            space = growth.with_states(space, excepted)
        except NoDriftCondition as failure:
            missing = missing or str(failure)
    return space, rest.states[[int(np.argmax(rest.probabilities))]], missing


# ---- on a space that grows


def converged_modes(
    growth: Growth,
    space: BaseSpace,
    modes_on: Callable[[Any], ModesOnSpace],
    report: ProgressCallback | None = None,
) -> tuple[ModesOnSpace, FloatArray]:
    """Grow the space until the eigenvalues settle, or no longer come closer; return them, and how they changed last."""
    criterion = _Eigenvalues(max(GROWN_STATES, len(space)), report or silent)
    return grow_until(growth, space, lambda space, _: modes_on(space), criterion), criterion.changes


class _Eigenvalues:
    """Ends where the eigenvalues have settled, or do not; what was seen will do where the limits are reached."""

    suffices = True

    def __init__(self, limit: int, report: ProgressCallback) -> None:
        self._max_states = limit  # states, beyond which the space is grown no more
        self._report = report
        self._before: ComplexArray | None = None
        self._least, self._since = np.inf, 0
        self.changes: FloatArray = np.full(1, np.inf)

    def judge(self, candidate: ModesOnSpace, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on; None to end."""
        values = _folded(candidate.modes.values)
        if self._before is not None and len(self._before) == len(values):
            self.changes = np.abs(values - self._before)
            relative = float((self.changes / np.abs(values)).max())
            self._since = 0 if relative < self._least else self._since + 1
            self._least = min(self._least, relative)
        self._before = values
        space = candidate.generator.space
        with space.comm.agree():
            if space.comm.rank == 0:
                self._report(Progress(None, None, len(space), float(self.changes.max()), "modes"))
        done = self._least <= SETTLED_EIGENVALUE or self._since >= STALLED or len(space) > self._max_states
        if done or not candidate.leaks:
            return None
        return NextSpace(ErrorLedger(truncation=2.0, certified=False), everywhere=True)


def _folded(values: ComplexArray) -> ComplexArray:
    """Return the one of each pair of conjugates that lies above: which comes first is chance."""
    return values.real + 1j * np.abs(values.imag)


# ---- on one space


def several_classes(n: int) -> StateSpaceError:
    """Return the error of a chain that ends in several closed classes."""
    return StateSpaceError(
        f"Relaxation must be that of one closed class, but {n} of them are reached, each of which relaxes on its own. "
        f"Start in a state that leads to one of them only."
    )


def _absorbs(generator: Generator, members: IntArray) -> bool:
    return len(members) == 1 and not generator.leak_rates[members].any()


def _modes_on(model: Model, n_modes: int | None, mode: IntArray | None, space: BaseSpace) -> ModesOnSpace:
    """Return the modes on a space whose leaks are led back to the state `mode`, or reflected where there is none."""
    space = serial(space)
    generator = Generator(model, space)
    initial, leak_rates = starting_vector(model, space), generator.leak_rates
    matrix = generator.to_csr()
    reflecting = (matrix + sparse.diags_array(leak_rates)).tocsr()
    ends = _reached_classes(reflecting, initial)
    certifier = StationaryCertifier(model, None, "auto", 1.0)
    apart = certifier.separate(generator, ends).members  # others are pockets of the space
    if len(apart) > 1 and not all(_absorbs(generator, members) for members in apart):
        raise several_classes(len(apart))
    if mode is not None:
        closed, killed = led_back(matrix, leak_rates, int(space.index(mode)[0])), matrix
    else:
        back = (initial > 0.0) & np.any([certifier.onward(generator, members) for members in ends.members], axis=0)
        closed = killed = close_leaks(matrix, leak_rates, initial) if back.any() else reflecting
        leak_rates = np.zeros(len(space))
    ends = _reached_classes(closed, initial)
    passed = np.flatnonzero(ends.transient)
    if all(_absorbs(generator, members) for members in ends.members):
        modes = _before_absorption(killed, leak_rates, passed, n_modes)
        return ModesOnSpace(generator, passed, len(passed), modes, absorbed=True)
    members = max(ends.members, key=len)
    n_modes = min(MODES, len(members) - 1) if n_modes is None else n_modes
    if n_modes > len(members) - 1:
        raise ArgumentError(f"`n_modes` must be less than the number of states {len(members)}, but is {n_modes}.")
    block = closed[members][:, members].tocsr()
    p = null_vector(block).p
    modes = slowest(CommunicatingClass(block, p, np.zeros(len(members))), n_modes)
    return ModesOnSpace(generator, members, len(members), modes, p, n_left_out=len(passed))


def _reached_classes(matrix: Any, initial: FloatArray) -> Classes:
    """Return the closed classes that the initial states lead to, and the transient states on the way."""
    inside = reached(matrix, initial)
    classes = closed_classes(matrix)
    return Classes(tuple(members for members in classes.members if inside[members].any()), inside & classes.transient)


def _before_absorption(matrix: Any, leak_rates: FloatArray, states: IntArray, n_modes: int | None) -> Modes:
    """Return the modes on the transient `states` of a generator that ends where it leaves them."""
    if not len(states):
        raise StateSpaceError(
            "Relaxation must be that of several states, but the initial state is absorbing. Start in another one."
        )
    columns = matrix[:, states]
    absorbing = np.ones(matrix.shape[0])
    absorbing[states] = 0.0
    return transient_modes(columns[states].tocsr(), leak_rates[states] + absorbing @ columns, n_modes)
