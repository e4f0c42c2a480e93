"""Posterior densities of parameters, for samplers, and posterior means by importance sampling.

The density is that of the logarithms u of the parameters, ``log π(u) = log L(eᵘ) + Σ_k (log f_k(e^{u_k}) + u_k)``, less
a constant, with the densities f_k of the priors.

Means are quotients of sums over scrambled Sobol points u_i of a Student law g with the weights ``π(u_i)/g(u_i)``; the
law is fitted in a few rounds to what was found, and independent scramblings tell the error.

References
----------
O. Cappé, A. Guillin, J. M. Marin, C. P. Robert, J. Comput. Graph. Stat. 13 (2004) 907 (population Monte Carlo).
D. Foreman-Mackey et al., PASP 125 (2013) 306, doi:10.1086/670067 (emcee).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import defaults
from fsp.bars import barred, callback, silent
from fsp.checks import check_whole, check_width
from fsp.distribution.counts import Counts
from fsp.distribution.draws import Draws
from fsp.distribution.text import counted
from fsp.errors import ArgumentError, ConvergenceError, StateSpaceError
from fsp.inference.ascent import UnreachableError, ascend
from fsp.inference.counts import check_counts
from fsp.inference.extrinsic import ParameterLaw, laws_of, require_no_start
from fsp.inference.importance import StudentLaw, weighted
from fsp.inference.objective import Objective
from fsp.inference.priors import posterior_priors
from fsp.inference.problem import Limits
from fsp.model.arguments import check_call

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.instruments import Instrument
    from fsp.model import Model

NEGLIGIBLE_NATS = 50.0  # nats below the largest density met: a part of exp(-50) of the posterior needs no digits
WALKERS = 8  # for each parameter, at least; emcee advances half of them at once
BURN = 0.25  # of the steps, that are left out: walkers begin at the summit, spread as the information says; chosen
STUDENT_ROUNDS = 5  # of fitting the Student law; chosen
SCRAMBLES = 8  # independent sets of points, whose spread is the error
WALKER_SPREAD = 1.0  # largest standard deviation of a logarithm with which walkers and the first law begin


class Posterior:
    """The logarithm of a posterior density of the logarithms of parameters, and its gradient.

    Parameters
    ----------
    model
        The reaction network, as for `fsp.fit`.
    counts
        What `fsp.read_counts` returns.
    priors
        By name: ``(low, high)`` of a parameter whose logarithm is uniform between them, or a frozen continuous
        distribution of scipy.stats.
    instrument
        The measurement, from the counts in cells to those that are seen, as for `fsp.likelihood`.
    extrinsic
        Laws of parameters that differ among cells, as for `fsp.fit`.
    start
        Where cells begin, as for `fsp.likelihood`.
    width
        How far a log-likelihood may be off, in nats; rounding of the rates apart.
    max_states, max_memory, max_work
        Limits of each evaluation, as for `fsp.transient`.

    Raises
    ------
    ArgumentError
        If a prior is not as above, and for what `fsp.fit` refuses.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0}, parameters={"k": 5.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> cells = fsp.read_counts({"time": [1.0, 1.0, 2.0], "n": [5, 7, 9]}, counts={"X": "n"})
    >>> posterior = fsp.Posterior(model, cells, {"k": (1, 100)})
    >>> draws = posterior.integrate(points=256)
    >>> print(f"{draws.mean()['k'].value:.1f}")
    9.9
    """

    def __init__(
        self,
        model: Model,
        counts: Counts,
        priors: Mapping[str, Any],
        *,
        instrument: Instrument | Mapping[str, Instrument] | None = None,
        extrinsic: Mapping[str, ParameterLaw] | None = None,
        start: str | None = None,
        width: float = defaults.LIKELIHOOD_WIDTH,
        max_states: int | None = None,
        max_memory: int | None = None,
        max_work: float | None = None,
    ) -> None:
        check_call(model, max_states=max_states, max_memory=max_memory, max_work=max_work)
        check_counts(counts)
        check_width(width)
        laws = posterior_priors(priors)
        unknown = [name for name in laws if name not in model.definition.parameters]
        if unknown:
            known = ", ".join(model.definition.parameters) or "none"
            raise ArgumentError(f"`priors` must be of parameters of the model, {known}, but one is of '{unknown[0]}'.")
        counts.require_unit_of(model)
        self.names = tuple(laws)
        self._priors, self._width = tuple(laws.values()), float(width)
        self._begin = np.array([self._inside(model, name) for name in self.names])
        changed = model.with_parameters(dict(zip(self.names, np.exp(self._begin).tolist(), strict=True)))
        limits = Limits(max_states, max_memory, max_work)
        if extrinsic is not None:
            require_no_start(start)
            extrinsic = laws_of(extrinsic, model)
        self._objective = Objective.of(changed, counts, self.names, self._priors, instrument, limits, start, extrinsic)
        self._largest = -math.inf
        self.evaluations = 0

    def _inside(self, model: Model, name: str) -> float:
        """Return the logarithm of the model's value, or of the median of the prior where that has no density."""
        prior = self._priors[self.names.index(name)]
        value = model.parameters.get(name, math.nan)
        u = math.log(value) if value > 0.0 else math.nan
        if prior.low <= u <= prior.high:
            return u
        return math.log(prior.law.median()) if prior.law is not None else 0.5 * (prior.low + prior.high)

    def __repr__(self) -> str:
        cells = counted(sum(part.counts.n_cells for part in self._objective.parts), "cell")
        return f"<Posterior of {', '.join(self.names)}: {cells}, {counted(self.evaluations, 'evaluation')}>"

    @property
    def dimension(self) -> int:
        """Number of parameters, q."""
        return len(self.names)

    def __call__(self, u: FloatArray) -> Any:
        """Return the log density at logarithms of parameters: a float for (q,), an array (P,) for (P, q).

        It is minus infinity outside the priors, where a cell has no probability, and where no space is large enough
        within the limits.  What is far below the largest value met may be a lower bound.
        """
        rows = np.atleast_2d(np.asarray(u, dtype=np.float64))
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise ArgumentError(f"`u` must be logarithms of {', '.join(self.names)}, but has shape {np.shape(u)}.")
        values = self.log_prior(rows)
        inside = np.isfinite(values)
        if inside.any():
            floor = self._largest - NEGLIGIBLE_NATS - float(values[inside].max())
            log_densities, gaps = self._objective.at_many(rows[inside], self._width, floor)
            values[inside] += log_densities + np.where(gaps <= self._width, 0.5 * gaps, 0.0)
            self.evaluations += int(inside.sum())
            self._largest = max(self._largest, float(values.max()))
        return float(values[0]) if np.ndim(u) == 1 else values

    def log_prior(self, u: FloatArray) -> FloatArray:
        """Return the log density of the priors, (P,), at logarithms of parameters (P, q)."""
        return np.array(
            [math.fsum(prior.value(x) for prior, x in zip(self._priors, row, strict=True)) for row in u.tolist()]
        )

    def gradient(self, u: FloatArray) -> FloatArray:
        """Return the gradient, (q,), of the log density at logarithms of parameters (q,)."""
        return self.value_and_gradient(u)[1]

    def value_and_gradient(self, u: FloatArray) -> tuple[float, FloatArray]:
        """Return the log density at logarithms of parameters (q,) and its gradient (q,), in one computation."""
        given = np.asarray(u, dtype=np.float64)
        constant = float(self.log_prior(given[None])[0])
        if not math.isfinite(constant):
            return -math.inf, np.zeros(self.dimension)
        point = self._objective.at(given, self._width, informed=False)
        self.evaluations += 1
        if not math.isfinite(point.value):
            return -math.inf, np.zeros(self.dimension)
        likelihood = point.value - math.fsum(p.of(x).value for p, x in zip(self._priors, given.tolist(), strict=True))
        return likelihood + 0.5 * point.gap + constant, point.gradient

    # ---- sampling

    @barred("steps")
    def sample(
        self,
        steps: int = 2000,
        *,
        walkers: int | None = None,
        seed: int = 0,
        progress: Callable[[int, int], None] | bool | None = None,
    ) -> Draws:
        """Sample by emcee's ensemble of walkers, which begin around the largest density.

        Parameters
        ----------
        steps
            Steps of each walker, of which the first quarter is left out.
        walkers
            Their number; by default eight for each parameter.
        seed
            Whole number from which all random numbers come.
        progress
            True for a bar; or a function that is called with the step and the number of steps, and may raise
            KeyboardInterrupt.

        Returns
        -------
        Draws
            Parameters of all steps and walkers.

        Raises
        ------
        ArgumentError
            If emcee is not installed, or there are too few walkers or steps.

        References
        ----------
        D. Foreman-Mackey et al., PASP 125 (2013) 306, doi:10.1086/670067.
        """
        try:
            import emcee
        except ImportError:
            raise ArgumentError(
                "`sample` needs emcee, which is not installed: pip install 'fsp-cme[posterior]'."
            ) from None
        n = WALKERS * self.dimension if walkers is None else walkers
        if n < 2 * self.dimension or n % 2 or steps < 8:
            raise ArgumentError(
                f"`walkers` must be an even number of {2 * self.dimension} or more, and `steps` 8 or more, but they "
                f"are {n} and {steps}."
            )
        rng = np.random.default_rng(seed)
        first = self._spread(rng, n)
        moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)]
        sampler = emcee.EnsembleSampler(n, self.dimension, self, moves=moves, vectorize=True)
        sampler.random_state = np.random.RandomState(int(rng.integers(2**31))).get_state()  # emcee's
        report = callback(progress)
        for i, _ in enumerate(sampler.sample(first, iterations=steps)):
            if report is not None:
                report(i + 1, steps)
        chain = sampler.get_chain(discard=int(BURN * steps))  # (n_steps, n_walkers, q)
        density = sampler.get_log_prob(discard=int(BURN * steps))
        tau = emcee.autocorr.integrated_time(chain, quiet=True, tol=0)
        return Draws.of_chains(self.names, chain, density, tau)

    @barred("points")
    def integrate(
        self, points: int = 2**14, *, seed: int = 0, progress: Callable[[int, int], None] | bool | None = None
    ) -> Draws:
        """Draw points with weights whose means are those of the posterior, by quasi-Monte Carlo.

        Parameters
        ----------
        points
            Number of points, in eight independent sets, rounded up to powers of two each; a law is fitted to the
            posterior by half as many before.
        seed
            Whole number from which all random numbers come.
        progress
            True for a bar; or a function that is called with the number of points that are done, those before the
            sets included, and that of all, and may raise KeyboardInterrupt.

        Returns
        -------
        Draws
            Points and weights; the errors of its means are from the spread of the sets.

        Raises
        ------
        ArgumentError
            If there are too few points, or the density vanishes wherever the search begins.
        """
        check_whole("points", points, 64)
        each = 2 ** math.ceil(math.log2(points / SCRAMBLES))
        before = 2 ** math.ceil(math.log2(points / (2 * STUDENT_ROUNDS)))
        report, total = callback(progress) or silent, STUDENT_ROUNDS * before + SCRAMBLES * each
        report(0, total)
        summit, covariance = self._summit()
        law = StudentLaw.of(summit, covariance)
        for round_ in range(STUDENT_ROUNDS):
            u = law.points(before, seed + 1000 + round_)
            law = law.fitted(u, weighted(self(u) - law.log_density(u), smooth=round_ < STUDENT_ROUNDS - 1))
            report((round_ + 1) * before, total)
        sets, values = [law.points(each, seed + s) for s in range(SCRAMBLES)], []
        for u in sets:
            values.append(self(u))
            report(total - (SCRAMBLES - len(values)) * each, total)
        weights = [value - law.log_density(u) for u, value in zip(sets, values, strict=True)]
        return Draws.of_weights(self.names, np.array(sets), np.array(values), np.array(weights))

    def _summit(self) -> tuple[FloatArray, FloatArray]:
        """Return where the density is largest and how it falls off there: (q,) and the covariance (q, q)."""
        low = np.array([max(prior.low, -700.0) for prior in self._priors])
        high = np.array([min(prior.high, 700.0) for prior in self._priors])
        try:
            summit = ascend(self._objective.at, self._begin, low, high)
        except (StateSpaceError, ConvergenceError, UnreachableError) as error:
            raise ArgumentError(
                f"The model must give the cells a probability at its own parameters, or at the medians of the priors, "
                f"but {error}; give it better values by with_parameters."
            ) from error
        values, vectors = np.linalg.eigh(summit.point.information)
        variances = 1.0 / np.maximum(values, 1.0 / WALKER_SPREAD**2)
        covariance: FloatArray = (vectors * variances) @ vectors.T
        return summit.u, covariance

    def _spread(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return where walkers begin, (n, q): around the summit, within the priors."""
        summit, covariance = self._summit()
        starts: list[FloatArray] = []
        scale = 1.0
        while len(starts) < n:
            u = rng.multivariate_normal(summit, scale * covariance, size=4 * n)
            starts += list(u[np.isfinite(self(u))])
            scale *= 0.5  # near a bound of a prior, or where cells are hardly possible
        return np.array(starts[:n])
