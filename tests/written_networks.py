"""Networks written down in a test, one reaction a line."""

from __future__ import annotations

import fsp

# For those who read it from a file.
BIRTH_DEATH = """
model birth_death
  make: -> X; k
  lose: X -> ; g*X
  k = 10; g = 1
  X = 0
  substanceOnly species X
end
"""


def network(species, *reactions, **more):
    """Return a model of reactions given as (equation, "rate" or "mass_action", its value)."""
    return fsp.Model(
        species=species,
        reactions=[fsp.Reaction(equation, **{kind: rate}) for equation, kind, rate in reactions],
        **more,
    )
