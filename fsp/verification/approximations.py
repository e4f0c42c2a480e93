"""Approximations of the master equation, and their distance from it as the volume grows.

In volume V the chain starts in V x₀ and a reaction has the propensity a_V(x).  Mass action of order n, also where it is
written as a formula, is scaled as c V^(1-n) ∏ binomial(xᵢ, nᵢ), with the macroscopic rate f(y) = c ∏ yᵢ^nᵢ/nᵢ!; any
other formula a(x) as V a(x/V), with f = a.  At V = 1 this is the model as given.  With concentrations y = x/V,
stoichiometry S, and J = ∂(S f)/∂y::

    reaction-rate equations      dy/dt = S f(y)
    linear noise approximation   X ~ Normal(V y, V C),   dC/dt = J C + C Jᵀ + S diag(f) Sᵀ
    chemical Langevin equation   dX = S a_V(X) dt + S diag(√a_V(X)) dW

The error of the mean concentration falls as 1/V where the limit is a single stable path.

References
----------
T. G. Kurtz, J. Chem. Phys. 57:2976, 1972, doi:10.1063/1.1678692.
N. G. van Kampen, Stochastic Processes in Physics and Chemistry, chapter X.
D. T. Gillespie, J. Chem. Phys. 113:297, 2000, doi:10.1063/1.481811.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.stats import norm

from fsp.doors import transient
from fsp.errors import ArgumentError, ConvergenceError, ModelError
from fsp.model import Model, Reaction
from fsp.model.arguments import check_call
from fsp.model.program import compiled, evaluate
from fsp.model.reaction import mass_action_law
from fsp.model.taylor import has_switches
from fsp.model.times import checked_times
from fsp.model.tree import ONE, Expression, Number, Symbol, call, substitute

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution

TOLERANCE = 1e-9  # relative, of the ordinary differential equations
STEPS = 1000  # of Euler and Maruyama's method, over the whole time
DIFFERENCE = 1e-6  # relative step of the central differences in J
MOST_EVALUATIONS = 200_000  # of the right-hand side
PROBES = 8  # states in which a formula is compared with mass action


@dataclass(frozen=True, slots=True, eq=False)
class Approximations:
    """Approximations beside the master equation; arrays have the shape (volumes, times, species), in molecules.

    Parameters
    ----------
    model_name, volumes, times, species
        What was computed.
    runs
        Number of paths of the Langevin equation; 0 for none.
    cme_mean, cme_sd
        Of the master equation.
    error
        Bound on the 1-norm error of its distributions, (volumes, times).
    rre_mean
        Solution of the reaction-rate equations, which is the mean of the linear noise approximation too.
    lna_sd
        Standard deviation of the linear noise approximation.
    cle_mean, cle_sd
        Sampled from the Langevin equation; NaN without runs.
    l1, wasserstein
        Distances of each marginal from the normal law of the linear noise approximation on whole counts: the sum of
        |p - q|, which is at most 2, and the sum of |F - G|, in molecules.
    """

    model_name: str
    volumes: tuple[float, ...]
    times: tuple[float, ...]
    species: tuple[str, ...]
    runs: int
    cme_mean: FloatArray
    cme_sd: FloatArray
    error: FloatArray
    rre_mean: FloatArray
    lna_sd: FloatArray
    cle_mean: FloatArray
    cle_sd: FloatArray
    l1: FloatArray
    wasserstein: FloatArray

    @property
    def mean_error(self) -> FloatArray:
        """Distance of the reaction-rate equations from the mean concentration, (volumes, times, species)."""
        distance: FloatArray = np.abs(self.rre_mean - self.cme_mean) / np.array(self.volumes)[:, None, None]
        return distance

    @property
    def order(self) -> FloatArray:
        """Power of 1/V with which `mean_error` falls, by least squares, (times, species); NaN for a single volume."""
        shape = self.mean_error.shape
        if len(self.volumes) < 2:
            return np.full(shape[1:], np.nan)
        with np.errstate(divide="ignore"):
            logs = np.log(self.mean_error).reshape(len(self.volumes), -1)
        gaps = np.log(self.volumes) - np.mean(np.log(self.volumes))
        order: FloatArray = -(gaps @ logs / (gaps @ gaps)).reshape(shape[1:])
        return order

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each volume, time and species."""
        names = ("cme_mean", "rre_mean", "cle_mean", "cme_sd", "lna_sd", "cle_sd", "mean_error", "l1", "wasserstein")
        columns = {name: getattr(self, name) for name in names}
        return [
            {"volume": volume, "t": t, "species": one, **{name: float(c[v, k, j]) for name, c in columns.items()}}
            for v, volume in enumerate(self.volumes)
            for k, t in enumerate(self.times)
            for j, one in enumerate(self.species)
        ]

    def __str__(self) -> str:
        noisy = f"; Langevin equation: {self.runs:,} paths" if self.runs else ""
        bound = self.error.max()
        lines = [f"{self.model_name}: master equation (error ≤ {bound:.1e}) and its approximations{noisy}"]
        lines.append(f"{'V':>8} {'t':>8} {'species':>8} {'mean':>11} {'RRE':>11} {'CLE':>11} {'sd':>10} {'LNA':>10} "
                     f"{'CLE':>10} {'L1':>9} {'W1':>9}")  # fmt: skip
        for row in self.table():
            means = " ".join(f"{row[name]:11.5g}" for name in ("cme_mean", "rre_mean", "cle_mean"))
            sds = " ".join(f"{row[name]:10.4g}" for name in ("cme_sd", "lna_sd", "cle_sd"))
            laws = f"{row['l1']:9.2e} {row['wasserstein']:9.2e}"
            lines.append(f"{row['volume']:8g} {row['t']:8g} {row['species']:>8} {means} {sds} {laws}")
        if len(self.volumes) > 1:
            fall = (f"{name} V^{-order:.2f}" for name, order in zip(self.species, self.order[-1], strict=True))
            lines.append(
                f"mean concentration, master equation less reaction-rate equations: falls as {', '.join(fall)}"
            )
        lines.append("L1, W1: 1-norm and Wasserstein distance of the marginal from the normal law of linear noise")
        return "\n".join(lines)


def approximations(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    volumes: Sequence[float] = (1, 2, 4, 8),
    *,
    tol: float = 1e-8,
    runs: int = 0,
    seed: int | None = None,
    steps: int = STEPS,
    max_states: int | None = None,
) -> Approximations:
    """Compare the reaction-rate, linear noise and Langevin approximations with the master equation.

    Parameters
    ----------
    model
        The network, which starts in one state.
    times
        Increasing times >= 0.
    volumes
        Factors of the volume; each must make the initial counts whole.
    tol
        Bound on the 1-norm error of the master equation's solutions.
    runs
        Paths of the chemical Langevin equation, by Euler and Maruyama's method; rates are those of counts that are not
        negative.  None by default.
    seed
        For these paths.
    steps
        Their number of steps over the whole time.
    max_states
        Limit on the states of the master equation.

    Returns
    -------
    Approximations
        Means, standard deviations and distances; it prints as a table.

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    ModelError
        If a rate is a callable, or mass action of order two but for a condition; if the model has events, or starts in
        a distribution.
    ConvergenceError
        If the reaction-rate equations cannot be solved, as where they explode.
    """
    check_call(model, max_states=max_states)
    grid = checked_times(times)
    factors = tuple(float(v) for v in volumes)
    if not factors or not all(0.0 < v < math.inf for v in factors):
        raise ArgumentError(f"`volumes` must be positive numbers, but are {list(volumes)}.")
    if runs < 0 or runs == 1 or steps < 1:
        raise ArgumentError(f"`runs` must be 0 or at least 2 and `steps` at least 1, but are {runs} and {steps}.")
    network = _Network.of(model)
    y, spread = network.linear_noise(grid)  # (T, d), (T, d, d)
    variance = np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0.0)  # (T, d)
    shape = (len(factors), len(grid), model.n_species)
    filled = {
        name: np.full(shape, np.nan) for name in ("cme_mean", "cme_sd", "cle_mean", "cle_sd", "l1", "wasserstein")
    }
    error = np.empty(shape[:2])
    streams = np.random.SeedSequence(seed).spawn(len(factors))
    for v, volume in enumerate(factors):
        scaled = network.model_in(volume)
        solution = transient(scaled, grid, tol, max_states=max_states)
        error[v] = [d.error.total for d in solution]
        for k, d in enumerate(solution):
            filled["cme_mean"][v, k], filled["cme_sd"][v, k] = _moments(d)
            gauss = (volume * y[k], np.sqrt(volume * variance[k]))
            for j in range(model.n_species):
                filled["l1"][v, k, j], filled["wasserstein"][v, k, j] = _distances(d, j, gauss[0][j], gauss[1][j])
        if runs:
            filled["cle_mean"][v], filled["cle_sd"][v] = _langevin(scaled, grid, runs, steps, streams[v])
    scale = np.array(factors)[:, None, None]
    return Approximations(model.name, factors, tuple(grid.tolist()), model.species, runs, error=error,
                          rre_mean=scale * y, lna_sd=np.sqrt(scale * variance), **filled)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Network:
    """A model, with the macroscopic rate of each reaction, and its order where it is mass action."""

    model: Model
    macroscopic: tuple[Expression, ...]
    orders: tuple[int | None, ...]

    @classmethod
    def of(cls, model: Model) -> _Network:
        if model.events:
            raise ModelError(
                f"'{model.name}' must have no events to be approximated, but has '{model.events[0].name}'."
            )
        if len(model.initial_states) != 1:
            raise ModelError(
                f"'{model.name}' must start in one state to be approximated, but starts in a distribution."
            )
        found = [_macroscopic(model, k) for k in range(model.n_reactions)]
        return cls(model, tuple(tree for tree, _ in found), tuple(order for _, order in found))

    def model_in(self, volume: float) -> Model:
        """Return the model in another volume."""
        model = self.model
        if volume == 1.0:
            return model
        start = volume * model.initial_states[0]
        counts = np.rint(start)
        if (np.abs(start - counts) > 1e-9 * np.maximum(1.0, counts)).any():
            raise ArgumentError(f"`volumes` must make initial counts whole, but {volume:g} makes {start.tolist()}.")
        reactions = []
        for k, (reaction, order) in enumerate(zip(model.reactions, self.orders, strict=True)):
            law = model.rate_expressions[k]
            if law is None:
                continue  # a callable, which `of` has refused
            if order is None:
                inner = {name: call("/", Symbol(name), Number(volume)) for name in model.species}
                rate = call("*", Number(volume), substitute(law, inner))
            else:
                rate = call("*", Number(volume ** (1 - order)), law)
            reactions.append(Reaction(dict(reaction.change), rate=rate, name=reaction.name))
        species = dict(zip(model.species, counts.astype(int).tolist(), strict=True))
        return Model(species=species, reactions=reactions, name=f"{model.name} at volume {volume:g}")

    def linear_noise(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return concentrations, (T, d), and covariances C, (T, d, d)."""
        d = self.model.n_species
        S = self.model.change.T.astype(float)  # (d, R)
        programs = [compiled(tree) for tree in self.macroscopic]

        def rates(y: FloatArray, t: float) -> FloatArray:
            values = dict(zip(self.model.species, y, strict=True))
            with np.errstate(all="ignore"):
                return np.array([np.broadcast_to(p(values, t), y.shape[1:]) for p in programs], dtype=float)

        evaluations = [0]

        def slope(t: float, state: FloatArray) -> FloatArray:
            y, C = state[:d], state[d:].reshape(d, d)
            h = DIFFERENCE * np.maximum(np.abs(y), 1.0)
            below = np.minimum(h, np.maximum(y, 0.0))  # rates need not be defined for negative counts
            around = rates(np.column_stack([y, y[:, None] + np.diag(h), y[:, None] - np.diag(below)]), t)  # (R, 2d + 1)
            f = around[:, 0]
            J = S @ ((around[:, 1 : d + 1] - around[:, d + 1 :]) / (h + below))
            evaluations[0] += 1
            if evaluations[0] > MOST_EVALUATIONS:
                raise ConvergenceError(
                    f"Reaction-rate equations of '{self.model.name}' must be smooth, but took {MOST_EVALUATIONS:,} "
                    f"evaluations up to t = {t:g}: a rate jumps where the solution stays."
                )
            return np.concatenate([S @ f, (J @ C + C @ J.T + (S * f) @ S.T).ravel()])

        start = np.concatenate([self.model.initial_states[0].astype(float), np.zeros(d * d)])
        if times[-1] == 0.0:
            found = start[None, :]
        else:
            done = solve_ivp(
                slope, (0.0, float(times[-1])), start, "LSODA", t_eval=times, rtol=TOLERANCE, atol=TOLERANCE
            )
            if not done.success or not np.isfinite(done.y).all():
                raise ConvergenceError(
                    f"Reaction-rate equations of '{self.model.name}' must have a solution up to t = {times[-1]:g}, but "
                    f"the integration ended: {done.message}"
                )
            found = done.y.T
        return found[:, :d], found[:, d:].reshape(-1, d, d)


def _macroscopic(model: Model, k: int) -> tuple[Expression, int | None]:
    """Return the rate of concentrations in a large volume, and the order of mass action, None for another law."""
    law, reaction = model.rate_expressions[k], model.reactions[k]
    if law is None:
        raise ModelError(f"Rate of '{reaction.name}' must be a formula to be approximated, but is a callable.")
    reactants = reaction.reactants
    if reactants is None:
        return law, None
    random = np.random.default_rng(0)
    least = max(reactants.values(), default=0)
    values = {name: random.integers(least, 40 + least, PROBES).astype(float) for name in model.species}
    base = np.broadcast_to(evaluate(mass_action_law(ONE, reactants), values), (PROBES,))
    times = random.random(2)
    ratios = [np.asarray(evaluate(law, values, t)) / base for t in times]  # a constant may depend on time
    order = sum(reactants.values())
    if not all(np.ptp(ratio) <= 1e-12 * np.abs(ratio).max() for ratio in ratios):
        return law, None
    if has_switches(law):  # of which a few states tell nothing
        if order < 2:
            return law, None  # a rate of densities, of order 0 and 1 the same as mass action where no condition holds
        raise ModelError(
            f"Rate of '{reaction.name}' must be mass action, or no product of counts, to be scaled with the volume, "
            f"but is mass action with a condition; give it as `mass_action`."
        )
    one = {name: Number(float(n)) for name, n in reactants.items()}
    constant = substitute(law, one)  # there is one way to choose n of n
    powers = [call("^", Symbol(name), Number(float(n))) for name, n in reactants.items()]
    divisor = Number(float(math.prod(math.factorial(n) for n in reactants.values())))
    return call("/", call("*", constant, *powers), divisor), order


def _moments(d: Distribution) -> tuple[FloatArray, FloatArray]:
    """Return the means and standard deviations of what is stored, scaled to mass one."""
    p, x = d.probabilities / d.probabilities.sum(), d.states.astype(float)
    mean = p @ x
    return mean, np.sqrt(p @ (x - mean) ** 2)


def _distances(d: Distribution, j: int, mean: float, sd: float) -> tuple[float, float]:
    """Return the 1-norm and Wasserstein distance of a marginal from a normal law on whole counts >= 0."""
    top = int(max(d.states[:, j].max(), mean + 9.0 * sd)) + 2
    p = np.bincount(d.states[:, j], weights=d.probabilities, minlength=top)
    ends = np.arange(top) + 0.5
    below = norm.cdf(ends, mean, sd) if sd > 0.0 else (ends > mean).astype(float)  # what lies below 0 counts as 0
    return float(np.abs(p - np.diff(below, prepend=0.0)).sum()), float(np.abs(np.cumsum(p) - below).sum())


def _langevin(
    model: Model, times: FloatArray, runs: int, steps: int, stream: np.random.SeedSequence
) -> tuple[FloatArray, FloatArray]:
    """Return means and standard deviations of the chemical Langevin equation, (T, d) each."""
    random = np.random.Generator(np.random.Philox(stream))
    programs = [compiled(law) for law in model.rate_expressions if law is not None]
    x = np.repeat(model.initial_states[0].astype(float)[:, None], runs, axis=1)  # (d, runs)
    S = model.change.T.astype(float)
    means, sds, t = [], [], 0.0
    for end in times.tolist():
        n = max(1, math.ceil(steps * (end - t) / times[-1])) if end > t else 0
        h = (end - t) / max(n, 1)
        for step in range(n):
            values = dict(zip(model.species, np.maximum(x, 0.0), strict=True))
            with np.errstate(all="ignore"):
                a = np.array([np.broadcast_to(p(values, t + step * h), runs) for p in programs], dtype=float)
            a = np.maximum(np.nan_to_num(a), 0.0)
            x = x + S @ (a * h + np.sqrt(a * h) * random.standard_normal(a.shape))
        t = end
        means.append(x.mean(axis=1))
        sds.append(x.std(axis=1, ddof=1))
    return np.array(means), np.array(sds)
