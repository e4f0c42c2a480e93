"""What was made of a model file so that its species are counts of molecules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was done to a model file, and what was taken for granted; true where there is something to say.

    Attributes
    ----------
    steps : tuple[str, ...]
        What was changed, a line each: the scale of counts, rounded counts, laws that were split or counted in tuples.
    assumptions : tuple[str, ...]
        What the file does not say, or says and was not followed, a line each.
    """

    steps: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps or self.assumptions)

    def __str__(self) -> str:
        return "\n".join([*self.steps, *self.assumptions])

    def and_then(self, *steps: str) -> Conversion:
        """Return the same with further steps."""
        return Conversion((*self.steps, *steps), self.assumptions)


NOT_CONVERTED = Conversion()
