"""Committors, rates and reactive currents between two sets of states: `fsp.committor`.

The stationary law is bounded state by state (`fsp.equilibrium.certificate`) on a space that grows; on the same space
linear systems bound the rest (`reactive`), until the rate is known to a relative tolerance, and the committors in the
mean over the stationary law.
"""

from __future__ import annotations

import warnings
from math import inf, isfinite
from typing import TYPE_CHECKING

from fsp import defaults
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.bars import barred, callback, silent
from fsp.distribution import Interval
from fsp.distribution.committor import Committor, ReactiveFlux, StateFunction
from fsp.distribution.distribution import Provenance
from fsp.equilibrium.estimate import check_arguments
from fsp.errors import ToleranceWarning
from fsp.model.arguments import check_call
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.passages import growing_law
from fsp.passages.growing_law import Sharpest, require_room
from fsp.passages.outside import all_jumps, members, paying
from fsp.passages.reactive import Reactive, ReactivePaths
from fsp.passages.stationary_law import StationaryLawCertifier, met
from fsp.passages.targets import Targets
from fsp.projection.growth import Growth, most_states
from fsp.projection.progress import ProgressCallback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.passages.targets import Condition
    from fsp.space.base import BaseSpace


@barred()
def committor(
    model: Model,
    A: Condition,
    B: Condition,
    *,
    tol: float = defaults.TOL,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Committor:
    """Find how a network at rest goes from one set of states to another: committors, rate, currents.

    Parameters
    ----------
    model
        The reaction network, with constant propensities.
    A, B
        Conditions that exclude each other: formulas of species such as ``"U > 30 && V < 5"``, or functions that take
        the counts of each species by name, (n,) floats, and return (n,) booleans.
    tol
        Bound of the error of the rate, relative, and of the committors, absolute, in the mean over the stationary law.
    max_states
        Limit on the number of states.
    progress
        True for a bar, in a notebook and on a terminal; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Committor
        ``.q(state)``, the probability of coming to B before A; `backward`, that of having left A last; `rate`, the mean
        number of ways from A to B per unit of time; `flux`, their currents, 1/time.  Where the stationary law cannot be
        bounded, all but `forward` are estimates, and say so.

    Raises
    ------
    ArgumentError
        If `A` or `B` is no condition, both hold in one state, or another argument is not as above.
    BackendError
        If propensities depend on time, or events happen at known times.
    StateSpaceError
        If there is no stationary law, or it needs too many states.
    ConvergenceError
        If linear systems have no solution in double precision.

    Warns
    -----
    ToleranceWarning
        If the bounds are wider than `tol`.

    References
    ----------
    P. Metzner, Ch. Schütte, E. Vanden-Eijnden, Multiscale Model. Simul. 7 (2009) 1192, doi:10.1137/070699500.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="piecewise(1, X < 2, 0)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    ... )
    >>> ways = fsp.committor(model, "X == 0", "X == 2")
    >>> print(f"{ways.q([1]):.6f}, {ways.rate:.6f}")
    0.500000, 0.200000
    """
    check_call(model, max_states=max_states, progress=progress)
    check_arguments(model, tol)
    targets = Targets.read(model, {"A": A, "B": B}, "`A` and `B`")
    targets.hold(model.initial_states)
    limit = max_states or most_states(model)
    report = callback(progress) or silent
    names = tuple(c if isinstance(c, str) else name for name, c in zip("AB", (A, B), strict=True))
    try:
        ways = _proved(model, targets, tol, limit, report)
    except NoDriftCondition as missing:
        rest = growing_law.estimated(model, tol, limit, str(missing))
        ways = ReactivePaths(rest, targets).solved((True, True), None)
    return _answer(model, ways, (names[0], names[1]), tol, _unmet(model, targets, ways, names))


def _unmet(model: Model, targets: Targets, ways: Reactive, names: Sequence[str]) -> list[str]:
    """Say which conditions no state fulfils, as far as is known: what is asked of them is then mostly a slip."""
    generator, notes = ways.generator, list[str]()
    for k, name in enumerate(names):
        if targets.holds(k, generator.space.states).any():
            continue
        are_all = not generator.leak_rates.any() or members(model, targets, k) is not None
        which = "that can be reached" if are_all else "stored"
        notes.append(f"no state {which} fulfils {name}; check the condition")
    return notes


def _proved(model: Model, targets: Targets, tol: float, limit: int, report: ProgressCallback) -> Reactive:
    condition = None if model.is_finite else drift_condition(model)
    growth = Growth(model, limit, None, stationary=True)
    certifier = _Certifier(model, targets, condition)
    wanted = certifier.wanted()
    require_room(growth, wanted)
    begun = growing_law.solved(model, condition, tol, growth, report).generator.space
    sharpest = Sharpest(_width, tol, report, "committor", outside=True)
    best = sharpest.on(growth, growth.with_states(begun, wanted), certifier.attempt)
    if sharpest.width > tol:
        warnings.warn(
            f"The bounds are {sharpest.width:.1e} wide, above tol = {tol:.1e}; raise `max_states` or `tol`.",
            ToleranceWarning,
            stacklevel=4,
        )
    return best


class _Certifier:
    """Bound the ways of one network on one space after another."""

    def __init__(self, model: Model, targets: Targets, condition: DriftCondition | None) -> None:
        self._targets = targets
        self._rest = StationaryLawCertifier(model, condition)
        self._members = [members(model, targets, j) for j in (0, 1)]
        self._contained = self._members[0] is not None, self._members[1] is not None
        self._outer: DriftCondition | None = None
        if condition is not None and not any(self._contained):
            self._outer = paying(model, condition, all_jumps(model))

    def wanted(self) -> IntArray:
        """Return states that have to be stored, (k, d)."""
        return self._rest.excepted([self._outer], *self._members)

    def attempt(self, space: BaseSpace, guess: FloatArray | None) -> Reactive:
        """Solve on those states of a space that may be reached; `guess` (n,) is the stationary law so far."""
        rest = self._rest.attempt(space, guess)
        return ReactivePaths(rest, self._targets).solved(self._contained, met(self._outer, space, rest.generator))


def _width(ways: Reactive) -> float:
    """Return the largest width of what is asked for; of a rate without a way inside, relative to that of all jumps."""
    p, (low, high) = ways.rest.p, ways.rate
    of_rate = 0.0 if high == 0.0 else (high - low) / low if low > 0.0 else inf
    if low == 0.0 and 0.0 < high < inf and ways.rest.outside <= UNIT_ROUNDOFF:
        of_rate = high / float(p @ ways.generator.exit_rates)
    known = ways.backward[1] - ways.backward[0] < 1.0  # else neither set was ever visited, for all that is known
    of_forward = float(p @ (ways.forward[1] - ways.forward[0]))
    of_backward = float((p * known) @ (ways.backward[1] - ways.backward[0]))
    return max(of_rate, of_forward, of_backward)


def _answer(model: Model, ways: Reactive, names: tuple[str, str], tol: float, unmet: list[str]) -> Committor:
    rest = ways.rest
    species, states = model.species, rest.generator.space.states
    sources, targets, (low, high) = ways.currents()

    def function(ends: FloatArray, certified: bool) -> StateFunction:
        return StateFunction(species, states, ends[0], ends[1], certified, "" if certified else rest.reason)

    def number(ends: tuple[float, float]) -> Interval:
        middle = 0.5 * (ends[0] + ends[1]) if isfinite(ends[1]) else ends[0]
        known = isfinite(ends[1])
        reason = rest.reason or ("" if known else "what happens at states that are not stored is not known")
        return Interval(*ends, middle, rest.certified and known, reason)

    return Committor(
        names,
        tol,
        function(ways.forward, certified=True),
        function(ways.backward, certified=rest.certified),
        number(ways.rate),
        number(ways.share),
        number(ways.reactive),
        ReactiveFlux(species, states, sources, targets, low, high, rest.certified),
        **Provenance.of(model),
        notes=(*([f"the stationary law is an estimate: {rest.reason}"] if rest.reason else []), *unmet),
    )
