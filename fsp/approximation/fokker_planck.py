"""The chemical Fokker–Planck equation, solved on lattices of successive spacings.

Each lattice is an ordinary network (`fsp.approximation.lattice`), so that what is lost in time and at the edges is
bounded; what the spacing does is estimated.  With Δ the 1-norm of the change between spacings h and 2h, r the ratio of
the change before to Δ, between 1¼ and 4 (which a method of second order reaches in the limit), the error at h is

    ≈ Δ/(r - 1).

Means and covariances are extrapolated to h = 0 by Romberg's scheme in powers of h².  The boundary lies half a cell
below zero, which adds an error of order h times the density there.

References
----------
H. A. Kramers, Physica 7 (1940) 284; J. E. Moyal, J. R. Stat. Soc. B 11 (1949) 150.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fsp import analysis
from fsp.approximation.lattice import SCHEMES, lattice, on_counts
from fsp.approximation.scaling import require_chain
from fsp.distribution import Distribution, ErrorLedger
from fsp.doors import stationary, transient
from fsp.errors import ArgumentError
from fsp.model.arguments import check_call

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback

MOST_SPECIES = 3  # a lattice of spacing 1/8 has 512 states for each of theirs
FINEST = 2.0**-10  # chosen, not measured
LARGEST_DISTANCE = 2.0  # of two distributions in the 1-norm
RATIOS = 1.25, 4.0  # of successive changes


@dataclass(frozen=True, slots=True, eq=False)
class FokkerPlanck:
    """Solutions of the Fokker–Planck equation at T times, or the stationary one.

    It is indexed as distributions over whole counts: the probability of a count is that of the cells nearest to it.

    Parameters
    ----------
    model_name, species
        Of what.
    scheme
        A key of `fsp.approximation.lattice.SCHEMES`.
    spacings
        From the coarsest to the finest.
    lattices
        For each spacing T distributions over n = x/h, with certified errors.
    distributions
        (T,) over whole counts, of the finest; their error has what the spacing does, an estimate, in `integration`.
    mesh
        (T,) estimates of what the spacing does, in the 1-norm.
    levels
        For each spacing T distributions over whole counts.
    """

    model_name: str
    species: tuple[str, ...]
    scheme: str
    spacings: tuple[float, ...]
    lattices: tuple[tuple[Distribution, ...], ...]
    distributions: tuple[Distribution, ...]
    mesh: tuple[float, ...]
    levels: tuple[tuple[Distribution, ...], ...]

    def __getitem__(self, index: int) -> Distribution:
        return self.distributions[index]

    def __len__(self) -> int:
        return len(self.distributions)

    def __iter__(self) -> Iterator[Distribution]:
        return iter(self.distributions)

    def mean(self) -> tuple[FloatArray, FloatArray]:
        """Return the (T, d) means, extrapolated to spacing zero, and estimates of their errors."""
        return _romberg([[h * analysis.mean(d.states, d.probabilities) for d in row] for h, row in self._rows])

    def covariance(self) -> tuple[FloatArray, FloatArray]:
        """Return the (T, d, d) covariances, extrapolated to spacing zero, and estimates of their errors."""
        rows = [[h * h * analysis.covariance(d.states, d.probabilities) for d in row] for h, row in self._rows]
        return _romberg(rows)

    def wasserstein_error(self) -> FloatArray:
        """Return estimates of what the spacing does to the marginals, in the Wasserstein distance, (T, d)."""
        times = list(zip(*self.levels, strict=True))
        return np.array(
            [[_mesh_error([d.marginal(x) for d in own], "wasserstein") for x in self.species] for own in times]
        )

    @property
    def _rows(self) -> list[tuple[float, tuple[Distribution, ...]]]:
        return list(zip(self.spacings, self.lattices, strict=True))

    def __str__(self) -> str:
        fractions = ", ".join(f"{h:g}" for h in self.spacings)
        head = f"{self.model_name}: Fokker-Planck equation on lattices of spacing {fractions} ({self.scheme})"
        means, variances = self.mean()[0], self.covariance()[0]
        lines = [head]
        for k, (d, mesh) in enumerate(zip(self, self.mesh, strict=True)):
            when = "stationary" if d.t is None else f"t = {d.t:g}"
            own = self.lattices[-1][k]
            lines.append(f"{when}: {len(own):,} states, lattice {own.error.summary}, spacing ≈ {mesh:.1e}")
            for i, name in enumerate(self.species):
                sd = math.sqrt(max(variances[k, i, i], 0.0))
                lines.append(f"  {name}: mean {means[k, i]:.6g}, sd {sd:.6g}")
        return "\n".join(lines)


def fokker_planck(
    model: Model,
    times: Sequence[float] | FloatArray | float | None,
    spacing: float = 1 / 8,
    *,
    tol: float = 1e-6,
    scheme: str = "scharfetter-gummel",
    max_states: int | None = None,
    progress: ProgressCallback | None = None,
) -> FokkerPlanck:
    """Solve the chemical Fokker–Planck equation of a network of one to three species.

    Parameters
    ----------
    model
        The network.
    times
        Increasing times >= 0; None for the stationary distribution.
    spacing
        Of the finest lattice, in molecules: 1/2, 1/4, 1/8, …; twice and four times that, up to 1, are solved too.  With
        1 there is no coarser lattice to estimate the error from.
    tol
        Bound on the 1-norm error of each lattice, in time and by truncation.
    scheme
        ``"scharfetter-gummel"``, whose diffusion is too large by a share of about h²/3, or ``"central"``, whose
        diffusion is exact; at h = 1 its hops are the reactions themselves.
    max_states
        Limit on the number of states of a lattice.
    progress
        As for `fsp.transient`.

    Returns
    -------
    FokkerPlanck
        Distributions over whole counts, and extrapolated means and covariances.

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    ModelError
        If the model has events or more than three species, or a rate is a callable or has a condition on the state.
    StateSpaceError, ConvergenceError
        As `fsp.transient` and `fsp.stationary` do.

    References
    ----------
    D. T. Gillespie, The chemical Langevin equation, J. Chem. Phys. 113 (2000) 297, doi:10.1063/1.481811.

    Examples
    --------
    >>> births = fsp.Model(species={"X": 0}, reactions=[
    ...     fsp.Reaction("0 -> X", mass_action=10), fsp.Reaction("X -> 0", mass_action=1)])
    >>> fsp.fokker_planck(births, 5.0)[-1].distance(fsp.transient(births, 5.0)[-1])
    """
    check_call(model, max_states=max_states, progress=progress)
    require_chain(model)
    if model.n_species > MOST_SPECIES:
        raise ArgumentError(
            f"`model` must have at most {MOST_SPECIES} species for the Fokker-Planck equation, but has "
            f"{model.n_species}; `fsp.langevin` samples it."
        )
    if scheme not in SCHEMES:
        raise ArgumentError(f"`scheme` must be one of {', '.join(SCHEMES)}, but is {scheme!r}.")
    spacings = [2**k * spacing for k in (2, 1, 0) if 2**k * spacing <= 1.0] if _is_spacing(spacing) else []
    if not spacings:
        raise ArgumentError(f"`spacing` must be 1, 1/2, 1/4, … down to 1/1024, but is {spacing!r}.")

    def solved(h: float) -> tuple[Distribution, ...]:
        chain = lattice(model, round(1.0 / h), scheme)
        if times is None:
            return (stationary(chain, tol, max_states=max_states, progress=progress),)
        return tuple(transient(chain, times, tol, max_states=max_states, progress=progress))

    lattices = tuple(solved(h) for h in spacings)
    on_whole = tuple(tuple(_coarse(d, h, model) for d in row) for h, row in zip(spacings, lattices, strict=True))
    mesh = tuple(_mesh_error(levels) for levels in zip(*on_whole, strict=True))
    finest = tuple(_with_mesh(d, error, spacing) for d, error in zip(on_whole[-1], mesh, strict=True))
    return FokkerPlanck(model.name, model.species, scheme, tuple(spacings), lattices, finest, mesh, on_whole)


def _is_spacing(spacing: object) -> bool:
    return isinstance(spacing, float | int) and FINEST <= spacing <= 1.0 and math.frexp(spacing)[0] == 0.5


def _coarse(d: Distribution, h: float, model: Model) -> Distribution:
    """Return a distribution over the lattice as one over whole counts."""
    states, p = on_counts(d.states, d.probabilities, round(1.0 / h))
    return Distribution(
        states, p, d.species, t=d.t, error=d.error, notes=d.notes, model_name=model.name, model_hash=model.hash,
        time_unit=model.time_unit,
    )  # fmt: skip


def _mesh_error(levels: Sequence[Distribution], kind: str = "l1") -> float:
    changes = [fine.distance(coarse, kind) for coarse, fine in pairwise(levels)]
    if not changes:  # no coarser lattice to compare with: nothing is known
        return LARGEST_DISTANCE if kind == "l1" else math.inf
    low, high = RATIOS
    ratio = changes[0] / changes[1] if len(changes) > 1 and changes[1] > 0.0 else 2.0
    return changes[-1] / (min(max(ratio, low), high) - 1.0)


def _with_mesh(d: Distribution, mesh: float, h: float) -> Distribution:
    note = f"the error has an estimate of what the spacing 1/{round(1 / h)} does, {mesh:.1e}, in `integration`"
    error = d.error + ErrorLedger(integration=mesh, certified=False)
    return Distribution(
        d.states, d.probabilities, d.species, t=d.t, error=error, notes=(*d.notes, note), model_name=d.model_name,
        model_hash=d.model_hash, time_unit=d.time_unit,
    )  # fmt: skip


def _romberg(rows: list[list[FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Extrapolate values at spacings …, 4h, 2h, h, which differ from those at zero by powers of h².

    The error is estimated by the change of the first extrapolation, which is right where the boundary at zero adds a
    power of h.
    """
    table = [np.array(row) for row in rows]
    changes = []
    for power in range(1, len(rows)):
        factor, finest = 4.0**power, table[-1]
        table = [(factor * fine - coarse) / (factor - 1.0) for coarse, fine in pairwise(table)]
        changes.append(np.abs(table[-1] - (table[-2] if len(table) > 1 else finest)))
    return table[-1], changes[0] if changes else np.full_like(table[-1], math.inf)
