"""What the certificate charges: each part of an integrator's error and rounding, seen from inside."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm

import fsp
from fsp import Chebyshev, Generator, Implicit, Krylov, Magnus, Model, Rational, Reaction, StateSpace, Uniformization
from fsp.distribution import ErrorLedger
from fsp.generator.slices import of_rows
from fsp.projection.growth import Growth
from fsp.solvers import LossLimit, augmented, implicit, kernels, small_exponential_kernels, stepping
from fsp.solvers.collocation import radau


def bimolecular():
    model = Model(
        species={"A": 9, "B": 0},
        reactions=[
            Reaction("2 A -> B", mass_action=0.3),
            Reaction("B -> 2 A", mass_action=1.0),
            Reaction("0 -> A", mass_action=2.0),
        ],
    )
    return Generator(model, StateSpace.box(model, [14, 7]))


def start(generator):
    p = np.zeros(len(generator))
    p[generator.space.index(generator.model.initial_states)] = 1.0
    return p


def integral_of_residual(generator, stages, values, z, h):
    """∫ ‖u′ − A u‖₁ over one step, by Gauss–Legendre between the nodes."""
    table = radau(stages)
    whole = np.vstack([z, values])
    x, w = np.polynomial.legendre.leggauss(30)
    total = 0.0
    for a, b in pairwise([0.0, *table.nodes]):
        at, slope = table.interpolate(0.5 * (a + b) + 0.5 * (b - a) * x)
        residual = slope @ whole / h - (generator.with_sinks @ (at @ whole).T).T
        total += 0.5 * h * (b - a) * float(w @ np.abs(residual).sum(axis=1))
    return total


@pytest.mark.parametrize("allowed", [1e-2, 1e-9])
@pytest.mark.parametrize("h", [0.05, 0.2, 1.0])
def test_error_of_an_implicit_step_is_the_integral_of_its_residual(h, allowed):
    generator = bimolecular()
    propagator = implicit._ImplicitPropagator(generator, Implicit(stages=4))
    step = propagator._step(start(generator), 0.0, h, allowed)
    z = np.concatenate([start(generator), np.zeros(generator.n_sinks)])
    exact = integral_of_residual(generator, 4, step.values, z, h)
    assert exact * (1.0 - 1e-6) <= step.error <= 2.0 * exact
    # stages that are not solved count as well
    monkey = pytest.MonkeyPatch()
    monkey.setattr(implicit, "STAGE_ITERATIONS", 0)
    rough = propagator._step(start(generator), 0.0, h, allowed)
    monkey.undo()
    exact = integral_of_residual(generator, 4, rough.values, z, h)
    assert exact * (1.0 - 1e-6) <= rough.error <= 5.0 * exact


def test_what_an_implicit_step_clips_is_in_its_error(monkeypatch):
    generator, clip = bimolecular(), kernels.clip
    with Implicit(1e-6).open(generator) as propagator:
        honest = propagator.advance(start(generator), 0.0, 0.1)
    monkeypatch.setattr(kernels, "clip", lambda z: clip(z) + 0.25)
    with Implicit(1e-6).open(generator) as propagator:
        step = propagator.advance(start(generator), 0.0, 0.1)
    assert step.error >= honest.error + 0.25


def test_what_a_krylov_step_clips_is_in_its_error(monkeypatch):
    generator, combine = bimolecular(), kernels.combine
    monkeypatch.setattr(kernels, "combine", lambda V, c, out: combine(V, c, out) + 0.25)
    with Krylov(1e-6).open(generator) as propagator:
        assert propagator.advance(start(generator), 0.0, 0.1).error >= 0.25


def test_what_a_krylov_step_clips_before_it_breaks_the_limit_is_in_its_error(monkeypatch):
    generator, combine = bimolecular(), kernels.combine_both
    monkeypatch.setattr(kernels, "combine_both", lambda V, c, out, d, other: combine(V, c, out, d, other) + 0.25)
    with Krylov(1e-6).open(generator) as propagator:
        step = propagator.advance(start(generator), 0.0, 5.0, limit=LossLimit(1e-6, 0.0))
    assert step.rejected is not None
    assert step.error >= 0.25


def test_what_a_chebyshev_step_clips_is_in_its_error(monkeypatch):
    generator, clip = bimolecular(), kernels.clip
    monkeypatch.setattr(kernels, "clip", lambda z: clip(z) + 0.25)
    with Chebyshev(1e-6).open(generator) as propagator:
        assert propagator.advance(start(generator), 0.0, 0.1).error >= 0.25


def test_what_a_magnus_step_clips_is_in_its_error(monkeypatch):
    combined = augmented.AugmentedBasis.combined
    monkeypatch.setattr(
        augmented.AugmentedBasis,
        "combined",
        lambda basis, space, u: (combined(basis, space, u)[0], combined(basis, space, u)[1] + 0.25),
    )
    with Magnus(1e-6).open(bimolecular()) as propagator:
        assert propagator.advance(start(bimolecular()), 0.0, 0.1, tol=10.0).error >= 0.25


@pytest.mark.parametrize(
    "solver",
    [Uniformization(1e-8), Krylov(1e-8), Chebyshev(1e-8), Implicit(1e-8)],
    ids=["uniformization", "krylov", "chebyshev", "implicit"],
)
def test_every_product_may_round(solver):
    """No vector of mass 1 passes through a product without an error of the order of the unit roundoff."""
    generator = bimolecular()
    with solver.open(generator) as propagator:
        step = propagator.advance(start(generator), 0.0, 40.0)
    assert step.t == 40.0
    jumps = 40.0 * float(generator.exit_rates @ start(generator))
    assert jumps > 400.0  # the sums of two vectors are charged as well
    assert step.rounding >= 2.0**-53 * min(step.n_matvec, jumps)


def test_growth_follows_the_flux():
    model = Model(
        species={"A": 0, "B": 0},
        reactions=[Reaction(e, mass_action=1.0) for e in ("0 -> A", "0 -> B", "A -> 0", "B -> 0")],
    )
    space = StateSpace.from_states(("A", "B"), StateSpace.box(model, 10).states)
    weight = np.zeros(len(space))
    weight[space.index([10, 3])] = 1.0
    grown = Growth(model, 10**6, None).grow(space, Generator(model, space), weight, 0.0, ErrorLedger())
    assert [11, 3] in grown
    assert [3, 11] not in grown
    assert [11, 9] not in grown


# ---- nothing is dropped because it is small -----------------------------------------------------------------


def exact_to_forty_digits(model, space, t):
    """Probabilities on a small space, which nothing leaves, by the eigenvectors of its generator."""
    matrix = Generator(model, space).to_csr().toarray()
    with mpmath.workdps(40):
        A = mpmath.matrix(matrix.tolist())
        for j in range(len(matrix)):  # the diagonal is a sum, which would be rounded
            A[j, j] = -mpmath.fsum(A[i, j] for i in range(len(matrix)) if i != j)
        values, vectors = mpmath.eig(A)
        p = mpmath.zeros(len(matrix), 1)
        for row in space.index(model.initial_states):
            p[int(row)] = 1
        weights = mpmath.lu_solve(vectors, p)
        return vectors * mpmath.matrix([w * mpmath.exp(v * t) for w, v in zip(weights, values, strict=True)])


@pytest.mark.parametrize("slow", [1.3e-6, 4e-8])
@pytest.mark.parametrize(("make", "t"), [(Krylov, 1.4e-3), (Krylov, 1e-5), (Magnus, 1e-5)])
def test_a_leak_that_is_small_beside_the_fast_rates_is_in_the_bound(make, slow, t):
    """What a slow reaction adds to a vector of the basis is 10⁻¹⁴ of it, and 10⁵ roundings of the answer."""
    model = Model(
        species={"A": 1, "B": 0, "C": 0},
        reactions=[
            Reaction("A -> B", mass_action=1e8),
            Reaction("B -> A", mass_action=1e8),
            Reaction("B -> C", mass_action=slow),
        ],
    )
    d = fsp.transient(model, [t], 1e-9, solver=make(1e-11))[-1]
    truth = exact_to_forty_digits(model, StateSpace.reachable(model), t)
    gap = float(sum(abs(p - q) for p, q in zip(truth, d.probabilities.tolist(), strict=True)))
    assert gap <= d.error.total
    assert d.error.integration <= 1e-11 + 10.0 * d.error.rounding
    assert d.error.rounding <= 20.0 * 2.0**-53 * 2e8 * t + 1e-13


def test_a_basis_goes_on_where_what_is_left_of_a_vector_is_tiny():
    A = np.array([[-1.0, 1.0, 0.0], [1.0, -1.0 - 2.0**-50, 0.0], [0.0, 2.0**-50, 0.0]])
    V, H = np.zeros((4, 3)), np.zeros((4, 3))
    V[0] = [1.0, 0.0, 0.0]
    matrix = sparse.csr_array(A)
    m = kernels.arnoldi(of_rows(matrix), V, H, np.ones(4), 3, 0, 3)
    assert m == 2
    assert 0.0 < H[2, 1] < 1e-14
    left = A @ V[:m].T - V[: m + 1].T @ H[: m + 1, :m]
    assert np.abs(left).max() <= 4e-16
    assert V[m, 2] * H[m, m - 1] == pytest.approx(2.0**-50, rel=1e-12)


@pytest.mark.parametrize("size", [1e-170, 1e-300])
def test_numbers_whose_squares_vanish_do_not(size):
    nothing, V, H = np.zeros(2), np.array([[1.0, 0.0], [0.0, 0.0]]), np.zeros((2, 1))
    V[1] = [-size, size]
    dots = (-size, 0.0, 0.0)
    kernels.orthogonalise_here(V, H, 0, 2, dots, np.ones(2), nothing)
    assert H[1, 0] * V[1, 1] == pytest.approx(size, rel=1e-12)


def test_what_a_taylor_series_leaves_out_is_charged():
    m = 4
    H = np.zeros((m + 1, m))
    H[:m] = np.diag(np.full(m, -1.0)) + np.diag(np.full(m - 1, 1.0), -1)
    leak = np.zeros(m)
    for allowed in (1e-6, 1e-30):
        _, u, *_, error = small_exponential_kernels.flow(
            H, m, m, 3.0, 2.0**-51, np.ones(m + 1), leak, 0.0, allowed, 1.0, 0.0
        )
        missed = np.abs(u - expm(3.0 * H[:m])[:, 0]).sum()
        assert 0.0 < error <= max(small_exponential_kernels.NEGLIGIBLE * 3.0 * allowed, 1e-15)
        assert missed <= error + 1e-14  # of the rounding of both


def test_many_substeps_round_no_more_than_is_charged():
    m, horizon, stride = 12, 3.0, 3e-4
    H = np.zeros((m + 1, m))
    H[:m] = np.diag(np.full(m, -1.0)) + np.diag(np.full(m - 1, 1.0), -1) + np.diag(np.full(m - 1, 0.3), 1)
    followed = small_exponential_kernels.flow(
        H, m, m, horizon, 2.0**-60, np.ones(m + 1), np.zeros(m), 0.0, 1e-6, 1.0, 0.0, stride
    )
    s, _, substeps, growth, _, u, _ = followed
    assert s == horizon
    assert substeps > 10_000
    with mpmath.workdps(30):
        exact = mpmath.expm(mpmath.matrix(H[:m].tolist()) * horizon)[:, 0]
        error = float(sum(abs(a - float(b)) for a, b in zip(exact, u, strict=True)))
    charged = 2.0**-53 * growth * small_exponential_kernels.SUBSTEP_ROUNDINGS * substeps
    assert charged / 300.0 <= error <= charged


def immigration_death(n, t, k, g):
    """Return the law from n molecules: binomial and Poisson ones added up."""
    stays = mpmath.exp(-g * t)
    mean = k / g * (1 - stays)
    law = [mpmath.mpf(0)] * 140
    comes = [mpmath.exp(-mean) * mean**j / mpmath.factorial(j) for j in range(len(law))]
    for a in range(n + 1):
        kept = mpmath.binomial(n, a) * stays**a * (1 - stays) ** (n - a)
        for b in range(len(law) - a):
            law[a + b] += kept * comes[b]
    return law


@pytest.mark.parametrize("tol", [1e-13, 1e-14, 1e-15])
def test_krylov_is_charged_for_the_substeps_that_a_small_tolerance_takes(tol):
    """Twice the molecules at one time, so that all probability lies on even counts: the residual falls slowly."""
    k, g, t, after = mpmath.mpf(1.129), mpmath.mpf(0.5978), mpmath.mpf(2.71), mpmath.mpf(6.771) - mpmath.mpf(2.71)
    model = Model(
        species={"A": 5},
        reactions=[Reaction("0 -> A", mass_action=1.129), Reaction("A -> 0", mass_action=0.5978)],
        events=[fsp.Event("time >= 2.71", {"A": "2*A"})],
    )
    with pytest.warns(fsp.ToleranceWarning):
        d = fsp.transient(model, [6.771], tol, solver="krylov")[0]
    with mpmath.workdps(30):
        law = [mpmath.mpf(0)] * 140
        for n, weight in enumerate(immigration_death(5, t, k, g)[:30]):
            for j, p in enumerate(immigration_death(2 * n, after, k, g)):
                law[j] += weight * p
        found = dict(zip(d.states[:, 0].tolist(), d.probabilities.tolist(), strict=True))
        error = float(sum(abs(p - found.get(j, 0.0)) for j, p in enumerate(law)))
    assert error <= d.error.total


def test_krylov_is_charged_for_many_substeps(monkeypatch):
    generator, t, law = births(40.0, 0.0)
    flow = small_exponential_kernels.flow
    monkeypatch.setattr(small_exponential_kernels, "flow", lambda *given: flow(*given, 1e-3))
    p, error, rounding = whole_way(Krylov(), generator, t)
    gap = float(sum(abs(a - b) for a, b in zip(law, p.tolist(), strict=True)))
    assert gap <= error + rounding + 2e-16 * len(law)


# ---- times are compared exactly -----------------------------------------------------------------------------


def births(jumps, short):
    """A box of births from none, a time, and the law there; `short` is by how much a step misses the time."""
    model = Model(species={"A": 0}, reactions=[Reaction("0 -> A", mass_action=1.0)])
    generator = Generator(model, StateSpace.box(model, {"A": int(3 * jumps + 60)}))
    t = jumps * (1.0 + short)
    with mpmath.workdps(30):
        law, term = [], mpmath.exp(-mpmath.mpf(t))
        for k in range(len(generator)):
            law.append(term)
            term *= mpmath.mpf(t) / (k + 1)
    return generator, t, law


def whole_way(solver, generator, t, tol=1e-13, **options):
    p, total, rounding, now = start(generator), 0.0, 0.0, 0.0
    with solver.open(generator) as propagator:
        for name, value in options.items():
            setattr(propagator, name, value)
        while now < t:
            step = propagator.advance(p, now, t, tol=tol * (t - now) / t, limit=LossLimit(0.9, 0.0))
            p, now = step.p, step.t
            total, rounding = total + step.error, rounding + step.rounding
    return p, total, rounding


@pytest.mark.parametrize(
    ("solver", "jumps", "options"),
    [
        (Uniformization(), stepping.FIRST_STRIDE, {}),
        (Chebyshev(), 16.0, {"tol": 1e-10}),
        (Magnus(dimension=60), 4.0, {"step_length": 4.0}),
        (Rational(), 4.0, {"step_length": 4.0}),
        (Implicit(), 4.0, {"step_length": 4.0}),
    ],
    ids=["uniformization", "chebyshev", "magnus", "rational", "implicit"],
)
@pytest.mark.parametrize("short", [9e-13, 9e-14, 3e-10])
def test_a_step_that_nearly_reaches_the_target_does_not_jump_there(solver, jumps, options, short):
    generator, t, law = births(jumps, short)
    p, error, rounding = whole_way(solver, generator, t, **options)
    gap = float(sum(abs(a - b) for a, b in zip(law, p.tolist(), strict=True)))
    assert gap <= error + rounding + 2e-16 * len(law)
    assert error + rounding <= 3e-10


def test_krylov_does_not_jump_where_the_small_exponential_ends_early(monkeypatch):
    generator, t, law = births(40.0, 0.0)
    flow = small_exponential_kernels.flow
    ended = []

    def early(H, m, depth, horizon, *rest):
        ended.append(horizon)
        return flow(H, m, depth, horizon * (1.0 - 9e-14) if horizon > 1e-9 else horizon, *rest)

    monkeypatch.setattr(small_exponential_kernels, "flow", early)
    p, error, rounding = whole_way(Krylov(), generator, t)
    gap = float(sum(abs(a - b) for a, b in zip(law, p.tolist(), strict=True)))
    assert ended[-1] < 1e-9  # what is left is walked
    assert gap <= error + rounding + 2e-16 * len(law)


@pytest.mark.parametrize("make", [Uniformization, Krylov, Chebyshev, Magnus, Rational, Implicit])
def test_a_way_of_one_float_is_a_step(make):
    generator = bimolecular()
    t0, t1 = 1e3, float(np.nextafter(1e3, np.inf))
    with make().open(generator) as propagator:
        step = propagator.advance(start(generator), t0, t1, tol=1e-12)
    assert step.t == t1
    assert np.abs(step.p - start(generator)).sum() <= 2.0 * (t1 - t0) * generator.largest_exit_rate + step.error + 1e-15


def test_where_steps_are_shorter_than_a_float_the_time_is_named():
    generator = bimolecular()
    with Uniformization().open(generator) as propagator, pytest.raises(fsp.ConvergenceError, match="last digit"):
        propagator.advance(start(generator), 1e22, 2e22, limit=LossLimit(1e-6, 0.0))


# ---- numbers near the smallest --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Uniformization, Krylov, Chebyshev, Magnus, Rational, Implicit])
@pytest.mark.parametrize(("k", "t"), [(0.01, 5e3), (0.01, 7.2e4), (0.2, 3e3), (0.7, 1e4)])
def test_decay_to_extinction_ends_in_nothing_negative(make, k, t):
    model = Model(species={"A": 3}, reactions=[Reaction("A -> 0", mass_action=k)])
    d = fsp.transient(model, [t], 1e-6, solver=make())[-1]
    assert (d.probabilities >= 0.0).all()
    assert 1.0 - d.probability({"A": 0}).value <= d.error.total + 3.0 * np.exp(-k * t)
    assert d.probability({"A": 0}).upper == 1.0


@pytest.mark.parametrize("k", [0.1, 0.3, 1.1])
def test_births_far_beyond_the_smallest_number(k):
    model = Model(species={"A": 0}, reactions=[Reaction("0 -> A", mass_action=k)])
    generator = Generator(model, StateSpace.box(model, {"A": 900}))
    with Uniformization().open(generator) as propagator:
        step = propagator.advance(start(generator), 0.0, 760.0 / k, tol=1e-8)
        cut = propagator.advance(start(generator), 0.0, 760.0 / k, tol=1e-8, limit=LossLimit(1e-9, 0.0))
    assert (step.p >= 0.0).all()
    assert (step.lost >= 0.0).all()
    assert (cut.p >= 0.0).all()


def test_what_uniformization_clips_is_in_its_error(monkeypatch):
    generator, clip = bimolecular(), kernels.clip
    monkeypatch.setattr(kernels, "clip", lambda z: clip(z) + 0.25)
    with Uniformization(1e-6).open(generator) as propagator:
        assert propagator.advance(start(generator), 0.0, 0.1).error >= 0.25
