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

import numpy as np

from fsp.arithmetic import sum_down, sum_up
from fsp.distribution.display import Displayed
from fsp.distribution.text import interval, round_up
from fsp.errors import ArgumentError

PARTS = ("truncation", "integration", "pruning", "rounding")
"""The terms of the ledger, in the order in which they are printed."""


@dataclass(frozen=True, slots=True)
class ErrorLedger(Displayed):
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

    Examples
    --------
    >>> print(fsp.ErrorLedger(truncation=1e-7) + fsp.ErrorLedger(rounding=2e-12))
    error ≤ 1.1e-07 (truncation 1.0e-07, rounding 2.0e-12)
    """

    truncation: float = 0.0
    integration: float = 0.0
    pruning: float = 0.0
    rounding: float = 0.0
    certified: bool = True

    def __post_init__(self) -> None:
        parts = (self.truncation, self.integration, self.pruning, self.rounding)
        if all(type(part) is float and part >= 0.0 for part in parts) and type(self.certified) is bool:
            return
        for name, part in zip(PARTS, parts, strict=True):
            value = float(part)
            if not value >= 0:
                raise ArgumentError(f"`{name}` error must be non-negative, but is {value}.")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "certified", bool(self.certified))

    @property
    def total(self) -> float:
        """Sum of the terms, rounded up: bounds (certified) or estimates the 1-norm of the error."""
        return sum_up(self.truncation, self.integration, self.pruning, self.rounding)

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
        return ErrorLedger(
            sum_up(self.truncation, other.truncation),
            sum_up(self.integration, other.integration),
            sum_up(self.pruning, other.pruning),
            sum_up(self.rounding, other.rounding),
            self.certified and other.certified,
        )

    def __str__(self) -> str:
        parts = [f"{name} {round_up(term)}" for name, term in self.terms.items() if term > 0]
        return f"{self.summary} ({', '.join(parts)})" if parts else self.summary


@dataclass(frozen=True, slots=True)
class Interval(Displayed):
    """A number together with the range that it lies in.

    Unpacks to its ends, ``lower, upper = interval``; ``x in interval`` asks whether it may be x.
    ``+``, ``-`` and ``*`` give the interval that holds all results, rounded outwards; ``<``, ``<=``, ``>`` and ``>=``
    say what holds for the whole interval, and raise an ArgumentError where that is not decided.
    ``float(interval)`` and ``f"{interval:.3g}"`` are those of `value`.

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

    Examples
    --------
    >>> import fsp
    >>> x = fsp.Interval(0.25, 0.5, value=0.375, certified=True)
    >>> x < 1, f"{1 - x:.2f}"
    (True, '0.62')
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

    @classmethod
    def around(cls, value: float, off: float, certified: bool, reason: str = "") -> Interval:
        """Return the interval of a number that is at most `off` from a value, rounded outwards."""
        return cls(sum_down(value, -off), sum_up(value, off), value, certified, reason)

    @property
    def width(self) -> float:
        """Distance between the ends."""
        return self.upper - self.lower

    def record(self) -> dict[str, float | bool]:
        """Return the ends, the value and whether they are certified, as printed JSON has them."""
        return {"lower": self.lower, "upper": self.upper, "value": self.value, "certified": self.certified}

    def __iter__(self) -> Iterator[float]:
        return iter((self.lower, self.upper))

    def __contains__(self, number: float) -> bool:
        return self.lower <= number <= self.upper

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        return ("" if self.certified else "≈ ") + format(self.value, spec)

    def __neg__(self) -> Interval:
        return Interval(-self.upper, -self.lower, -self.value, self.certified, self.reason)

    def __add__(self, other: Interval | float) -> Interval:
        if (known := _known(other)) is None:
            return NotImplemented
        ends = self.lower + known.lower, self.upper + known.upper
        return self._with(known, ends, self.value + known.value)

    def __sub__(self, other: Interval | float) -> Interval:
        known = _known(other)
        return NotImplemented if known is None else self + -known

    def __rsub__(self, other: float) -> Interval:
        return -self + other

    def __mul__(self, other: Interval | float) -> Interval:
        if (known := _known(other)) is None:
            return NotImplemented
        corners = [a * b if a and b else 0.0 for a in self for b in known]  # what is 0 stays so, whatever is infinite
        return self._with(known, (min(corners), max(corners)), self.value * known.value)

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other: float) -> bool:
        return self._decided("<", other, self.upper < other, self.lower >= other)

    def __le__(self, other: float) -> bool:
        return self._decided("<=", other, self.upper <= other, self.lower > other)

    def __gt__(self, other: float) -> bool:
        return self._decided(">", other, self.lower > other, self.upper <= other)

    def __ge__(self, other: float) -> bool:
        return self._decided(">=", other, self.lower >= other, self.upper < other)

    def _decided(self, sign: str, other: float, holds: bool, fails: bool) -> bool:
        """Return whether a comparison holds for the whole interval; refuse where that is not known."""
        if not (self.certified and (holds or fails)):
            way = "lower `tol`, or compare `.value`" if self.certified else "compare `.value`"
            raise ArgumentError(f"'{self} {sign} {other:.6g}' must be decided, but is not; {way}.")
        return holds

    def _with(self, other: Interval, ends: tuple[float, float], value: float) -> Interval:
        """Return what follows from two numbers, rounded outwards."""
        lower, upper = math.nextafter(ends[0], -math.inf), math.nextafter(ends[1], math.inf)
        certified, reason = self.certified and other.certified, self.reason or other.reason
        return Interval(lower, upper, min(max(value, lower), upper), certified, reason)

    def __str__(self) -> str:
        if self.certified:
            return interval(self.lower, self.upper)
        reason = f": {self.reason}" if self.reason else ""
        return f"≈ {self.value:.6g} (uncertified{reason})"


def _known(number: object) -> Interval | None:
    """Return a number as an interval without width; None where it is none."""
    if isinstance(number, Interval):
        return number
    if isinstance(number, bool) or not isinstance(number, int | float | np.number):
        return None
    return Interval(float(number), float(number), float(number), certified=True)
