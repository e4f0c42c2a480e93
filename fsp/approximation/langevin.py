"""The chemical Langevin equation, sampled by the weak trapezoidal method.

    dX = Σ ν (a(X) dt + √a(X) dW)

A step of length 2h goes through its middle, with normal numbers η, η* for each reaction:

    Y  = X + Σ ν (a(X) h + √(a(X) h) η)
    X' = Y + Σ ν ([2 a(Y) - a(X)] h + √([2 a(Y) - a(X)]⁺ h) η*)

Its weak order is two: means of smooth functions are off by the square of the step.  The same normal numbers make a path
with steps twice as long, whose mean differs by three times that; a third of the difference estimates the error.

Paths may leave the positive orthant, where the equation has no meaning.  Variants, by name:

    clipped     rates are those of the nearest state that is not negative; counts may be a little below zero
    reflected   counts below zero change their sign after each half step; conservation laws are not kept there

Rates between whole counts are those of `fsp.approximation.lattice`.

References
----------
D. T. Gillespie, The chemical Langevin equation, J. Chem. Phys. 113 (2000) 297, doi:10.1063/1.481811.
D. F. Anderson, J. C. Mattingly, A weak trapezoidal method for a class of stochastic differential equations, Comm.
Math. Sci. 9 (2011) 301, doi:10.4310/CMS.2011.v9.n1.a15, with θ = 1/2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp import analysis
from fsp.approximation import defaults
from fsp.approximation.lattice import between_counts
from fsp.approximation.scaling import require_chain
from fsp.bars import barred, callback, silent
from fsp.checks import LARGEST_WHOLE, check_choice, shown
from fsp.distribution import Distribution, ErrorLedger
from fsp.distribution.display import Displayed
from fsp.errors import ArgumentError, ConvergenceError
from fsp.model.arguments import check_call
from fsp.model.program import compiled
from fsp.model.times import checked_times

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model

VARIANTS = ("clipped", "reflected")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Langevin(Displayed):
    """Paths of the Langevin equation at T times.

    Parameters
    ----------
    model_name, species, times
        Names of the model and of its species, and the times.
    variant, steps
        Treatment of counts below zero, and number of steps.
    samples
        (T, runs, d) molecules.
    mean_error, std_error
        (T, d) estimated discretisation errors of means and standard deviations.
    """

    model_name: str
    species: tuple[str, ...]
    times: tuple[float, ...]
    variant: str
    steps: int
    samples: FloatArray
    mean_error: FloatArray
    std_error: FloatArray

    def mean(self) -> FloatArray:
        """Return the means, (T, d)."""
        return np.asarray(self.samples.mean(axis=1))

    def std(self) -> FloatArray:
        """Return the standard deviations, (T, d)."""
        return np.asarray(self.samples.std(axis=1, ddof=1))

    def standard_error(self) -> FloatArray:
        """Return the standard errors of the means, (T, d)."""
        return self.std() / math.sqrt(self.samples.shape[1])

    def distribution(self, k: int = -1) -> Distribution:
        """Return the law of the nearest whole counts at the time k, with the noise of its frequencies as an estimate.

        Parameters
        ----------
        k
            Number of the time.
        """
        runs = self.samples.shape[1]
        counts = np.maximum(np.rint(self.samples[k]), 0.0).astype(np.int64)
        states, p, _ = analysis.marginal(counts, np.full(runs, 1.0 / runs))
        noise = ErrorLedger(integration=float(np.sqrt(p * (1.0 - p) / runs).sum()), certified=False)
        note = f"frequencies of {runs:,} paths"
        return Distribution(
            states, p, self.species, t=self.times[k], error=noise, model_name=self.model_name, notes=(note,)
        )

    def wasserstein_error(self) -> FloatArray:
        """Return the mean Wasserstein distance that sampling leaves, Σ √(F (1 - F)/runs), (T, d)."""
        runs = self.samples.shape[1]
        share = np.arange(1, runs) / runs
        gaps = np.diff(np.sort(self.samples, axis=1), axis=1)  # (T, runs - 1, d)
        return np.asarray(np.einsum("n,tnd->td", np.sqrt(share * (1.0 - share) / runs), gaps))

    def __str__(self) -> str:
        runs = self.samples.shape[1]
        lines = [f"{self.model_name}: Langevin equation, {runs:,} {self.variant} paths, {self.steps} steps of order 2"]
        lines.append(f"{'t':>8} {'species':>8} {'mean':>11} {'± noise':>9} {'± steps':>9} {'sd':>11} {'± steps':>9}")
        numbers = (self.mean(), self.standard_error(), self.mean_error, self.std(), self.std_error)
        for k, t in enumerate(self.times):
            for i, name in enumerate(self.species):
                mean, noise, off, sd, sd_off = (array[k, i] for array in numbers)
                lines.append(f"{t:8g} {name:>8} {mean:11.5g} {noise:9.1e} {off:9.1e} {sd:11.5g} {sd_off:9.1e}")
        return "\n".join(lines)


@barred("steps")
def langevin(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    runs: int = defaults.RUNS,
    *,
    seed: int | None = None,
    steps: int = defaults.STEPS,
    variant: str = defaults.VARIANT,
    progress: Callable[[int, int], None] | bool | None = None,
) -> Langevin:
    """Sample the chemical Langevin equation.

    Parameters
    ----------
    model
        The network.
    times
        Increasing times >= 0.
    runs
        Number of paths.
    seed
        Seed of the random numbers.
    steps
        Number of steps over the whole time; half as many are taken too, to estimate the discretisation error.
    variant
        Treatment of counts below zero: ``"clipped"``, where rates are those of the nearest state without negative
        counts; or ``"reflected"``, where negative counts change their sign, which does not keep conservation laws.
    progress
        True for a bar; or a function that is called with the number of steps that are done, and of all.

    Returns
    -------
    Langevin
        The paths at the times.

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    ModelError
        If the model has events, or a rate is a callable or has a condition on the state.
    ConvergenceError
        If paths do not stay finite.

    References
    ----------
    D. F. Anderson, J. C. Mattingly, Comm. Math. Sci. 9 (2011) 301, doi:10.4310/CMS.2011.v9.n1.a15.

    Examples
    --------
    >>> births = fsp.Model(species={"X": 10}, reactions=[
    ...     fsp.Reaction("0 -> X", mass_action=10), fsp.Reaction("X -> 0", mass_action=1)])
    >>> print(fsp.langevin(births, [1.0, 5.0], seed=1))
    model: Langevin equation, 10,000 clipped paths, 400 steps of order 2
           t  species        mean   ± noise   ± steps          sd   ± steps
           1        X      9.9887   2.9e-02   2.1e-04      2.9095   2.1e-04
           5        X      9.9869   3.2e-02   6.6e-05      3.1687   5.9e-05
    """
    check_call(model, progress=progress)
    require_paths(times, runs, steps, variant)
    require_chain(model)
    grid = checked_times(times)
    stepper = WeakTrapezoidal(model, variant)
    random = np.random.Generator(np.random.Philox(seed))
    fine = coarse = stepper.start(runs, random)
    samples, offs, t = [], [], 0.0
    numbers = [2 * math.ceil(0.5 * steps * h / grid[-1]) if h > 0.0 else 0 for h in np.diff(grid, prepend=0.0).tolist()]
    tell, done = callback(progress) or silent, 0
    for end, n in zip(grid.tolist(), numbers, strict=True):
        for j in range(0, n, 2):
            h = 0.5 * (end - t) / n
            eta = random.standard_normal((4, model.n_reactions, runs))
            at = t + 2 * j * h
            fine = stepper.step(stepper.step(fine, at, h, eta[0], eta[1]), at + 2 * h, h, eta[2], eta[3])
            coarse = stepper.step(coarse, at, 2 * h, *((eta[0::2] + eta[1::2]) / math.sqrt(2.0)))
            done += 2
            tell(done, sum(numbers))
        t = end
        if not np.isfinite(fine).all():
            raise ConvergenceError(
                f"Langevin paths of '{model.name}' must stay finite, but leave the range of numbers before t = {t:g}; "
                f"raise `steps` ({steps}), or end earlier."
            )
        samples.append(fine.T)
        offs.append([(a - b) / 3.0 for a, b in zip(_moments(fine), _moments(coarse), strict=True)])
    off = np.abs(np.array(offs))  # (T, 2, d)
    return Langevin(
        model.name, model.species, tuple(grid.tolist()), variant, steps, np.array(samples), off[:, 0], off[:, 1]
    )


def require_paths(times: object, runs: object, steps: object, variant: object) -> None:
    """Raise what there is against arguments of paths."""
    if times is None:
        raise ArgumentError(
            "`times` must be times >= 0 for 'langevin', but is None: paths are sampled at times, and are stationary "
            "only in the limit; give a time that is many of the longest relaxation times, which `fsp.relaxation` finds."
        )
    if not (_is_number(runs) and _is_number(steps)):
        raise ArgumentError(
            f"`runs` and `steps` must be whole numbers, 2 to 2⁵³, but are {shown(runs)} and {shown(steps)}."
        )
    check_choice("variant", variant, VARIANTS)


class WeakTrapezoidal:
    """The weak trapezoidal method for one network; `variant`: one of `VARIANTS`."""

    def __init__(self, model: Model, variant: str = "clipped") -> None:
        self._model, self._reflects = model, variant == "reflected"
        self._programs = [compiled(between_counts(model, k, 1)[0]) for k in range(model.n_reactions)]
        self._change = model.change.T.astype(float)  # (d, R)

    def start(self, runs: int, random: np.random.Generator) -> FloatArray:
        """Draw the first counts, (d, runs)."""
        chosen = random.choice(len(self._model.initial_states), runs, p=self._model.initial_probabilities)
        return np.asarray(self._model.initial_states[chosen].T, dtype=np.float64)

    def rates(self, x: FloatArray, t: float) -> FloatArray:
        """Return the rates (R, runs) at counts (d, runs)."""
        values = dict(zip(self._model.species, np.maximum(x, 0.0), strict=True))
        return np.array([np.broadcast_to(p(values, t), x.shape[1:]) for p in self._programs], dtype=float)

    def step(self, x: FloatArray, t: float, h: float, first: FloatArray, second: FloatArray) -> FloatArray:
        """Take a step of length 2h with normal numbers `first` and `second`, (R, runs) each."""
        with np.errstate(all="ignore"):  # paths that explode are seen where times are asked for
            a = self.rates(x, t)
            y = self._inside(x + self._change @ (a * h + np.sqrt(a * h) * first))
            b = 2.0 * self.rates(y, t + h) - a
            return self._inside(y + self._change @ (b * h + np.sqrt(np.maximum(b, 0.0) * h) * second))

    def _inside(self, x: FloatArray) -> FloatArray:
        return np.abs(x) if self._reflects else x


def _moments(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return means and standard deviations, (d,) each."""
    return x.mean(axis=1), x.std(axis=1, ddof=1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and 2 <= int(value) <= LARGEST_WHOLE
