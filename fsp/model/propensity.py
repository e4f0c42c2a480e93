"""Propensities of whole arrays of states, each value checked.

States pass in blocks that stay in the processor's cache, so that the temporary arrays of a formula
cost no main-memory traffic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fsp.arrays import FloatArray
from fsp.errors import ModelError
from fsp.model.program import Program, compiled
from fsp.model.reaction import Reaction, takes_time
from fsp.model.tree import Call, Expression, Number, Symbol, call

_STATES_AT_ONCE = 8192  # states in a block: a column of them is 64 KiB
_ASKED_AGAIN = 64  # states, at most, for which a callable is asked twice
_AGREEMENT = 1e-9  # relative, of its two answers, which may differ in rounding


class Columns(dict[str, Any]):
    """The counts of each species in a block of states as float64 columns, made when first asked for."""

    def __init__(self, states: npt.NDArray[Any], index: Mapping[str, int]) -> None:
        super().__init__()
        self.states, self.index = states, index

    def __missing__(self, name: str) -> FloatArray:
        column: FloatArray = self.states[:, self.index[name]].astype(np.float64)  # (n,)
        self[name] = column
        return column


@dataclass(frozen=True, slots=True)
class Propensity:
    """The propensity of one reaction, ready to evaluate."""

    reaction: Reaction  # with its name
    index: Mapping[str, int]  # column of each species
    program: Program  # compiled rate law, of `Columns` and the time
    at_once: bool  # whether the law must see all states at once: a callable is not known to be elementwise
    # smallest count of each species that lets the reaction happen, where the law does not see to it
    needs: tuple[tuple[str, int], ...]
    time_dependent: bool  # whether the time occurs in the law

    def fill(self, out: FloatArray, columns: Columns, t: float, *, checked: bool = True) -> None:
        """Write the propensity of a block of states.

        `out`: where to write, shape (n,).
        """
        out[:] = self.program(columns, t)
        if not checked:
            return
        # written so that NaN, which compares false, fails as well
        if not (out.min() >= 0.0 and out.max() < math.inf):
            bad = np.flatnonzero(~((out >= 0.0) & (out < math.inf)))[0]
            raise ModelError(self._message("be finite and non-negative", out, columns, bad, t) + self._hint(out[bad]))
        for species, least in self.needs:
            column = columns[species]
            if column.min() < least:
                wrong = np.flatnonzero((column < least) & (out > 0.0))
                if wrong.size:
                    must = f"be 0 where the reaction would make '{species}' negative"
                    raise ModelError(self._message(must, out, columns, wrong[0], t) + ".")

    def _message(self, must: str, out: FloatArray, columns: Columns, i: int, t: float) -> str:
        row = columns.states[i]
        state = {name: int(row[j]) for name, j in self.index.items()}
        when = f" at t = {float(t):g}" if self.time_dependent else ""
        return f"Propensity of '{self.reaction.name}' must {must}, but is {out[i]:g} in state {state}{when}"

    def _hint(self, value: float) -> str:
        if self.reaction.reversible:
            return "; the reaction is reversible: write it as two reactions, one for each direction."
        if value == math.inf:
            return "; where a rate is too large for a double, measure time in a smaller unit, or bound the counts."
        return "."


def of_expression(reaction: Reaction, index: Mapping[str, int], expr: Expression, timed: bool) -> Propensity:
    """Return the propensity of a rate law whose symbols are species only."""
    return Propensity(reaction, index, compiled(expr), False, _needs(reaction, _factors(expr)), timed)


def _factors(expr: Expression) -> frozenset[Expression]:
    """Return the factors of a product, the numerator's where it is a quotient."""
    if isinstance(expr, Call) and expr.function == "*":
        return frozenset().union(*map(_factors, expr.arguments))
    if isinstance(expr, Call) and expr.function == "/":
        return _factors(expr.arguments[0])
    return frozenset([expr])


def _needs(reaction: Reaction, factors: frozenset[Expression]) -> tuple[tuple[str, int], ...]:
    """Return the counts to check: those that no factors x, x - 1, … of the law see to."""
    return tuple(
        (species, -n)
        for species, n in reaction.change.items()
        if n < 0 and any(call("-", Symbol(species), Number(float(j))) not in factors for j in range(-n))
    )


def of_callable(
    reaction: Reaction, index: Mapping[str, int], rate: Callable[..., Any], constants: Mapping[str, Any]
) -> Propensity:
    """Return the propensity of a callable, whose faults become errors that name the reaction."""
    timed = takes_time(rate)

    def program(columns: Mapping[str, Any], t: float) -> Any:
        values = {name: columns[name] for name in index}
        values |= {name: c(columns, t) if callable(c) else c for name, c in constants.items()}
        n = len(columns.states) if isinstance(columns, Columns) else 0
        value = _answer(reaction, rate, values, (float(t),) if timed else (), n)
        chosen = _others(n)
        some = {name: v[chosen] if np.shape(v) == (n,) else v for name, v in values.items()}
        again = _answer(reaction, rate, some, (float(t),) if timed else (), len(chosen))
        _check_same(reaction, np.broadcast_to(value, (n,))[chosen], np.broadcast_to(again, (len(chosen),)), n)
        return value

    return Propensity(reaction, index, program, True, _needs(reaction, frozenset()), timed)


def _answer(
    reaction: Reaction, rate: Callable[..., Any], values: Mapping[str, Any], t: tuple[float, ...], n: int
) -> FloatArray:
    """Return what a callable says of n states, () or (n,)."""
    for column in values.values():
        if isinstance(column, np.ndarray):
            column.flags.writeable = False
    try:
        given = np.asarray(rate(MappingProxyType(dict(values)), *t))
        value = given if np.iscomplexobj(given) else given.astype(np.float64)
    except Exception as error:
        kind = type(error).__name__
        raise ModelError(f"Rate of '{reaction.name}' must be computable, but raised {kind}: {error}.") from error
    if np.iscomplexobj(value):
        raise ModelError(f"Rate of '{reaction.name}' must be real, but returned complex numbers.")
    if value.shape not in ((), (n,)):
        raise ModelError(
            f"Rate of '{reaction.name}' must return one value for each of {n} states, or one number, "
            f"but returned shape {value.shape}; write it with numpy operations on whole arrays."
        )
    return value


def _others(n: int) -> npt.NDArray[np.int64]:
    """Return some of n states, in another number than n."""
    return np.zeros(2 * n, dtype=np.int64) if n < 2 else np.arange(0, n, 2 + n // _ASKED_AGAIN)


def _check_same(reaction: Reaction, first: FloatArray, again: FloatArray, n: int) -> None:
    """Raise a `ModelError` unless a callable says the same of some states as it said among all n."""
    same = np.isclose(first, again, rtol=_AGREEMENT, atol=0.0, equal_nan=True)
    if not same.all():
        i = int(np.argmin(same))
        raise ModelError(
            f"Rate of '{reaction.name}' must depend on a state alone, but is {first[i]:.9g} in one of {n} states and "
            f"{again[i]:.9g} in the same one of {len(again)}: it must use no random numbers, no sums over the arrays "
            f"and not their length."
        )


def evaluate_all(
    propensities: tuple[Propensity, ...],
    index: Mapping[str, int],
    states: npt.NDArray[Any],
    t: float,
    *,
    checked: bool = True,
) -> FloatArray:
    """Evaluate propensities on an array of states; values that are no rates are refused where they are `checked`.

    `states`: counts, shape (n, d); returns propensities in 1/time, shape (R, n).
    """
    n, time = len(states), np.float64(t)
    out = np.empty((len(propensities), n))
    if n == 0:
        return out
    step = n if any(p.at_once for p in propensities) else _STATES_AT_ONCE
    with np.errstate(all="ignore"):
        for begin in range(0, n, step):
            columns = Columns(states[begin : begin + step], index)
            for k, propensity in enumerate(propensities):
                propensity.fill(out[k, begin : begin + step], columns, time, checked=checked)
    return out
