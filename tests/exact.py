"""Closed-form solutions of the chemical master equation, each with its source.

Everything is a sum of non-negative terms, so that nothing cancels, or is evaluated in 40 to 80 digits
(mpmath) and rounded once.  Binomial and Poisson probabilities follow Loader's saddle-point form: with the
Stirling error δ(n) = ln n! − ln(√(2πn) (n/e)ⁿ) and the deviance D(x, m) = x ln(x/m) + m − x,

    ln Poisson(n; m) = −½ ln(2πn) − δ(n) − D(n, m),

which keeps 14 digits where differences of log-gamma functions lose three.  Copy numbers come first and may
be an array; then the time; then the rates by name, 1/time.  Where t = inf is said to be allowed, it asks for
the stationary law.  Mass action is combinatorial: a pair reacts with propensity c x (x − 1) / 2.

References
----------
C. Loader (2000), Fast and accurate computation of binomial probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


# ------------------------------------------------------------------------------------------
# The three laws that most of the others are made of


def _stirling_error(x: FloatArray) -> FloatArray:
    """δ(x) = ln Γ(x + 1) − (x + ½) ln x + x − ½ ln 2π, for x > 0."""
    small = np.minimum(x, 15.0)
    direct = special.gammaln(small + 1) - (small + 0.5) * np.log(small) + small - 0.5 * np.log(2 * np.pi)
    r = 1 / np.maximum(x, 15.0) ** 2
    series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / np.maximum(x, 15.0)
    return np.where(x <= 15, direct, series)


def _deviance(x: FloatArray, m: FloatArray | float) -> FloatArray:
    """D(x, m) = x ln(x/m) + m − x ≥ 0, without the cancellation at x ≈ m."""
    v = (x - m) / (x + m)
    v2 = np.where(np.abs(v) < 0.1, v, 0.0) ** 2
    series = sum(v2**j / (2 * j + 1) for j in range(1, 9))
    return np.where(np.abs(v) < 0.1, (x - m) * v + 2 * x * v * series, special.xlogy(x, x / m) + m - x)


def poisson(n: ArrayLike, mean: float) -> FloatArray:
    """Give the Poisson distribution at `n` (any shape; zero at negative `n`)."""
    n = np.asarray(n, dtype=float)
    if mean == 0:
        return np.where(n == 0, 1.0, 0.0)
    x = np.maximum(n, 1.0)
    log_p = -0.5 * np.log(2 * np.pi * x) - _stirling_error(x) - _deviance(x, mean)
    return np.where(n > 0, np.exp(log_p), np.where(n == 0, np.exp(-mean), 0.0))


def _log_binomial(k: FloatArray, trials: FloatArray, p: float, q: float) -> FloatArray:
    """ln C(trials, k) pᵏ q^(trials − k) for 0 < k < trials, both real."""
    rest = trials - k
    log_p = _stirling_error(trials) - _stirling_error(k) - _stirling_error(rest)
    log_p -= _deviance(k, trials * p) + _deviance(rest, trials * q)
    return log_p + 0.5 * np.log(trials / (2 * np.pi * k * rest))


def binomial(k: ArrayLike, trials: int, p: float, q: float | None = None) -> FloatArray:
    """Give the binomial distribution at `k` (any shape); pass `q` = 1 − p where that has more digits."""
    k = np.asarray(k, dtype=float)
    q = 1 - p if q is None else q
    if p == 0 or q == 0 or trials == 0:
        return np.where(k == (trials if q == 0 else 0), 1.0, 0.0)
    inside = (k > 0) & (k < trials)
    log_p = np.full(k.shape, -np.inf)
    log_p[inside] = _log_binomial(k[inside], np.full(inside.sum(), float(trials)), p, q)
    log_p[k == 0] = trials * (np.log1p(-p) if p < q else np.log(q))
    log_p[k == trials] = trials * (np.log1p(-q) if q < p else np.log(p))
    return np.exp(log_p)


def negative_binomial(n: ArrayLike, r: float, p: float, q: float | None = None) -> FloatArray:
    """Give Γ(r + n) / (Γ(r) n!) pʳ qⁿ at `n` (any shape), for real r ≥ 0."""
    n = np.asarray(n, dtype=float)
    q = 1 - p if q is None else q
    if r == 0 or q == 0:
        return np.where(n == 0, 1.0, 0.0)
    x = np.maximum(n, 1.0)
    log_p = _log_binomial(np.full(x.shape, float(r)), x + r, p, q) + np.log(r / (r + x))
    at_zero = np.exp(r * (np.log1p(-q) if q < p else np.log(p)))
    return np.where(n > 0, np.exp(log_p), np.where(n == 0, at_zero, 0.0))


def _convolve(n: ArrayLike, first: FloatArray, second: Callable[[IntArray], FloatArray]) -> FloatArray:
    """Σ_j first[j] second(n − j)."""
    j = np.arange(len(first))
    return second(np.subtract.outer(np.asarray(n), j)) @ first


def _decayed(rate: float, t: float) -> tuple[float, float]:
    """Give e^(−rate t) and 1 − e^(−rate t)."""
    return float(np.exp(-rate * t)), float(-np.expm1(-rate * t))


def _round(values: Sequence[mpmath.mpf]) -> FloatArray:
    return np.array([float(value) for value in values])


# ------------------------------------------------------------------------------------------
# One species


def decay(n: ArrayLike, t: float, *, rate: float, start: int) -> FloatArray:
    """Solve X → 0 at rate x: dP(n)/dt = k (n + 1) P(n + 1) − k n P(n).

    References
    ----------
    D. A. McQuarrie (1967), J. Appl. Probab. 4, 413, doi:10.2307/3212214.
    """
    return binomial(n, start, *_decayed(rate, t))


def death_chain(t: float, *, rates: Sequence[float]) -> FloatArray:
    """Solve a chain of one-way steps 0 → 1 → 2 → … that leaves stage i at rates[i] (distinct; the last 0).

    Degradation by any law is one: stage i holds the start less i times what a reaction takes away.

    Returns
    -------
    ndarray, shape (len(rates),)
        Probability of each stage at time `t`, from stage 0 at time 0.

    References
    ----------
    H. Bateman (1910), Proc. Cambridge Philos. Soc. 15, 423.
    """
    with mpmath.workdps(80):
        k = [mpmath.mpf(rate) for rate in rates]
        gone = [mpmath.exp(-rate * mpmath.mpf(t)) for rate in k]
        stages = []
        for last in range(len(k)):
            so_far = range(last + 1)
            terms = (gone[j] / mpmath.fprod(k[i] - k[j] for i in so_far if i != j) for j in so_far)
            stages.append(mpmath.fprod(k[:last]) * mpmath.fsum(terms))
        return _round(stages)


def immigration_death(n: ArrayLike, t: float, *, birth: float, death: float, start: int = 0) -> FloatArray:
    """Solve 0 → X at rate `birth`, X → 0 at rate `death` x: binomial ∗ Poisson (t = inf allowed).

    References
    ----------
    T. Jahnke and W. Huisinga (2007), J. Math. Biol. 54, 1, doi:10.1007/s00285-006-0034-x, theorem 1, d = 1.
    """
    alive, gone = _decayed(death, t)
    mean = birth / death * gone
    return _convolve(n, binomial(np.arange(start + 1), start, alive, gone), lambda m: poisson(m, mean))


def linear_birth_death(
    n: ArrayLike, t: float, *, birth: float, death: float, start: int, immigration: float = 0.0
) -> FloatArray:
    """Solve X → 2X at rate `birth` x, X → 0 at rate `death` x, 0 → X at rate `immigration`.

    Of the families of the `start` first individuals, binomially many are alive, each geometric in size;
    immigrants add a negative binomial.  With τ = (e^((λ−μ)t) − 1)/(λ − μ) nothing is singular at λ = μ, and
    all terms are positive.

    References
    ----------
    N. T. J. Bailey (1964), The Elements of Stochastic Processes, section 8.6;
    D. G. Kendall (1948), Ann. Math. Stat. 19, 1, doi:10.1214/aoms/1177730285.
    """
    growth = birth - death
    tau = np.expm1(growth * t) / growth if growth else t
    stop, more = 1 / (1 + birth * tau), birth * tau / (1 + birth * tau)  # of the geometric laws
    alive, gone = np.exp(growth * t) * stop, death * tau * stop
    size = np.arange(int(np.max(n)) + 1)
    families = binomial(np.arange(start + 1), start, alive, gone)
    born = sum(weight * negative_binomial(size - k, k, stop, more) for k, weight in enumerate(families))
    if not immigration:
        return born[np.asarray(n)]
    return _convolve(n, born, lambda m: negative_binomial(m, immigration / birth, stop, more))


def bursty_expression(n: ArrayLike, *, frequency: float, mean_burst: float, death: float) -> FloatArray:
    """Give the stationary law of geometric bursts (0, 1, 2, …) at rate `frequency`, X → 0 at `death` x.

    References
    ----------
    V. Shahrezaei and P. S. Swain (2008), PNAS 105, 17256, doi:10.1073/pnas.0803850105.
    """
    return negative_binomial(n, frequency / death, 1 / (1 + mean_burst), mean_burst / (1 + mean_burst))


def finite_bursts(n: ArrayLike, t: float, *, rates: Sequence[float], death: float, start: int = 0) -> FloatArray:
    """Solve 0 → k X at rates[k − 1], k = 1 … K, and X → 0 at rate `death` x.

    Bursts that leave j survivors are Poisson, of mean λ_j = Σ_{k≥j} rates[k−1] I_{1−u}(k−j+1, j) / (death j)
    with u = e^(−death t) and the incomplete beta function I; the sum of the survivors follows by Panjer's
    recursion, of positive terms.  t = inf is allowed.

    References
    ----------
    H. H. Panjer (1981), ASTIN Bull. 12, 22, doi:10.1017/S0515036100006796.
    """
    alive, gone = _decayed(death, t)
    k = np.arange(1, len(rates) + 1)
    j = k[:, None]
    leave = np.triu(special.betainc(np.maximum(k - j + 1, 1), j, gone))  # (K, K), zero where j > k
    jumps = leave @ np.asarray(rates) / death  # (K,): j λ_j
    p = np.zeros(int(np.max(n)) + 1)
    p[0] = np.exp(-np.sum(jumps / k))
    for m in range(1, len(p)):
        reach = min(m, len(k))
        p[m] = np.dot(jumps[:reach], p[m - 1 :: -1][:reach]) / m
    return _convolve(n, p, lambda m: binomial(m, start, alive, gone))


def pair_annihilation(n: ArrayLike, *, birth: float, pair: float, death: float = 0.0) -> FloatArray:
    """Give the stationary law of 0 → X (`birth`), 2X → 0 (`pair` x(x−1)/2), X → 0 (`death` x).

    The generating function solves (1 + z) G″ + δ G′ = κ G, κ = 2 birth/pair, δ = 2 death/pair; the solution
    that is analytic at z = −1 is (1+z)^(−μ/2) I_μ(2√(κ(1+z))), μ = δ − 1.  0 → X joins the even and the odd
    numbers in one class.

    References
    ----------
    R. M. Mazo (1975), J. Chem. Phys. 62, 4244;
    C. W. Gardiner, Handbook of Stochastic Methods, chapter 7.
    """
    with mpmath.workdps(40):
        kappa, mu = 2 * mpmath.mpf(birth) / pair, 2 * mpmath.mpf(death) / pair - 1
        norm = mpmath.mpf(2) ** (-mu / 2) * mpmath.besseli(mu, 2 * mpmath.sqrt(2 * kappa))
        argument = 2 * mpmath.sqrt(kappa)
        return _round(
            [
                kappa ** (mpmath.mpf(m) / 2) / mpmath.factorial(m) * mpmath.besseli(mu + m, argument) / norm
                for m in np.asarray(n).tolist()
            ]
        )


def birth_death_stationary(up: ArrayLike, down: ArrayLike) -> FloatArray:
    """Give the stationary law of a chain n ⇌ n + 1: π(n) ∝ Π_{i=1..n} up[i − 1] / down[i].

    Parameters
    ----------
    up, down
        Rates of n → n + 1 and n → n − 1, shape (n_max + 1,), 1/time; up[-1] and down[0] are not used.

    References
    ----------
    C. W. Gardiner, Handbook of Stochastic Methods, chapter 7 (detailed balance of one-step processes).
    """
    with mpmath.workdps(40):
        weights = [mpmath.mpf(1)]
        for a, b in zip(np.asarray(up)[:-1].tolist(), np.asarray(down)[1:].tolist(), strict=True):
            weights.append(weights[-1] * a / b)
        total = mpmath.fsum(weights)
        return _round([weight / total for weight in weights])


def schloegl(n_max: int, *, c1: float, c2: float, c3: float, c4: float) -> FloatArray:
    """Give the stationary law of 2X → 3X (c1), 3X → 2X (c2), 0 → X (c3), X → 0 (c4) on 0 … n_max.

    References
    ----------
    F. Schlögl (1972), Z. Phys. 253, 147, doi:10.1007/BF01379769;
    M. Vellela and H. Qian (2009), J. R. Soc. Interface 6, 925, doi:10.1098/rsif.2008.0476, section 2.
    """
    x = np.arange(n_max + 1.0)
    return birth_death_stationary(c1 * x * (x - 1) / 2 + c3, c2 * x * (x - 1) * (x - 2) / 6 + c4 * x)


def feedback(n_max: int, *, birth: float, death: float, threshold: float, hill: float) -> FloatArray:
    """Give the stationary law of 0 → X (birth / (1 + (x/threshold)^hill)), X → 0 (death x) on 0 … n_max."""
    x = np.arange(n_max + 1.0)
    return birth_death_stationary(birth / (1 + (x / threshold) ** hill), death * x)


def queue(n: ArrayLike, t: float, *, arrival: float, service: float, start: int = 0) -> FloatArray:
    """Solve the M/M/1 queue: 0 → X at rate `arrival`, X → 0 at rate `service` while x ≥ 1 (t = inf allowed).

    References
    ----------
    L. Kleinrock (1975), Queueing Systems 1, equation 2.163.
    """
    with mpmath.workdps(60):
        load = mpmath.mpf(arrival) / service
        if t == np.inf:
            return _round([(1 - load) * load**m for m in np.asarray(n).tolist()])
        x = 2 * mpmath.sqrt(mpmath.mpf(arrival) * service) * t
        n_bessel = int(np.max(n)) + start + 60 + int(2 * x)
        damping = mpmath.exp(-(mpmath.mpf(arrival) + service) * t)
        bessel = [damping * mpmath.besseli(j, x) for j in range(n_bessel)]
        root = mpmath.sqrt(load)
        tails = [mpmath.mpf(0)]  # Σ_{j ≥ i} root^(−j) I_j, from the smallest term on
        for j in reversed(range(n_bessel)):
            tails.append(tails[-1] + root**-j * bessel[j])
        tails.reverse()
        return _round(
            [
                root ** (m - start) * bessel[abs(m - start)]
                + root ** (m - start - 1) * bessel[m + start + 1]
                + (1 - load) * load**m * tails[m + start + 2]
                for m in np.asarray(n).tolist()
            ]
        )


# ------------------------------------------------------------------------------------------
# Several species


def isomerization(
    n_b: ArrayLike, t: float, *, forward: float, backward: float, start_a: int, start_b: int = 0
) -> FloatArray:
    """Solve A → B at rate `forward` a, B → A at rate `backward` b, for the number of B.

    Molecules are independent; as t → inf (allowed): Binomial(N, K/(1 + K)), K = forward/backward.

    References
    ----------
    I. G. Darvey and P. J. Staff (1966), J. Chem. Phys. 44, 990.
    """
    total = forward + backward
    stay, moved = _decayed(total, t)
    a_to_b, a_to_a = forward * moved / total, (backward + forward * stay) / total
    b_to_a, b_to_b = backward * moved / total, (forward + backward * stay) / total
    from_a = binomial(np.arange(start_a + 1), start_a, a_to_b, a_to_a)
    return _convolve(n_b, from_a, lambda m: binomial(m, start_b, b_to_b, b_to_a))


def monomolecular(
    upper: Sequence[int],
    t: float,
    *,
    start: Sequence[int],
    conversion: ArrayLike,
    birth: ArrayLike = 0.0,
    death: ArrayLike = 0.0,
) -> FloatArray:
    """Solve any network of 0 → S_i (`birth`), S_i → 0 (`death`), S_i → S_j (`conversion`[i, j]) on a box.

    A product of Poisson laws, convolved with one categorical law for each molecule of the start.  To reach a
    state of the box only smaller states are needed, so that cutting the box off is no approximation.

    Parameters
    ----------
    upper
        Largest copy number of each species, (d,).
    conversion, birth, death
        Rates, (d, d) with an unused diagonal, (d,) and (d,), 1/time.

    Returns
    -------
    ndarray, shape (upper[0] + 1, upper[1] + 1, …)

    References
    ----------
    T. Jahnke and W. Huisinga (2007), J. Math. Biol. 54, 1, doi:10.1007/s00285-006-0034-x, theorem 1.
    """
    d = len(upper)
    rates = np.array(conversion, dtype=float)
    np.fill_diagonal(rates, 0.0)
    flow = np.zeros((d + 1, d + 1))  # of the mean: d/dt (mean, 1) = flow (mean, 1)
    flow[:d, :d] = rates.T - np.diag(rates.sum(axis=1) + np.broadcast_to(death, d))
    flow[:d, d] = birth
    with mpmath.workdps(40):
        mean = np.array(mpmath.expm(mpmath.matrix(flow.tolist()) * mpmath.mpf(t)).tolist())
        lost = _round([1 - mpmath.fsum(mean[:d, i]) for i in range(d)])
    where, mean = mean[:d, :d].astype(float), mean[:d, d].astype(float)  # where[j, i]: an S_i is an S_j now
    p = np.ones(())
    for top, m in zip(upper, mean, strict=True):
        p = np.multiply.outer(p, poisson(np.arange(top + 1), float(m)))
    for i in np.repeat(np.arange(d), start):
        moved = lost[i] * p
        for j in range(d):
            to, source = ([slice(None)] * d for _ in range(2))
            to[j], source[j] = slice(1, None), slice(None, -1)
            moved[tuple(to)] += where[j, i] * p[tuple(source)]
        p = moved
    return p


def product_form(states: ArrayLike, concentrations: Sequence[float]) -> FloatArray:
    """Give π(x) ∝ Π_i c_i^(x_i) / x_i! on an irreducible class of a complex-balanced network.

    Parameters
    ----------
    states
        All states of the class, (n, d).
    concentrations
        A complex-balanced equilibrium of the rate equations whose constants are κ = c / Π ν_i! , (d,).

    References
    ----------
    D. F. Anderson, G. Craciun and T. G. Kurtz (2010), Bull. Math. Biol. 72, 1947,
    doi:10.1007/s11538-010-9517-4, theorem 4.1.
    """
    with mpmath.workdps(40):
        c = [mpmath.mpf(value) for value in concentrations]
        weights = [
            mpmath.fprod(ci**xi / mpmath.factorial(xi) for ci, xi in zip(c, x, strict=True))
            for x in np.asarray(states).tolist()
        ]
        total = mpmath.fsum(weights)
        return _round([weight / total for weight in weights])


def dimerization(*, total: int, forward: float, backward: float) -> tuple[IntArray, FloatArray]:
    """Give the stationary law of 2A → B (forward a(a−1)/2), B → 2A (backward b), where a + 2b = `total`.

    Returns
    -------
    states : ndarray, shape (total // 2 + 1, 2)
    probabilities : ndarray, shape (total // 2 + 1,)
    """
    b = np.arange(total // 2, -1, -1)
    states = np.stack([total - 2 * b, b], axis=1)
    return states, product_form(states, [1.0, forward / (2 * backward)])


def binding(*, total_a: int, total_b: int, forward: float, backward: float) -> tuple[IntArray, FloatArray]:
    """Give the stationary law of A + B → C (forward a b), C → A + B (backward c); a + c, b + c conserved.

    Returns
    -------
    states : ndarray, shape (min(total_a, total_b) + 1, 3)
    probabilities : ndarray, shape (min(total_a, total_b) + 1,)
    """
    c = np.arange(min(total_a, total_b), -1, -1)
    states = np.stack([total_a - c, total_b - c, c], axis=1)
    return states, product_form(states, [1.0, 1.0, forward / backward])


# ------------------------------------------------------------------------------------------
# Genes with two states; rows of the answer: gene off, gene on


def telegraph_stationary(n: ArrayLike, *, on: float, off: float, make: float, death: float) -> FloatArray:
    """Give the stationary joint law of off ⇌ on (rates `on`, `off`), on → on + M (`make`), M → 0 (`death`).

    Poisson laws mixed by Beta laws: Beta(a, b + 1) of weight b/(a + b) with the gene off, Beta(a + 1, b) of
    weight a/(a + b) with it on, a = on/death, b = off/death.  Their sum is Beta(a, b).

    Returns
    -------
    ndarray, shape (2, len(n))

    References
    ----------
    J. Peccoud and B. Ycart (1995), Theor. Popul. Biol. 48, 222, doi:10.1006/tpbi.1995.1027;
    A. Raj et al. (2006), PLoS Biol. 4, e309, doi:10.1371/journal.pbio.0040309, supplement.
    """
    with mpmath.workdps(40):
        a, b, r = (mpmath.mpf(rate) / death for rate in (on, off, make))

        def poisson_beta(m: int, a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
            kummer = mpmath.exp(-r) * mpmath.hyp1f1(b, a + b + m, r)  # = 1F1(a + m; a + b + m; −r)
            return r**m / mpmath.factorial(m) * mpmath.rf(a, m) / mpmath.rf(a + b, m) * kummer

        numbers = np.asarray(n).tolist()
        off_row = [b / (a + b) * poisson_beta(m, a, b + 1) for m in numbers]
        on_row = [a / (a + b) * poisson_beta(m, a + 1, b) for m in numbers]
        return np.array([_round(off_row), _round(on_row)])


def telegraph(
    n: ArrayLike,
    t: float,
    *,
    on: float,
    off: float,
    make: float,
    death: float,
    start: int = 0,
    start_on: bool = False,
) -> FloatArray:
    """Solve the telegraph gene from `start` M, the gene off or on; (on + off)/death must not be an integer.

    Along the characteristics y e^(−t), y = r (z − 1), in units of 1/death, the generating functions combine
    two columns of Kummer functions, one constant in time, one that decays as e^(−(a+b)t); a Fourier sum on
    |z| = 1 takes the coefficients, to 1e-16 absolutely.

    Returns
    -------
    ndarray, shape (2, len(n))

    References
    ----------
    S. Iyer-Biswas, F. Hayot and C. Jayaprakash (2009), Phys. Rev. E 79, 031911,
    doi:10.1103/PhysRevE.79.031911.
    """
    n_nodes = int(max(np.max(n), start + make / death + 15 * np.sqrt(make / death) + 40)) + 1
    with mpmath.workdps(40):
        a, b, r = (mpmath.mpf(rate) / death for rate in (on, off, make))
        shrink = mpmath.exp(-mpmath.mpf(t) * death)

        def columns(y: mpmath.mpc) -> mpmath.matrix:
            first = [mpmath.hyp1f1(a, 1 + a + b, y), a / b * mpmath.hyp1f1(a + 1, 1 + a + b, y)]
            second = [mpmath.hyp1f1(-b, 1 - a - b, y), -mpmath.hyp1f1(1 - b, 1 - a - b, y)]
            return mpmath.matrix([[first[0], second[0]], [first[1], second[1]]])

        values = np.empty((2, n_nodes // 2 + 1), dtype=complex)
        for node in range(n_nodes // 2 + 1):
            v = mpmath.expjpi(-mpmath.mpf(2 * node) / n_nodes) - 1
            origin = (1 + v * shrink) ** start
            begin = mpmath.matrix([0, origin] if start_on else [origin, 0])
            weights = mpmath.lu_solve(columns(r * v * shrink), begin)
            weights[1] *= shrink ** (a + b)
            values[:, node] = [complex(value) for value in columns(r * v) * weights]
    return np.fft.irfft(values, n_nodes)[:, np.asarray(n)]


def self_regulating_gene(
    n: ArrayLike,
    *,
    bind: float,
    unbind: float,
    make_free: float,
    make_bound: float,
    death: float,
    lose_bound: float = 0.0,
) -> FloatArray:
    """Give the stationary joint law of a gene that its own protein P switches (rows: free, bound).

    G → G + P (`make_free`), GP → GP + P (`make_bound`), P → 0 (`death`), G + P → GP (`bind`),
    GP → G + P (`unbind`), GP → G (`lose_bound`).  With Σ = 1 + bind and rates in units of `death`, the
    generating function of the bound state is e^(ρ_b x) 1F1(α; β; −Δx) in x = z − 1/Σ, Δ = ρ_b − ρ_f/Σ; that
    of the free state follows from the balance of P.  `make_free` must be positive, and Δ not zero.

    Returns
    -------
    ndarray, shape (2, len(n))

    References
    ----------
    R. Grima, D. R. Schmidt and T. J. Newman (2012), J. Chem. Phys. 137, 035104, doi:10.1063/1.4736721.
    """
    last = int(np.max(n)) + 2
    with mpmath.workdps(80):
        sb, su, lose = (mpmath.mpf(rate) / death for rate in (bind, unbind, lose_bound))
        ru, rb = (mpmath.mpf(rate) / death for rate in (make_free, make_bound))
        sigma, leave = 1 + sb, su + lose
        delta = rb - ru / sigma
        beta = 1 + leave + sb / sigma * (ru / sigma - su)
        alpha = (rb * (leave - sb / sigma * su) - ru * leave / sigma) / delta

        def derivatives(x: mpmath.mpf, count: int) -> list[mpmath.mpf]:
            """Taylor coefficients at x: of the exponential, times those of the Kummer function."""
            growth = [mpmath.exp(rb * x) * rb**k / mpmath.factorial(k) for k in range(count)]
            kummer = [
                mpmath.hyp1f1(alpha + k, beta + k, -delta * x)
                * mpmath.rf(alpha, k) / mpmath.rf(beta, k) * (-delta) ** k / mpmath.factorial(k)
                for k in range(count)
            ]  # fmt: skip
            return [mpmath.fsum(growth[k - i] * kummer[i] for i in range(k + 1)) for k in range(count)]

        def free(f: list[mpmath.mpf], y: int) -> list[mpmath.mpf]:
            """Taylor coefficients of the free state's function at z = 1 + y, from the bound one's."""
            slope = [(k + 1) * f[k + 1] for k in range(len(f) - 1)]
            shifted = [0, *f], [0, *slope]  # times (z − z₀)
            steps = [
                (y * slope[k] + shifted[1][k] + (leave - rb * y) * f[k] - rb * shifted[0][k]) / sb
                for k in range(len(slope))
            ]
            return [(sigma * steps[k] - (rb + su) * f[k] + slope[k]) / ru for k in range(len(slope))]

        at_one, at_zero = derivatives(1 - 1 / sigma, 2), derivatives(-1 / sigma, last)
        total = at_one[0] + free(at_one, 0)[0]
        rows = free(at_zero, -1), at_zero
        return np.array([_round([row[m] / total for m in np.asarray(n).tolist()]) for row in rows])
