"""Keep account of the error of an answer, and of what follows from it.

For any approximation y(t) >= 0 of the solution p(t) of the chemical master equation,

    ||p(t) - y(t)||_1 <= truncation + integration + pruning + rounding,

because the semigroup does not expand the 1-norm.  An `ErrorLedger` holds the terms, an `Interval` what they
imply for one number.  A bound prints with ``≤``, an estimate with ``≈``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fsp.distribution.text import interval, round_up
from fsp.errors import ArgumentError

PARTS = ("truncation", "integration", "pruning", "rounding")
"""The terms of the ledger, in the order in which they are printed."""


@dataclass(frozen=True, slots=True)
class ErrorLedger:
    """Terms of the 1-norm error of a distribution.

    Parameters
    ----------
    truncation
        Probability that left the stored states.
    integration
        Error of the time integrator (or, when stationary, of the linear solver).
    pruning
        Probability removed on purpose: states dropped, negative values clipped.
    rounding
        Floating-point error by a stated model.
    certified
        True only where every term is a bound; False where one of them is an estimate.

    Raises
    ------
    ArgumentError
        If a term is negative or not a number.
    """

    truncation: float = 0.0
    integration: float = 0.0
    pruning: float = 0.0
    rounding: float = 0.0
    certified: bool = True

    def __post_init__(self) -> None:
        for name in PARTS:
            value = float(getattr(self, name))
            if not value >= 0:
                raise ArgumentError(f"`{name}` error must be non-negative, but is {value}.")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "certified", bool(self.certified))

    @property
    def total(self) -> float:
        """Sum of the terms: bounds (certified) or estimates the 1-norm of the error."""
        return math.fsum((self.truncation, self.integration, self.pruning, self.rounding))

    @property
    def terms(self) -> dict[str, float]:
        """The terms by name, in the order in which they are printed."""
        return {name: getattr(self, name) for name in PARTS}

    @property
    def sign(self) -> str:
        """Return ``≤`` for a bound and ``≈`` for an estimate."""
        return "≤" if self.certified else "≈"

    @property
    def summary(self) -> str:
        """The total alone, as in ``error ≤ 1.2e-08``."""
        return f"error {self.sign} {round_up(self.total)}"

    def __add__(self, other: ErrorLedger) -> ErrorLedger:
        if not isinstance(other, ErrorLedger):
            return NotImplemented
        terms = {name: term + other.terms[name] for name, term in self.terms.items()}
        return ErrorLedger(**terms, certified=self.certified and other.certified)

    def __str__(self) -> str:
        parts = [f"{name} {round_up(term)}" for name, term in self.terms.items() if term > 0]
        return f"{self.summary} ({', '.join(parts)})" if parts else self.summary


@dataclass(frozen=True, slots=True)
class Interval:
    """A number together with the range that it lies in.

    Unpacks to its ends, ``lower, upper = interval``; ``x in interval`` and ``float(interval)`` work.

    Parameters
    ----------
    lower, upper
        The ends; infinite where nothing is known.
    value
        The best estimate.
    certified
        True where the exact number is proved to lie between the ends.
    reason
        Why it is not certified.
    """

    lower: float
    upper: float
    value: float
    certified: bool
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:
            ends = f"{self.lower} and {self.upper}"
            raise ArgumentError(f"`lower` must be at most `upper`, but they are {ends}.")

    @property
    def width(self) -> float:
        """Distance between the ends."""
        return self.upper - self.lower

    def __iter__(self) -> Iterator[float]:
        return iter((self.lower, self.upper))

    def __contains__(self, number: float) -> bool:
        return self.lower <= number <= self.upper

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        if self.certified:
            return interval(self.lower, self.upper)
        reason = f": {self.reason}" if self.reason else ""
        return f"≈ {self.value:.6g} (uncertified{reason})"
