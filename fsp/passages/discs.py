"""Discs of the complex plane that hold a number: sums, products and quotients, rounded outwards."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from fsp.arithmetic import UNIT_ROUNDOFF

COMPLEX_ROUNDING = 8.0 * UNIT_ROUNDOFF  # relative, of a complex product or quotient, and of the radii that are added


@dataclass(frozen=True, slots=True)
class Disc:
    """All numbers at most `radius` from `value`."""

    value: complex
    radius: float = 0.0

    @classmethod
    def between(cls, ends: tuple[float, float]) -> Disc:
        """Return the disc of a real interval."""
        middle = 0.5 * ends[0] + 0.5 * ends[1]
        return cls.around(middle, max(ends[1] - middle, middle - ends[0]))

    @classmethod
    def around(cls, value: complex, radius: float) -> Disc:
        """Return a disc around a computed number, whose rounding joins the radius."""
        return (
            cls(value, radius * (1.0 + COMPLEX_ROUNDING) + COMPLEX_ROUNDING * abs(value))
            if radius < inf
            else cls(value, inf)
        )

    @property
    def conjugate(self) -> Disc:
        """The conjugates."""
        return Disc(self.value.conjugate(), self.radius)

    def __add__(self, other: Disc) -> Disc:
        return self.around(self.value + other.value, self.radius + other.radius)

    def __sub__(self, other: Disc) -> Disc:
        return self.around(self.value - other.value, self.radius + other.radius)

    def __mul__(self, other: Disc) -> Disc:
        """|z w - a b| <= |a| s + |b| r + r s."""
        if inf in (self.radius, other.radius):
            return Disc(self.value * other.value, inf)
        radius = abs(self.value) * other.radius + abs(other.value) * self.radius + self.radius * other.radius
        return self.around(self.value * other.value, radius)

    def __truediv__(self, other: Disc) -> Disc:
        """|z/w - a/b| <= (r + |a/b| s)/(|b| - s); nothing is known where the divisor may be zero."""
        least = abs(other.value) * (1.0 - COMPLEX_ROUNDING) - other.radius
        quotient = self.value / other.value if other.value else complex(0.0)
        if not least > 0.0 or self.radius == inf:
            return Disc(quotient, inf)
        return self.around(quotient, (self.radius + abs(quotient) * other.radius) / least)
