"""Two networks, compared on the species that they share: a reduced one with the one that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TYPE_CHECKING, Any, overload

from fsp import defaults
from fsp.approximation.distances import l1, wasserstein
from fsp.bars import barred, callback, silent
from fsp.checks import as_texts, shown
from fsp.distribution import Distribution, Interval
from fsp.distribution.display import Displayed
from fsp.distribution.fit import Fit
from fsp.doors import stationary, transient
from fsp.errors import ArgumentError
from fsp.model.arguments import check_call, check_model
from fsp.projection.progress import labelled

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution.fit_comparison import FitComparison
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Comparison(Displayed):
    """Two networks on the species that they share, at T times.

    Parameters
    ----------
    names
        Names of the two networks.
    species
        What is compared.
    first, second
        (T,) distributions of each over these species.
    joint
        (T,) 1-norm distances of these.
    l1, wasserstein
        For each time, the distances of the marginals by species.
    """

    names: tuple[str, str]
    species: tuple[str, ...]
    first: tuple[Distribution, ...]
    second: tuple[Distribution, ...]
    joint: tuple[Interval, ...]
    l1: tuple[dict[str, Interval], ...]
    wasserstein: tuple[dict[str, Interval], ...]

    def __str__(self) -> str:
        lines = [f"{self.names[0]} and {self.names[1]}: distributions of {', '.join(self.species)}"]
        lines.append(f"{'t':>10} {'species':>8} {'mean':>11} {'mean':>11} {'sd':>10} {'sd':>10}  distances")
        for k, (p, q) in enumerate(zip(self.first, self.second, strict=True)):
            when = "stationary" if p.t is None else f"{p.t:g}"
            for name in self.species:
                numbers = f"{p.mean()[name]:11.5g} {q.mean()[name]:11.5g} {p.std()[name]:10.4g} {q.std()[name]:10.4g}"
                far = f"L1 {self.l1[k][name]}, W {self.wasserstein[k][name]}"
                lines.append(f"{when:>10} {name:>8} {numbers}  {far}")
            if len(self.species) > 1:
                lines.append(f"{when:>10} {'joint':>8} {'':>45}  L1 {self.joint[k]}")
        return "\n".join(lines)


@overload
def compare(model: Fit, other: Fit) -> FitComparison: ...


@overload
def compare(
    model: Model,
    other: Model,
    times: Sequence[float] | FloatArray | float | None,
    species: Sequence[str] | None = ...,
    *,
    tol: float = ...,
    max_states: int | None = ...,
    progress: ProgressCallback | bool | None = ...,
) -> Comparison: ...


@barred()
def compare(
    model: Model | Fit,
    other: Model | Fit,
    times: Sequence[float] | FloatArray | float | EllipsisType | None = ...,
    species: Sequence[str] | None = None,
    *,
    tol: float = defaults.TOL,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Comparison | FitComparison:
    """Compare the master equations of two networks on species that they share, or two fits of the same cells.

    A reduction by time scales, such as the law of Michaelis and Menten in the place of binding and catalysis, is so
    held against the network that it stands for.

    Parameters
    ----------
    model, other
        The networks; or two fits, which are compared as `Fit.compare` does, and take no other argument.
    times
        Increasing times >= 0; None for the stationary distributions.  Networks need them.
    species
        Names that both have; all of these by default.
    tol
        Bound on the 1-norm error of each distribution.
    max_states
        Limit on the states of each.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Comparison
        Distances of joint and marginal distributions, as intervals; of fits, differences of their criteria.

    Raises
    ------
    ArgumentError
        If there is no such species, times are left out, or a network stands beside a fit.
    StateSpaceError, ConvergenceError
        As `fsp.transient` and `fsp.stationary` do.

    References
    ----------
    C. V. Rao, A. P. Arkin, Stochastic chemical kinetics and the quasi-steady-state assumption, J. Chem. Phys. 118
    (2003) 4999, doi:10.1063/1.1545446.

    Examples
    --------
    >>> full, short = fsp.load("michaelis_menten.ant"), fsp.load("reduced.ant")  # doctest: +SKIP
    >>> print(fsp.compare(full, short, [1, 10], ["P"]))  # doctest: +SKIP
    """
    if isinstance(model, Fit) or isinstance(other, Fit):
        return _fits(model, other, times)
    if isinstance(times, EllipsisType):
        raise ArgumentError(
            "`times` must be increasing times, or None for stationary distributions, but were left out."
        )
    check_call(model, max_states=max_states, progress=progress)
    check_model("other", other)
    shared = tuple(name for name in model.species if name in other.species)
    chosen = shared if species is None else as_texts(species)
    if not chosen or not set(chosen) <= set(shared):
        raise ArgumentError(
            f"`species` must be different ones of both networks, which share {', '.join(shared) or 'none'}, but are "
            f"{', '.join(chosen) or 'none' if chosen is not None else shown(species)}."
        )

    report = callback(progress) or silent

    def solved(network: Model) -> tuple[Distribution, ...]:
        more: dict[str, Any] = {"max_states": max_states, "progress": labelled(report, network.name)}
        if times is None:
            return (stationary(network, tol, **more).marginal(*chosen),)
        return tuple(d.marginal(*chosen) for d in transient(network, times, tol, **more))

    first, second = solved(model), solved(other)
    pairs = list(zip(first, second, strict=True))
    by_species = [{name: (p.marginal(name), q.marginal(name)) for name in chosen} for p, q in pairs]
    return Comparison(
        (model.name, other.name),
        chosen,
        first,
        second,
        joint=tuple(l1(p, q) for p, q in pairs),
        l1=tuple({name: l1(*laws) for name, laws in at.items()} for at in by_species),
        wasserstein=tuple({name: wasserstein(*laws) for name, laws in at.items()} for at in by_species),
    )


def _fits(fit: Model | Fit, other: Model | Fit, times: object) -> FitComparison:
    """Compare two fits; refuse a network beside one, and times."""
    if not isinstance(fit, Fit) or not isinstance(other, Fit):
        which = "model" if isinstance(other, Fit) else "other"
        raise ArgumentError(f"`{which}` must be a fit as well; of networks, compare fit.model with fsp.compare.")
    if not isinstance(times, EllipsisType):
        raise ArgumentError(f"`times` must be left out where fits are compared, but are {times!r}.")
    return fit.compare(other)
