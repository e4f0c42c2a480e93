"""What was made of a model file so that its species are counts of molecules."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fsp.model.kept_values import KeptValue


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was done to a model file, and what was taken for granted; true where there is something to say.

    Attributes
    ----------
    steps : tuple[str, ...]
        What was changed, a line each: the scale of counts, rounded counts, laws that were split or counted in tuples.
    assumptions : tuple[str, ...]
        What the file does not say, or says and was not followed, a line each.
    kept : tuple[KeptValue, ...]
        Formulas of parameters on whose values it depends what was read: `what` they are, `tree` and `value`.
    """

    steps: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    kept: tuple[KeptValue, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps or self.assumptions)

    def __str__(self) -> str:
        return "\n".join([*self.steps, *self.assumptions])

    def and_then(self, *steps: str) -> Conversion:
        """Return the same with further steps."""
        return replace(self, steps=(*self.steps, *steps))

    def assuming(self, *assumptions: str) -> Conversion:
        """Return the same with further assumptions."""
        return replace(self, assumptions=(*self.assumptions, *assumptions))

    def keeping(self, *kept: KeptValue) -> Conversion:
        """Return the same with further values that stay."""
        return replace(self, kept=(*self.kept, *kept))


NOT_CONVERTED = Conversion()
