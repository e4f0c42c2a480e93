"""The chemical Fokker–Planck equation, solved on lattices of successive spacings.

Each lattice is an ordinary network (`fsp.approximation.lattice`), so that what is lost in time and at the edges is
bounded.  What the spacing does is estimated, and laws, means and covariances are extrapolated to spacing zero, by
`fsp.approximation.extrapolation`.

References
----------
H. A. Kramers, Physica 7 (1940) 284; J. E. Moyal, J. R. Stat. Soc. B 11 (1949) 150.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from fsp import analysis
from fsp.approximation import extrapolation
from fsp.approximation.lattice import SCHEMES, diffusion, lattice, on_counts
from fsp.approximation.scaling import require_chain
from fsp.bars import barred
from fsp.checks import check_choice
from fsp.distribution import Distribution
from fsp.distribution.display import Displayed
from fsp.distribution.distribution import Provenance
from fsp.doors import stationary, transient
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.model.arguments import check_call

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback

MOST_LATTICE_SPECIES = 3  # a lattice of spacing 1/8 has 512 states for each of theirs
FINEST_SPACING = 2.0**-10  # chosen, not measured
USUAL_SCHEME = "scharfetter-gummel"  # positive at every spacing


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class FokkerPlanck(Displayed):
    """Solutions of the Fokker–Planck equation at T times, or the stationary one.

    It is indexed as distributions over whole counts of the finest lattice: the probability of a count is that of the
    cells nearest to it.

    Parameters
    ----------
    model_name, species
        Names of the model and of its species.
    scheme
        A key of `fsp.approximation.lattice.SCHEMES`.
    spacings
        Spacings, from the coarsest to the finest.
    lattices
        For each spacing T distributions over n = x/h, with certified errors.
    distributions
        (T,) over whole counts, of the finest; the estimated discretisation error is in `integration`.
    extrapolated
        (T,) over whole counts, extrapolated to spacing zero; the estimated discretisation error that is left is in
        `integration`.
    mesh
        (T,) estimated discretisation errors of `distributions`, in the 1-norm.
    levels
        For each spacing T distributions over whole counts.
    at_zero
        (T,) how much probability is, or was, where a count is zero, so that the boundary is felt.
    """

    model_name: str
    species: tuple[str, ...]
    scheme: str
    spacings: tuple[float, ...]
    lattices: tuple[tuple[Distribution, ...], ...]
    distributions: tuple[Distribution, ...]
    extrapolated: tuple[Distribution, ...]
    mesh: tuple[float, ...]
    levels: tuple[tuple[Distribution, ...], ...]
    at_zero: tuple[float, ...]

    def __getitem__(self, index: int) -> Distribution:
        return self.distributions[index]

    def __len__(self) -> int:
        return len(self.distributions)

    def __iter__(self) -> Iterator[Distribution]:
        return iter(self.distributions)

    def mean(self) -> tuple[FloatArray, FloatArray]:
        """Return the (T, d) means, extrapolated to spacing zero, and estimates of their errors."""
        return self._at_spacing_zero(1)

    def covariance(self) -> tuple[FloatArray, FloatArray]:
        """Return the (T, d, d) covariances, extrapolated to spacing zero, and estimates of their errors."""
        return self._at_spacing_zero(2)

    def _at_spacing_zero(self, degree: int) -> tuple[FloatArray, FloatArray]:
        """Extrapolate the means, degree one, or covariances, degree two; add what time and truncation leave."""
        hs, scheme = self.spacings, self.scheme
        shares = np.array([1.0 if degree == 1 else diffusion(h, scheme) for h in hs])
        moment = analysis.mean if degree == 1 else analysis.covariance
        best, off = [], []
        for at_zero, lattices in zip(self.at_zero, zip(*self.lattices, strict=True), strict=True):
            boundary = at_zero > extrapolation.FELT
            values = np.array(
                [h**degree * moment(d.states, d.probabilities) for h, d in zip(hs, lattices, strict=True)]
            )
            value, spacing = extrapolation.moments(values, hs, scheme, shares=shares, boundary=boundary)
            beside = 0.0 if boundary else at_zero
            lost = np.array([h**degree * _displaced(d, degree, beside) for h, d in zip(hs, lattices, strict=True)])
            best.append(value)
            off.append(spacing + np.tensordot(extrapolation.error_weights(hs, scheme, boundary=boundary), lost, 1))
        return np.array(best), np.array(off)

    def wasserstein_error(self) -> FloatArray:
        """Return estimates of the Wasserstein error of the extrapolated marginals, (T, d)."""
        return np.array(
            [[self._wasserstein_off(laws, x) for x in self.species] for laws in zip(*self.levels, strict=True)]
        )

    def _wasserstein_off(self, levels: Sequence[Distribution], x: str) -> float:
        def moved(a: Distribution, b: Distribution) -> float:
            return a.distance(b, "wasserstein")

        marginals = [d.marginal(x) for d in levels]
        return extrapolation.law_error(marginals, self.spacings, self.scheme, moved, math.inf)

    def __str__(self) -> str:
        fractions = ", ".join(f"{h:g}" for h in self.spacings)
        head = f"{self.model_name}: Fokker-Planck equation on lattices of spacing {fractions} ({self.scheme})"
        means, variances = self.mean()[0], self.covariance()[0]
        lines = [head]
        for k, (d, mesh) in enumerate(zip(self, self.mesh, strict=True)):
            when = "stationary" if d.t is None else f"t = {d.t:g}"
            lattice = self.lattices[-1][k]
            lines.append(f"{when}: {len(lattice):,} states, lattice {lattice.error.summary}, spacing ≈ {mesh:.1e}")
            for i, name in enumerate(self.species):
                sd = math.sqrt(max(variances[k, i, i], 0.0))
                lines.append(f"  {name}: mean {means[k, i]:.6g}, sd {sd:.6g}")
        return "\n".join(lines)


@barred()
def fokker_planck(
    model: Model,
    times: Sequence[float] | FloatArray | float | None,
    spacing: float = 1 / 8,
    *,
    tol: float = 1e-10,
    scheme: str = USUAL_SCHEME,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> FokkerPlanck:
    """Solve the chemical Fokker–Planck equation of a network of one to three species.

    Parameters
    ----------
    model
        The network.
    times
        Increasing times >= 0; None for the stationary distribution.
    spacing
        Spacing of the finest lattice, in molecules: 1/2, 1/4, 1/8, …; lattices of twice and four times that, up to 1,
        are solved too.  With 1 there is no coarser lattice to estimate the error from.
    tol
        Bound on the 1-norm error of each lattice, in time and by truncation.  Variances are off by it times the square
        of how far a law reaches, hence the default.
    scheme
        ``"scharfetter-gummel"``, whose diffusion is too large by a share of about h²/3, or ``"central"``, whose
        diffusion is exact, for spacings below 1: there its hops are the reactions themselves.
    max_states
        Limit on the number of states of a lattice.
    progress
        As for `fsp.transient`: True for a bar.

    Returns
    -------
    FokkerPlanck
        Distributions over whole counts, of the finest lattice and extrapolated; extrapolated means and covariances.

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    ModelError
        If the model has events or more than three species, or a rate is a callable or has a condition on the state.
    StateSpaceError, ConvergenceError
        Where `fsp.transient` or `fsp.stationary` raise them on a lattice.

    References
    ----------
    D. T. Gillespie, The chemical Langevin equation, J. Chem. Phys. 113 (2000) 297, doi:10.1063/1.481811.

    Examples
    --------
    >>> births = fsp.Model(species={"X": 0}, reactions=[
    ...     fsp.Reaction("0 -> X", mass_action=10), fsp.Reaction("X -> 0", mass_action=1)])
    >>> round(fsp.fokker_planck(births, 5.0)[-1].distance(fsp.transient(births, 5.0)[-1]), 4)
    0.0047
    """
    check_call(model, max_states=max_states, progress=progress)
    spacings = require_lattices(model, spacing, scheme)

    def solved(h: float) -> tuple[Distribution, ...]:
        chain = lattice(model, round(1.0 / h), scheme)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)  # rounding on fine lattices, which their errors hold
            if times is None:
                return (stationary(chain, tol, max_states=max_states, progress=progress),)
            return tuple(transient(chain, times, tol, max_states=max_states, progress=progress))

    lattices = tuple(solved(h) for h in spacings)
    levels = tuple(tuple(_on_counts(d, h, model) for d in row) for h, row in zip(spacings, lattices, strict=True))
    by_time = list(zip(*levels, strict=True))
    mesh = tuple(extrapolation.lattice_error(laws, spacings, scheme) for laws in by_time)
    finest = tuple(
        extrapolation.with_spacing(d, off, f"at 1/{round(1 / spacing)}")
        for d, off in zip(levels[-1], mesh, strict=True)
    )
    limits = tuple(extrapolation.law(laws, spacings, scheme) for laws in by_time)
    return FokkerPlanck(
        model.name,
        model.species,
        scheme,
        spacings,
        lattices,
        finest,
        limits,
        mesh,
        levels,
        _at_zero(model, lattices[-1]),
    )


def require_lattices(model: Model, spacing: float, scheme: str) -> tuple[float, ...]:
    """Return up to three spacings, from the coarsest, or raise what there is against lattices of a model."""
    require_chain(model)
    if model.n_species > MOST_LATTICE_SPECIES:
        raise ArgumentError(
            f"`model` must have at most {MOST_LATTICE_SPECIES} species for the Fokker-Planck equation, but has "
            f"{model.n_species}; `fsp.langevin` samples it."
        )
    check_choice("scheme", scheme, SCHEMES)
    known = isinstance(spacing, float | int) and FINEST_SPACING <= spacing <= 1.0 and math.frexp(spacing)[0] == 0.5
    if not known:
        raise ArgumentError(f"`spacing` must be 1, 1/2, 1/4, … down to 1/1024, but is {spacing!r}.")
    if spacing == 1.0 and scheme == "central":
        raise ArgumentError(
            "`spacing` must be below 1 for central hops, but is 1, where they are the reactions themselves and the "
            "lattice is the master equation; give 1/2, or `scheme='scharfetter-gummel'`."
        )
    return tuple(float(2**k * spacing) for k in (2, 1, 0) if 2**k * spacing <= 1.0)


def _on_counts(d: Distribution, h: float, model: Model) -> Distribution:
    """Return a distribution over the lattice as one over whole counts."""
    states, p = on_counts(d.states, d.probabilities, round(1.0 / h))
    return Distribution(states, p, d.species, t=d.t, error=d.error, notes=d.notes, **Provenance.of(model))


def _at_zero(model: Model, laws: Sequence[Distribution]) -> tuple[float, ...]:
    """Return for each time the largest probability of a count of zero, then, at an earlier time, or at the start."""
    start = float(model.initial_probabilities[(model.initial_states == 0).any(axis=1)].sum())
    masses = [float(d.probabilities[(d.states == 0).any(axis=1)].sum()) for d in laws]
    return tuple(accumulate(masses, max, initial=0.0 if laws[0].t is None else start))[1:]


def _displaced(d: Distribution, degree: int, beside: float) -> FloatArray:
    """Return what the error of a law over the lattice, and more, does to its moments if it is farthest away."""
    reach = np.abs(d.states - analysis.mean(d.states, d.probabilities)).max(axis=0)  # (d,)
    displaced: FloatArray = (d.error.total + beside) * (reach if degree == 1 else np.outer(reach, reach))
    return displaced
