"""What users asked of other tools, in small: each answer is that of a chain or a closed form written down here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import comb, exp

import exact
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from written_sbml import L2, apply, parameter, reaction, sbml, species

import fsp
from fsp.errors import ModelError

TOL = 1e-7
ROUNDING = 1e-10  # of `expm` and of closed forms


def ant(names, body):
    inside = ", ".join(f"{name} in c" for name in names)
    return f"model m\n  compartment c = 1; substanceOnly species {inside};\n{body}\nend\n"


def net(species, *reactions):
    lists = {"parameters": ["k 0.3", "q 2*k"], "species": species, "reactions": reactions}
    return "".join(
        f"begin {kind}\n" + "".join(f"  {i} {line}\n" for i, line in enumerate(lines, 1)) + f"end {kind}\n"
        for kind, lines in lists.items()
    )


@pytest.fixture
def solve(read):
    def solving(text, t, name="model.ant", **asked):
        return fsp.transient(read(text, name=name, loading=asked), [t], TOL)[-1]

    return solving


# ---------------------------------------------------------------------- laws, each written down anew

State = tuple[int, ...]


@dataclass(frozen=True)
class Chain:
    """Steps (change, rate) from a start, on the states that `allowed` lets be reached."""

    start: State
    steps: tuple[tuple[State, Callable[..., float]], ...]
    allowed: Callable[..., bool] = lambda *state: True

    def states(self):
        found = [self.start]
        for state in found:  # which grows
            for change, rate in self.steps:
                target = tuple(np.add(state, change).tolist())
                if rate(*state) > 0 and self.allowed(*target) and target not in found:
                    found.append(target)
        return found

    def law(self, t):
        states = self.states()
        matrix = np.zeros((len(states),) * 2)
        for j, state in enumerate(states):
            for change, rate in self.steps:
                target = tuple(np.add(state, change).tolist())
                matrix[j, j] -= rate(*state)
                if target in states:
                    matrix[states.index(target), j] += rate(*state)
        return dict(zip(states, expm(t * matrix)[:, 0].tolist(), strict=True))


def counts(pmf):
    return {(n,): float(p) for n, p in enumerate(pmf)}


def joint(first, second):
    return {(i, j): float(p * q) for (i, p), (j, q) in product(enumerate(first), enumerate(second))}


def off(dist, law):
    """Return the distance in l1 of a distribution and a law, state by state."""
    found = dict(zip(map(tuple, dist.states.tolist()), dist.probabilities.tolist(), strict=True))
    return sum(abs(found.get(state, 0.0) - law.get(state, 0.0)) for state in found.keys() | law.keys())


# ---------------------------------------------------------------------- finite chains

PAIRS = Chain((7, 0), (((-2, 1), lambda a, d: 0.15 * a * (a - 1)),))
LAST = Chain((6, 0), (((-1, 1), lambda a, u: 0.4 * a * (a - 1)),))
BOUND = Chain((5, 4, 0), (((-1, -1, 1), lambda a, b, c: 0.3 * a * b), ((1, 1, -1), lambda a, b, c: 0.5 * c)))
EPIDEMIC = Chain((6, 2, 0), (((-1, 1, 0), lambda s, i, r: 0.2 * s * i), ((0, -1, 1), lambda s, i, r: 0.7 * i)))
OMEGA = 4
ENZYME = Chain(
    (3, 0, 1, 0),
    (
        ((-1, 0, -1, 1), lambda a, b, e, c: 6 * a * e / OMEGA),
        ((1, 0, 1, -1), lambda a, b, e, c: 0.4 * c),
        ((0, 1, 1, -1), lambda a, b, e, c: 1.1 * c),
        ((1, -2, 0, 0), lambda a, b, e, c: 0.5 * b * (b - 1) / OMEGA),
    ),
)
ENZYME_TEXT = """model ode
  compartment cell = {cell}; species A in cell, B in cell, E in cell, C in cell;
  bind: A + E => C; cell*k1*A*E;  part: C => A + E; cell*k2*C;
  turn: C => E + B; cell*k3*C;    back: 2 B => A; cell*k4*B*(B - 1/cell);
  A = 0.75; B = 0; E = 0.25; C = 0; k1 = 6; k2 = 0.4; k3 = 1.1; k4 = 0.5;
end
"""
BRUSSELATOR = Chain(
    (1, 2),
    (
        ((1, 0), lambda x, y: 1.2),
        ((-1, 1), lambda x, y: 0.8 * x),
        ((1, -1), lambda x, y: 0.1 * comb(x, 2) * y),
        ((-1, 0), lambda x, y: 1.0 * x),
    ),
    lambda x, y: x <= 14 and y <= 13,
)

# Name: the file, what is asked at loading, the chain, the time.
CHAINS = {
    "the last of pairs stays": (
        ant("AU", "R: 2 A => A + U; k*A*(A - 1)/2; A = 6; U = 0; k = 0.8;"), {}, LAST, 0.7),
    "the law of concentrations of pairs": (
        ant("AU", "R: 2 A => A + U; k*A*A; A = 6; U = 0; k = 0.4;"), {"mass_action": True}, LAST, 0.7),
    "the law of concentrations as a power": (
        ant("AD", "R: 2 A => D; k*A^2; A = 7; D = 0; k = 0.15;"), {"mass_action": True}, PAIRS, 0.9),
    "a net law": (
        ant("ABC", "J: A + B -> C; kf*A*B - kr*C; A = 5; B = 4; C = 0; kf = 0.3; kr = 0.5;"), {}, BOUND, 1.3),
    "a net law in two": (
        ant("ABC", "f: A + B => C; 0.3*A*B; b: C => A + B; 0.5*C; A = 5; B = 4; C = 0;"), {}, BOUND, 1.3),
    "an epidemic": (
        ant("SIR", "a: S + I => 2 I; b*S*I/8; r: I => R; g*I; S = 6; I = 2; R = 0; b = 1.6; g = 0.7;"),
        {}, EPIDEMIC, 2.5),
    "constant flux that is guarded": (
        ant("X", "R: X => ; v*piecewise(1, X >= 1, 0); X = 6; v = 1.7;"), {},
        Chain((6,), (((-1,), lambda x: 1.7 * (x > 0)),)), 2.0),
    "an autocatalysis in a closed vessel": (
        ant("AB", "f: A + B => 2 A; k*A*B; b: 2 A => A + B; k*A*(A - 1); A = 1; B = 9; k = 0.2;"), {},
        Chain((1, 9), (((1, -1), lambda a, b: 0.2 * a * b), ((-1, 1), lambda a, b: 0.2 * a * (a - 1)))), 0.6),
    "concentrations with molecules a unit": (ENZYME_TEXT.format(cell=1), {"counts": f"omega={OMEGA}"}, ENZYME, 1.2),
    "concentrations in a compartment that makes counts": (ENZYME_TEXT.format(cell=OMEGA), {}, ENZYME, 1.2),
    "concentrations in a compartment that is set": (ENZYME_TEXT.format(cell=1), {"cell": OMEGA}, ENZYME, 1.2),
    "a threshold that absorbs": (
        ant("X", "b: => X; piecewise(k, X < 9, 0); d: X => ; piecewise(g*X, X < 9, 0); X = 4; k = 3; g = 0.5;"), {},
        Chain((4,), (((1,), lambda x: 3 * (x < 9)), ((-1,), lambda x: 0.5 * x * (x < 9)))), 2.0),
    "one of each of two that meet at Avogadro's number": (
        ant("ABC", "R: A + B => C; k/(avogadro*V)*A*B; A = 1; B = 1; C = 0; k = 2e8; V = 1e-15;"), {},
        Chain((1, 1, 0), (((-1, -1, 1), lambda a, b, c: 2e8 / (6.02214179e23 * 1e-15) * a * b),)), 1.5),
    "growth that divides": (
        ant("X", "R: => X; k; X = 3; k = 4; D: at (X >= 6): X = floor(X/2);"), {},
        Chain((3,), (((1,), lambda x: 4.0 * (x < 5)), ((-2,), lambda x: 4.0 * (x == 5)))), 1.1),
    "two names for half the pairs of BioNetGen": (
        sbml(L2, Species=[species("S1", 7, only="false"), species("S2", only="false")],
             Parameters=[parameter("k", 0.3)],
             Reactions=[reaction("R1", ["S1", "S1"], ["S2"], apply("times", "0.5", "k", "S1", "S1"))]),
        {"mass_action": True}, PAIRS, 0.9),
    "pairs in a network of BioNetGen": (
        net(["A() 7", "D() 0"], "1,1 2 0.5*k"),
        {}, PAIRS, 0.9),
    "a start that is large": (
        ant("XY", "R: X => Y; k*X/(1 + Y); X = 1e8; Y = 0; k = 2e-8;"), {},
        Chain((10**8, 0), (((-1, 1), lambda x, y: 2e-8 * x / (1 + y)),), lambda x, y: y <= 25), 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_finite_chains(solve, name):
    text, asked, chain, t = CHAINS[name]
    kind = "model.net" if text.startswith("begin") else "model.xml" if text.startswith("<?xml") else "model.ant"
    dist = solve(text, t, kind, **asked)
    assert off(dist, chain.law(t)) <= dist.error.total + ROUNDING
    assert dist.error.total < 10 * TOL


def test_an_epidemic_that_is_over(solve):
    """The extinct states absorb, so that their probability is the distribution function of the time to extinction."""
    text, asked, chain, _ = CHAINS["an epidemic"]
    for t in (0.5, 4.0):
        found = solve(text, t, **asked).probability("I == 0")
        over = sum(p for (_, i, _), p in chain.law(t).items() if i == 0)
        assert found.lower - ROUNDING <= over <= found.upper + ROUNDING


def test_a_network_without_bounds_on_two_species():
    """The Brusselator; the chain written down here loses what leaves its box."""
    steps = [("0 -> X", 1.2), ("X -> Y", 0.8), ("2 X + Y -> 3 X", 0.1), ("X -> 0", 1.0)]
    model = fsp.Model(species={"X": 1, "Y": 2}, reactions=[fsp.Reaction(e, mass_action=c) for e, c in steps])
    dist = fsp.transient(model, [0.6], TOL)[-1]
    law = BRUSSELATOR.law(0.6)
    lost = 1 - sum(law.values())
    assert off(dist, law) <= dist.error.total + lost + ROUNDING
    assert lost < TOL


# ---------------------------------------------------------------------- closed forms

TELEGRAPH = "on: G0 => G1; kon*G0; off: G1 => G0; koff*G1; tx: => M; a*G1; deg: M => ; g*M;"
FEEDBACK = ant("A", "make: => A; (1 + (A/6)^4)/(2 + (A/6)^4); lose: A => ; A/10; A = 5;")
LADDER = ";".join(f"r{i}: P{i} => P{i + 1}; 2e-3*P{i}" for i in range(5))


def decayed(start, rate, t):
    return stats.binom.pmf(np.arange(start + 1), start, exp(-rate * t))


@pytest.mark.parametrize("start", [0, 3])
def test_an_event_after_everything_has_come_to_rest(solve, start):
    """Four molecules are added at t = 6, when nothing can react, or when what is left may."""
    text = ant("AB", f"R: A => B; k*A; A = {start}; B = 0; k = 0.8; E: at (time >= 6): A = A + 4, k = 0.8;")
    dist = solve(text, 7.5).marginal("A")
    law = np.convolve(decayed(start, 0.8, 7.5), decayed(4, 0.8, 1.5))
    assert off(dist, counts(law)) <= dist.error.total + ROUNDING


def test_phases_that_are_slow(solve):
    names = [f"P{i}" for i in range(6)]
    dist = solve(ant(names, f"{LADDER}; P0 = 1; {'; '.join(f'{p} = 0' for p in names[1:])};"), 2000.0)
    absorbed = dist.probability("P5 == 1")
    assert absorbed.lower - ROUNDING <= stats.gamma.cdf(2000.0, 5, scale=500.0) <= absorbed.upper + ROUNDING


def test_a_birth_that_ends_at_a_threshold(solve):
    """The number that ends it is a species: X(t) is the smaller of a Poisson number and 4."""
    text = "R: => X; {rate}; X = 0; {of} = 1.2; E: at (X > 3): {of} = 0;"
    with pytest.raises(ModelError, match=r"'a' by a trigger .* would then be random; make 'a' a species"):
        solve(ant("X", text.format(rate="a", of="a")), 2.0)
    dist = solve(ant(["X", "on"], text.format(rate="1.2*on", of="on").replace("= 1.2", "= 1")), 2.0)
    born = stats.poisson.pmf(np.arange(4), 2.4)
    law = {(n, 1): p for n, p in enumerate(born)} | {(4, 0): 1 - born.sum()}
    assert off(dist, law) <= dist.error.total + ROUNDING


def test_amounts_beside_concentrations_in_one_compartment(solve):
    text = """model mixed
      compartment cell = 4; substanceOnly species A in cell; species B in cell;
      a: A => ; 0.7*A; b: B => ; cell*0.3*B; A = 6; B = 1.25;
    end
    """
    dist = solve(text, 1.4)
    law = {
        (i, j): p * q for (i, p), (j, q) in product(enumerate(decayed(6, 0.7, 1.4)), enumerate(decayed(5, 0.3, 1.4)))
    }
    assert off(dist, law) <= dist.error.total + ROUNDING


def test_a_source_with_net_laws_is_a_product_of_poisson_numbers(solve):
    """X is held at 6, its net laws are split, and concentrations of 0.4 are refused with the way out."""
    text = """model chain
      J1: $X -> S; k1*X - k2*S; J2: S -> T; k3*S - k4*T; J3: T -> ; k5*T;
      X = 6; S = {start}; T = 0; k1 = 0.3; k2 = 0.2; k3 = 0.8; k4 = 0.25; k5 = 0.5;
    end
    """
    with pytest.raises(ModelError, match=r"'S' must be a whole number .* is 0\.4; .*counts='omega=100'"):
        solve(text.format(start=0.4), 1.0)
    dist = solve(text.format(start=0), 1.0).marginal("S", "T")
    matrix = np.array([[-1.0, 0.25, 1.8], [0.8, -0.75, 0.0], [0.0, 0.0, 0.0]])
    means = expm(matrix)[:2, 2]
    n = np.arange(60)
    law = {(i, j): p * q for (i, p), (j, q) in product(*(enumerate(stats.poisson.pmf(n, m).tolist()) for m in means))}
    assert off(dist, law) <= dist.error.total + ROUNDING


def test_a_constant_that_is_a_random_species():
    """It never changes, so that X(t) is a mixture of two Poisson numbers."""
    reactions = [fsp.Reaction("0 -> X", rate="K"), fsp.Reaction("X -> 0", rate="X")]
    model = fsp.Model(species=["K", "X"], initial={(1, 0): 0.25, (4, 0): 0.75}, reactions=reactions)
    dist = fsp.transient(model, [1.5], TOL)[-1]
    share = 1 - exp(-1.5)
    law = {(k, n): w * stats.poisson.pmf(n, k * share) for (k, w), n in product([(1, 0.25), (4, 0.75)], range(50))}
    assert off(dist, law) <= dist.error.total + ROUNDING


def test_a_rate_that_swings_with_time(solve):
    text = ant("ABC", "f: A + B => C; (1 + sin(time))*A*B; b: C => A + B; 2*C; A = 4; B = 3; C = 0;")
    dist = solve(text, 1.1).marginal("C")

    def change(t, p):
        c = np.arange(4)
        up, down = (1 + np.sin(t)) * (4 - c) * (3 - c) * p, 2 * c * p
        return np.append(0, up[:-1]) - up + np.append(down[1:], 0) - down

    law = solve_ivp(change, (0, 1.1), [1, 0, 0, 0], rtol=1e-11, atol=1e-13).y[:, -1]
    assert off(dist, counts(law)) <= dist.error.total + ROUNDING


def test_an_initial_count_that_rounding_leaves_next_to_a_whole_one(read):
    """And the promoter is on for kon/(kon + koff) of the time."""
    values = "g = 1/5; kon = 0.5*g; koff = 1.5*g; M = (1/49)*49*7*(1 - 2e-16); G0 = 1; G1 = 0; a = 0.4;"
    model = read(ant(["M", "G0", "G1"], TELEGRAPH + values), name="model.ant")
    assert model.initial_states.tolist() == [[7, 1, 0]]
    law = fsp.stationary(model, tol=1e-4)
    on, mean = law.probability("G1 == 1"), law.expectation("M")
    assert on.lower <= 0.25 <= on.upper
    assert mean.lower <= 0.4 * 0.25 * 5 <= mean.upper


# ---------------------------------------------------------------------- in the long run


def test_an_autocatalysis_is_a_binomial_number_without_zero(read):
    law = fsp.stationary(read(CHAINS["an autocatalysis in a closed vessel"][0], name="model.ant"), tol=TOL)
    pmf = stats.binom.pmf(np.arange(11), 10, 0.5) * (np.arange(11) > 0)
    assert off(law.marginal("A"), counts(pmf / pmf.sum())) <= law.error.total + ROUNDING


def test_growth_that_divides_is_uniform(read):
    law = fsp.stationary(read(CHAINS["growth that divides"][0], name="model.ant"), tol=TOL)
    assert off(law, {(n,): 1 / 3 for n in (3, 4, 5)}) <= law.error.total + ROUNDING


def test_a_self_activation_balances_births_and_deaths(read):
    law = fsp.stationary(read(FEEDBACK, name="model.ant"), tol=TOL)
    births = [(1 + (n / 6) ** 4) / (2 + (n / 6) ** 4) for n in range(80)]
    pmf = np.cumprod([1.0, *(birth / ((n + 1) / 10) for n, birth in enumerate(births))])
    assert off(law, counts(pmf / pmf.sum())) <= law.error.total + ROUNDING


# ---------------------------------------------------------------------- what is large


@pytest.mark.parametrize("pool", [10**8, 10**9])
def test_a_huge_pool_that_turns_over(solve, pool):
    """A few events in a short time, of a pool whose mean follows the linear equations of the means."""
    body = "make: => G; 2000*A; lose: G => ; 4*G; act: => A; 1e-7*G; die: A => ; 0.5*A;"
    t = 1.0 / pool
    dist = solve(ant("GA", f"{body} G = {pool}; A = 1;"), t)
    mean = expm(t * np.array([[-4.0, 2000.0], [1e-7, -0.5]])) @ [pool, 1]
    for name, at in zip("GA", mean, strict=True):
        found = dist.expectation(name)
        assert found.lower - 1e-15 * at <= at <= found.upper + 1e-15 * at
    assert len(dist.states) < 1000


# ---------------------------------------------------------------------- one network in the formats of others

KIT = """<Model><Description>m</Description><NumberOfReactions>2</NumberOfReactions><NumberOfSpecies>1</NumberOfSpecies>
<ParametersList><Parameter><Id>k</Id><Expression>0.3</Expression></Parameter></ParametersList><ReactionsList>
<Reaction><Id>make</Id><Type>mass-action</Type><Rate>3*k</Rate>
  <Products><SpeciesReference id="X" stoichiometry="1"/></Products></Reaction>
<Reaction><Id>lose</Id><Type>mass-action</Type><Rate>2*k</Rate>
  <Reactants><SpeciesReference id="X" stoichiometry="1"/></Reactants></Reaction></ReactionsList>
<SpeciesList><Species><Id>X</Id><InitialPopulation>7</InitialPopulation></Species></SpeciesList></Model>
"""
FORMATS = {
    "model.ant": ant("X", "make: => X; 3*k; lose: X => ; 2*k*X; X = 7; k = 0.3;"),
    "model.net": net(["X() 7"], "0 1 3*k", "1 0 q"),
    "kit.xml": KIT,
}


@pytest.mark.parametrize("name", FORMATS)
def test_birth_and_death_in_the_formats_of_others(solve, name):
    dist = solve(FORMATS[name], 1.3, name)
    pmf = exact.immigration_death(np.arange(60), 1.3, birth=0.9, death=0.6, start=7)
    assert off(dist.marginal(dist.species[0]), counts(pmf)) <= dist.error.total + ROUNDING


# ---------------------------------------------------------------------- what is refused, with the way out


@pytest.mark.parametrize(
    ("names", "body", "said"),
    [
        ("AU", "R: 2 A => A + U; k*A*A; A = 4; U = 0; k = 0.4;", r"fewer than 2 A.*mass_action=True \(--mass-action\)"),
        ("PD", "R: 2 P => D; k*P^2; P = 8; D = 0; k = 0.1;", r"--mass-action\), which makes it k\*\(P\*\(P - 1\)\)"),
        ("X", "R: X => ; v; X = 6; v = 1.7;", r"fewer than 1 X.*piecewise\(1, X >= 1, 0\)"),
        ("XY", "R: X => Y; X; X = 2e-9; Y = 0;", r"'X' must be a whole number .* is 2e-09; .*counts='omega=100'"),
        ("XY", "R: X => 2e-10 Y; X; X = 5; Y = 0;", r"'Y' in reaction 'R' must be a whole number, but is 2e-10"),
    ],
)  # fmt: skip
def test_refusals_with_a_way_out(read, names, body, said):
    with pytest.raises(ModelError, match=said):
        read(ant(names, body), name="model.ant")
