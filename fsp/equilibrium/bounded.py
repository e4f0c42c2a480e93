"""Stationary answers on a space: proved or not yet, or known but for rounding and what is not stored."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP, UNIT_ROUNDOFF, sum_rounding
from fsp.distribution import Distribution, ErrorLedger
from fsp.errors import ConvergenceError, ToleranceWarning
from fsp.generator import Generator
from fsp.space import StateSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.model import Model

NOTHING_KNOWN = 1.0  # error of no answer: half of what any two distributions may differ by; chosen
FLUSHED = 1e-305  # weights below, which may have lost digits, are taken for zero
MOST_LISTED = 24  # closed classes with a line of their own; chosen: as many as fit a screen
LEAST_BOUND = 1e-280  # above all probabilities that are taken for zero, which lie below 1e-305


@dataclass(frozen=True, slots=True, eq=False)
class Bounded:
    """An answer on a space."""

    generator: Generator
    p: FloatArray  # (n,) probabilities
    lower: FloatArray  # (n,) bounds of each
    upper: FloatArray
    error: ErrorLedger  # the bounds; infinite truncation where nothing is proved
    weight: FloatArray  # (n,) where probability flows out from
    notes: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether there is a bound."""
        return bool(np.isfinite(self.error.total))


def with_start(bounded: Bounded, *, several: bool) -> Bounded:
    """Return an answer with what the probabilities of the initial states lack to one: it may be anywhere.

    Where all of the initial states lead to the same class, and not to `several`, that is what their laws leave out.
    """
    model = bounded.generator.model
    lacking = abs(1.0 - math.fsum(model.initial_probabilities.tolist())) if several else model.start_lacks
    if not lacking:
        return bounded
    lower, upper = np.maximum(bounded.lower - lacking, 0.0), np.minimum(bounded.upper + lacking, 1.0)
    return replace(bounded, lower=lower, upper=upper, error=bounded.error + ErrorLedger(rounding=lacking))


@dataclass(frozen=True, slots=True, eq=False)
class ExactPart:
    """The stored part of a closed class whose distribution is known up to a factor."""

    space: StateSpace
    p: FloatArray  # (n,) probabilities, of mass ``1 / (1 + missing)``
    missing: float  # bound of what is not stored, relative to what is
    off: FloatArray  # (n,) relative error of each before they were divided by their sum


def joined_parts(model: Model, parts: Sequence[tuple[ExactPart, float]], note: str) -> Bounded:
    """Return the answer that consists of closed classes with the probabilities of starting there.

    With e(x) the relative error of a weight w(x), and ε that of their sum, the mean of e,

    (1) π(x) >= p(x)/((1 + e)(1 + ε)), as p = w/(Σw (1 + missing));
    (2) π(x) <= p(x) (1 + missing)(1 + e)(1 + ε), where e ε <= e + ε, since Σ w/(1 + e) >= Σw/(1 + ε).
    """
    space = StateSpace.from_states(model.species, np.concatenate([part.space.states for part, _ in parts]))
    p, lower, upper = np.zeros(len(space)), np.zeros(len(space)), np.zeros(len(space))
    error, classes = ErrorLedger(), []
    for part, weight in parts:
        place = space.index(part.space.states)
        mean = float(part.p @ part.off) / float(part.p.sum()) * ROUNDED_UP  # of the sum of the weights
        rounding = 4.0 * UNIT_ROUNDOFF + _rounding_of_mass(len(part.p))
        off = part.off + mean + rounding
        p[place] += weight * part.p
        lower[place] += weight * part.p / ((1.0 + part.off) * (1.0 + mean) * (1.0 + 2.0 * rounding))  # (1)
        upper[place] += weight * (part.p * (1.0 + part.missing) * (1.0 + 2.0 * off) + LEAST_BOUND)  # (2)
        error += ErrorLedger(weight * part.missing, 0.0, 0.0, weight * 2.0 * float(part.p @ off))
        classes.append((f"closed class around ({example(part.space, int(np.argmax(part.p)))})", weight))
    notes = (note, *class_notes(classes))
    joined = Bounded(Generator(model, space), p, lower, np.minimum(upper, 1.0), error, p, notes)
    return with_start(joined, several=len(parts) > 1)


def _rounding_of_mass(n: int) -> float:
    """Bound the relative rounding of the sum of n weights."""
    return min(sum_rounding(n), (n - 1) * UNIT_ROUNDOFF)


def class_notes(classes: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """Return a line for each closed class and its probability; one for all where they are many, none for a single."""
    lines = [f"{text}, probability {weight:.6g}" for text, weight in classes]
    if len(lines) <= MOST_LISTED:
        return tuple(lines) if len(lines) > 1 else ()
    likeliest = max(range(len(lines)), key=lambda i: classes[i][1])
    return (f"{len(lines):,} closed classes, of which the likeliest is a {lines[likeliest]}",)


def warn_if_above(bounded: Bounded, tol: float, stacklevel: int) -> None:
    """Warn where the bound is above the tolerance, and name a rate that loses digits; not where a refusal follows."""
    if bounded.error.total <= tol or not bounded.error.total < NOTHING_KNOWN:
        return
    why = "".join(f"; {remark}" for remark in bounded.generator.rate_errors.remarks(bounded.generator.model))
    warnings.warn(f"The bound {bounded.error} exceeds tol = {tol:.1e}{why}.", ToleranceWarning, stacklevel=stacklevel)


def example(space: StateSpace, index: int) -> str:
    """Return a state as text, ``U=3, V=0``."""
    state = space.states_at(np.array([index]))[0]
    return ", ".join(f"{name}={x}" for name, x in zip(space.species, state, strict=True))


def known_in_part(answer: Distribution, *, fixed: bool) -> Distribution:
    """Return an answer, or refuse one, unless its space was `fixed`, whose estimated error tells nothing."""
    if not (fixed or answer.error.total < NOTHING_KNOWN):
        named = "error bound" if answer.error.certified else "estimated error"
        raise ConvergenceError(
            f"A stationary distribution must be known in part, but its {named} is {answer.error.total:.1e} of "
            f"at most 2: {'; '.join(answer.notes)}. Give a `space` to see the answer on it."
        )
    return answer
