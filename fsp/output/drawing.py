"""Which picture of an answer is drawn: one table of kinds, for `plot` of answers and for the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fsp.checks import check_choice
from fsp.distribution.distribution import Distribution
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import Sweep
from fsp.errors import ArgumentError
from fsp.output import landscapes, pictures, varied

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.output.summaries import Answer

PICTURE_KINDS = ("overview", "courses", "heat", "marginals", "joint", "corner", "landscape")
_OVER_TIME = ("courses", "heat")


def draw(
    answer: Answer,
    species: Sequence[str] = (),
    *,
    kind: str = "overview",
    log: bool = False,
    ax: Axes | None = None,
    label: str | None = None,
) -> Any:
    """Draw an answer, as its `plot` describes: of a sweep the means over what was varied."""
    require(kind, type(answer).__name__.lower(), len(species), log=log, ax=ax is not None)
    if label is not None and kind != "marginals":
        raise ArgumentError(f"`label` must be None for kind = {kind}: it names curves of kind = marginals.")
    if kind == "marginals":
        return pictures.marginals(_all(answer), *species, log=log, ax=ax, label=label)
    if isinstance(answer, Sweep):
        return varied.sweep(answer, *species, ax=ax)
    return _DRAW[kind](answer, tuple(species), log, ax)


def require(kind: str, of: str, n_species: int, *, log: bool, ax: bool = False) -> None:
    """Refuse a picture that there is not `of` a solution, a distribution or a sweep; it may not be computed yet."""
    check_choice("kind", kind, PICTURE_KINDS)
    wanted = {"heat": 1, "marginals": 1, "joint": 2}.get(kind)
    if wanted is not None and n_species != wanted:
        names = "one name" if wanted == 1 else "two names"
        raise ArgumentError(f"`species` must be {names} for kind = {kind}, but are {n_species}.")
    refused = {
        "a picture of this kind": kind != "overview" if of == "sweep" else of == "distribution" and kind in _OVER_TIME,
        "a logarithmic scale": log and (of == "sweep" or kind in ("courses", "landscape")),
        "`ax`, since it has several panels": ax and of != "sweep" and kind in ("overview", "corner"),
    }
    for what, is_asked in refused.items():
        if is_asked:
            raise ArgumentError(f"A {of} must be drawn otherwise: for kind = {kind} there is not {what}.")


def _last(answer: Any) -> Distribution:
    last: Distribution = answer[-1] if isinstance(answer, Solution) else answer
    return last


def _all(answer: Any) -> list[Distribution]:
    return list(answer) if isinstance(answer, Solution) else [answer]


_DRAW: dict[str, Callable[[Any, tuple[str, ...], bool, Any], Any]] = {
    "overview": lambda answer, names, log, ax: pictures.overview(answer, names, log=log),
    "courses": lambda answer, names, log, ax: pictures.moments(answer, *names, band="quantiles", ax=ax),
    "heat": lambda answer, names, log, ax: pictures.heat(answer, *names, log=log, ax=ax),
    "joint": lambda answer, names, log, ax: pictures.joint(_last(answer), *names, log=log, ax=ax),
    "landscape": lambda answer, names, log, ax: landscapes.landscape(_last(answer).landscape(*names), ax=ax),
    "corner": lambda answer, names, log, ax: pictures.corner(_last(answer), *names, log=log),
}
