"""Values of parameters on which it depends what a model file was read as: numbers of molecules, powers, zeros.

They are checked wherever a model is compiled, so that no other value is taken for one with which the file was read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fsp.errors import ModelError
from fsp.model.infix import to_text
from fsp.model.tree import Expression, Number, substitute

SAME_VALUE = 1e-9  # relative: of a formula that is evaluated in another order; chosen


class KeptValue(NamedTuple):
    """What a formula of parameters was when a file was read, where what was read depends on it."""

    what: str  # the formula is
    tree: Expression
    value: float


def kept_value(what: str, tree: Expression, values: Mapping[str, Expression]) -> tuple[KeptValue, ...]:
    """Return that a formula keeps the value that it has now; nothing where it is a number."""
    now = substitute(tree, values)
    return (KeptValue(what, tree, now.value),) if isinstance(now, Number) and not isinstance(tree, Number) else ()


def check_kept(kept: Iterable[KeptValue], resolved: Mapping[str, Expression]) -> None:
    """Refuse parameters, as trees of species and time, with which a file would have been read as something else."""
    for what, tree, value in kept:
        now = substitute(tree, resolved)
        if not (isinstance(now, Number) and math.isclose(now.value, value, rel_tol=SAME_VALUE)):
            raise ModelError(
                f"{what}, {to_text(tree)}, must stay {value:g}, with which the file was read, but becomes "
                f"{to_text(now)}; write the new values into the file."
            )
