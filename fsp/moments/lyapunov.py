"""Where a chain is driven back to: functions whose drift is negative outside a finite set of states.

For g >= 0 that tends to infinity, let A g(x) = Σ_k a_k(x) (g(x + ν_k) - g(x)) be its drift.  A `DriftCondition` says
that A g <= -γ at all states but finitely many, which it lists with their drifts.  Outside a finite region that is
proved in rationals (`drift_proof`); inside, drifts are computed from the rates themselves (`drift_values`).

References
----------
S. P. Meyn, R. L. Tweedie, Stability of Markovian processes III, Adv. Appl. Probab. 25 (1993) 518, doi:10.2307/1427522.
T. Dayar, H. Hermanns, D. Spieler, V. Wolf, Bounding the equilibrium distribution of Markov population models, Numer.
Linear Algebra Appl. 18 (2011) 931, doi:10.1002/nla.795.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.errors import ArgumentError, ModelError
from fsp.model import Model
from fsp.model.expression import depends_on_time, symbols
from fsp.model.formula import parse
from fsp.moments import quadratic
from fsp.moments.drift import exact_weights, linear_weights
from fsp.moments.drift_proof import Proof, Prover, is_power
from fsp.moments.drift_values import NO_COST, Drifts, evaluate, is_listable, lattice
from fsp.moments.envelope import envelope
from fsp.moments.polynomial import Polynomial, linear, scaled, shifted
from fsp.moments.rates import affine_parts, reasons

_MANY_EXCEPTED = 10_000  # excepted states, beyond which a quadratic function is tried
_LISTED = 5_000_000  # states that a condition may list
_DRIFTS_AT_ONCE = 1 << 17  # states at once: their drifts take a few MB for each reaction
_MULTIPLES = (Fraction(3, 2), Fraction(3))  # of a function of which a little more than one does far out
_SLOPES = (1.0, 0.5, 0.1)  # of a rate of decay


@dataclass(frozen=True, eq=False)
class DriftCondition:
    """A function g >= 0 with ``A g <= -elsewhere`` at all states but the listed ones."""

    # g in falling powers of x - centre: without negative coefficients and with a power of each species that has no
    # largest count, or a positive definite quadratic form
    function: Polynomial
    states: IntArray  # (n, d) the states that are excepted
    drifts: FloatArray  # (n,) upper bounds of A g there, 1/time
    elsewhere: float  # γ > 0, 1/time
    centre: IntArray  # (d,) whole numbers
    precision: float = 1e-14  # relative error of `values`

    def values(self, states: IntArray) -> FloatArray:
        """Return g at states (m, d)."""
        return np.maximum(evaluate(self.function, states - self.centre), 0.0)


class NoDriftCondition(Exception):  # noqa: N818 - says why, to a caller that has something else to offer
    """No function was found or none of the right kind given."""


def drift_condition(model: Model, lyapunov: str | None = None) -> DriftCondition:
    """Find a function whose drift is negative outside a finite set."""
    search = _LyapunovSearch(model)
    if model.is_finite:
        raise NoDriftCondition("all states have to be stored where there are finitely many")
    functions = search.candidates() if lyapunov is None else [search.read(lyapunov)]
    proofs = [proof for proof in map(search.prover.prove, functions) if proof is not None]
    conditions: list[DriftCondition] = []
    for proof in sorted(proofs, key=lambda proof: proof.size)[:3]:
        condition = search.listed(proof)
        if condition is not None:
            conditions.append(condition)
    if lyapunov is None and min((len(condition.states) for condition in conditions), default=0) > _MANY_EXCEPTED:
        conditions += search.quadratic()
    if conditions:
        return min(conditions, key=lambda condition: len(condition.states))
    given = f"the drift of '{lyapunov}' could not be shown to be negative outside a finite set"
    raise NoDriftCondition(given if lyapunov is not None else reasons(search.prover.rates))


def costly_condition(model: Model, function: Polynomial, cost: Polynomial) -> DriftCondition | None:
    """Prove ``A f + cost <= -γ`` of a multiple f of a function, outside a finite set; None where that fails.

    The drifts of the condition hold the cost.
    """
    search = _LyapunovSearch(model, cost)
    proofs = (search.prover.prove(scaled(function, factor)) for factor in _MULTIPLES)
    conditions = (search.listed(proof) for proof in proofs if proof is not None)
    return next((condition for condition in conditions if condition is not None), None)


def common_condition(models: Sequence[Model]) -> DriftCondition:
    """Find a function whose drift is negative outside a finite set by the rates of each of several networks.

    They have the same reactions.  The drift is linear in rates, and so lies below the largest of theirs by any rates
    between.
    """
    searches = [_LyapunovSearch(model) for model in models]
    best: DriftCondition | None = None
    for function in {str(f): f for search in searches for f in search.candidates()}.values():
        conditions = []
        for search in searches:
            proof = search.prover.prove(function)
            condition = None if proof is None else search.listed(proof)
            if condition is None:
                break
            conditions.append(condition)
        if len(conditions) == len(searches):
            joined = _joined(conditions)
            best = joined if best is None or len(joined.states) < len(best.states) else best
    if best is None:
        raise NoDriftCondition(reasons(searches[0].prover.rates))
    return best


def _joined(conditions: Sequence[DriftCondition]) -> DriftCondition:
    """Return what holds by the rates of several conditions of one function: the largest drift in each state."""
    stacked = np.concatenate([condition.states for condition in conditions])
    states, place = np.unique(stacked, axis=0, return_inverse=True)
    listed = np.full((len(conditions), len(states)), -np.inf)
    begin = 0
    for row, condition in zip(listed, conditions, strict=True):
        row[:] = -condition.elsewhere
        row[place.reshape(-1)[begin : begin + len(condition.states)]] = condition.drifts
        begin += len(condition.states)
    first = conditions[0]
    return DriftCondition(
        first.function,
        states,
        listed.max(axis=0),
        min(condition.elsewhere for condition in conditions),
        first.centre,
        max(condition.precision for condition in conditions),
    )


class _LyapunovSearch:
    """Propose functions and prove their drifts, which hold a `cost` where there is one."""

    def __init__(self, model: Model, cost: Polynomial = NO_COST) -> None:
        self._model, self._drifts = model, Drifts(model, cost)
        self._largest = model.species_bounds  # (d,)
        self.prover = Prover(model, cost)

    def candidates(self) -> list[Polynomial]:
        """Return linear functions by linear programmes, and the sum of the unbounded species."""
        functions = []
        for chosen in (self.prover.rates, [rate for rate in self.prover.rates if not rate.superlinear]):
            for slope in self._slopes():
                rough = linear_weights(
                    chosen, self.prover.free, -slope, 1.0 / slope, np.zeros(len(self._largest)), self._largest
                )
                weights = None if rough is None else exact_weights(rough, chosen, self.prover.free[0])
                if weights is not None and all(weights[i] > 0 for i in self.prover.free):
                    functions.append(weights)
        functions.append(tuple(Fraction(int(i in self.prover.free)) for i in range(len(self._largest))))
        return [linear(weights) for weights in dict.fromkeys(functions)]

    def _slopes(self) -> list[float]:
        """Return rates of decay to ask for, 1/time."""
        losses = set()
        for rate in self.prover.rates:
            if not rate.superlinear:
                _, slopes = affine_parts(rate.upper or {}, len(self._largest))
                losses |= {float(c) for step, c in zip(rate.change, slopes, strict=True) if step < 0 and c > 0}
        least = sorted(losses)[:2]
        return sorted({share * loss for loss in least for share in _SLOPES}, reverse=True)

    def read(self, lyapunov: str) -> Polynomial:
        """Read a function that a user gives."""
        try:
            tree = parse(lyapunov, what="lyapunov")
        except ModelError as error:
            raise ArgumentError(str(error)) from error
        unknown = sorted(symbols(tree) - set(self._model.species))
        if unknown or depends_on_time(tree):
            raise ArgumentError(
                f"`lyapunov` must be a formula of {', '.join(self._model.species)}, but is '{lyapunov}'."
            )
        function = envelope(tree, self._model.species).polynomial
        if function is None or any(c < 0 for c in function.values()):
            raise ArgumentError(
                f"`lyapunov` must be a polynomial without negative terms, such as 'U^2 + 3*V', but is '{lyapunov}'."
            )
        for i in self.prover.free:
            if not any(is_power(alpha, i) for alpha in function):
                raise ArgumentError(
                    f"`lyapunov` must grow with every species that has no largest count, but '{lyapunov}' has no power "
                    f"of {self._model.species[i]} alone."
                )
        return function

    def listed(self, proof: Proof) -> DriftCondition | None:
        """Compute the drifts inside the region; None where it is too large, or has states without rates."""
        states = lattice(proof.caps, proof.slopes, proof.cut)
        if states is None:
            return None
        kept, drifts = [], []
        gamma = float(proof.elsewhere) * (1 - 1e-12)
        for block in np.array_split(states, len(states) // _DRIFTS_AT_ONCE + 1):
            chosen = block[self._drifts.allowed(block)]
            if proof.image is not None:  # most states of a box are settled by the polynomial
                size = evaluate({alpha: abs(c) for alpha, c in proof.image.items()}, chosen)
                chosen = chosen[evaluate(proof.image, chosen) > -gamma - 1e-12 * size]
            try:
                drifts_there = self._drifts.at(proof.function, chosen)
            except ModelError:
                return None
            above = drifts_there > -gamma
            kept.append(chosen[above])
            drifts.append(drifts_there[above])
        listed = np.concatenate(kept)
        if len(listed) > _LISTED:
            return None
        nowhere = np.zeros(len(proof.caps), dtype=np.int64)
        return DriftCondition(proof.function, listed, np.concatenate(drifts), gamma, nowhere)

    def quadratic(self) -> list[DriftCondition]:
        """Return a condition with a quadratic form where all propensities are affine and no species is bounded."""
        proposed = quadratic.propose(self.prover.rates) if len(self.prover.free) == len(self._largest) else None
        if proposed is None:
            return []
        mean, covariance, P = proposed
        centre = np.round(mean).astype(np.int64)
        function = quadratic.form(P, centre)
        image = self.prover.image(function, None)
        box = None if image is None else quadratic.enclose(function, image, P, centre, covariance)
        if box is None:
            return []
        elsewhere = float(box.elsewhere) * (1 - 1e-12)
        # counts on their axes and stacked, and for each reaction a propensity, its error and what they are made of
        numbers = 2 * len(self._largest) + 4 * self._model.n_reactions
        if not is_listable(math.prod((box.upper - box.lower + 1.0).tolist()), numbers):
            return []
        sides = [np.arange(low, high + 1) for low, high in zip(box.lower, box.upper, strict=True)]
        states = np.stack([axis.ravel() for axis in np.meshgrid(*sides, indexing="ij")], axis=1)
        drifts = self._drifts.at(function, states)
        above = drifts > -elsewhere
        local = shifted(function, centre.tolist())
        return [DriftCondition(local, states[above], drifts[above], elsewhere, centre, box.precision)]
