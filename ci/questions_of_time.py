"""Questions of time: ``python ci/questions_of_time.py``, a section of docs/benchmarks.md.

Each answer is an interval, whose relative width stands beside its CPU seconds; a mean that a closed form knows must lie
in its interval, or the section fails.
"""

from __future__ import annotations

import numpy as np
from adaptive import table, timed
from references import MODELS

import fsp

NOTE = (
    "CPU seconds of single runs in a process that has solved before, on one core; widths are relative to the value, of "
    "laws and correlations absolute.  A box of toggle_hill is the model with its synthesis stopped at the last count, "
    "which starts everywhere with the same probability; states are those before the target."
)
TIMES = 100  # of a law, beside the plain transient at them


def relative(interval):
    return (interval.upper - interval.lower) / abs(interval.value)


def row(what, states, width, seconds):
    return f"| {what} | {states} | {width:.1e} | {seconds:.2g} |"


def boxed(n):
    """Return toggle_hill on n² states."""
    rate = "piecewise(2 + 50/(1 + ({}/15)^3), {} < " + str(n - 1) + ", 0)"
    reactions = [fsp.Reaction(f"0 -> {a}", rate=rate.format(b, a)) for a, b in ("UV", "VU")]
    reactions += [fsp.Reaction(f"{a} -> 0", mass_action=1.0) for a in "UV"]
    return fsp.Model(name="toggle_hill", species={"U": n - 1, "V": 0}, reactions=reactions)


def gambler(p, i, n):
    """Return a walk between 0 and n, whose steps are up p times as often, and the probability that it is ruined."""
    inside = "piecewise({}, X > 0 && X < " + str(n) + ", 0)"
    model = fsp.Model(
        species={"X": i},
        reactions=[fsp.Reaction("0 -> X", rate=inside.format(p)), fsp.Reaction("X -> 0", rate=inside.format(1))],
    )
    return model, ((1 / p) ** i - (1 / p) ** n) / (1 - (1 / p) ** n)


def climbed(ups, downs, first, last):
    """Return the mean time of a birth-death chain from one count to a higher one, by its sums."""
    total = 0.0
    for n in range(first, last):
        term = inner = 1.0 / ups(n)
        for m in range(n, 0, -1):
            term *= downs(m) / ups(m - 1)
            inner += term
        total += inner
    return total


def up(x):
    """Return the rate at which schloegl goes up."""
    return 0.015 * x * (x - 1) + 200.0


def down(x):
    """Return the rate at which it goes down."""
    return 1e-4 / 6.0 * x * (x - 1) * (x - 2) + 3.5 * x


def known():
    """Yield rows of questions with closed forms."""
    death = fsp.Reaction("X -> 0", mass_action=1.0)
    immigration = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", mass_action=3.0), death])
    queue = fsp.Model(
        species={"X": 1},
        reactions=[fsp.Reaction("0 -> X", mass_action=1.0), fsp.Reaction("X -> 0", rate="piecewise(2, X > 0, 0)")],
    )
    births = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> 2 X", mass_action=2.0), death])
    rare = fsp.Model(
        species={"A": 1, "B": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1e-10), fsp.Reaction("B -> A", mass_action=1.0)],
    )
    walk, ruin = gambler(1.5, 3, 10)
    schloegl = fsp.load(MODELS / "schloegl.ant")
    cases = [
        ("immigration and death, 0 to 8", immigration, "X >= 8", climbed(lambda n: 3.0, float, 0, 8)),
        ("busy period of M/M/1", queue, "X == 0", 1.0),
        ("switch at a rate of 1e-10", rare, "B > 0", 1e10),
        ("schloegl, 250 to 550", schloegl, "X >= 550", climbed(up, down, 250, 550)),
    ]
    for what, model, target, truth in cases:
        passage, seconds = timed(lambda m=model, t=target: fsp.passage(m, t))
        yield row(what, "", held(what, passage.mean(), truth), seconds)
    for what, model, target, truth in [
        ("extinction of births and deaths, probability", births, {"end": "X == 0"}, 0.125),
        ("gambler's ruin, probability", walk, {"end": "X == 0", "win": "X == 10"}, ruin),
    ]:
        passage, seconds = timed(lambda m=model, t=target: fsp.passage(m, t))
        yield row(what, "", held(what, passage.probability("end"), truth), seconds)


def held(what, interval, truth):
    """Return the relative width of an interval that holds the truth, to the rounding of its closed form."""
    slack = 1e-12 * truth
    if not (interval.certified and interval.lower - slack <= truth <= interval.upper + slack):
        raise SystemExit(f"{what}: {interval} does not hold {truth}")
    return relative(interval)


def switches():
    """Yield rows of switches without closed forms."""
    toggle, exclusive = fsp.load(MODELS / "toggle_hill.ant"), fsp.load(MODELS / "exclusive_switch.ant")
    for name, model, target in [
        ("exclusive_switch, mean time until P2 > 15, P1 < 5", exclusive, "P2 > 15 && P1 < 5"),
        ("toggle_hill, mean time until V > U", toggle.with_initial(U=40, V=5), "V > U"),
    ]:
        passage, seconds = timed(lambda m=model, t=target: fsp.passage(m, t))
        yield row(name, "", relative(passage.mean()), seconds)
    for n in (200, 1000):
        counts = np.stack(np.meshgrid(range(n), range(n), indexing="ij"), axis=-1).reshape(-1, 2)
        everywhere = boxed(n).starting_in(counts, np.full(n * n, 1.0 / n**2))
        passage, seconds = timed(lambda m=everywhere: fsp.passage(m, "V > U"))
        name = f"toggle_hill, box {n}², mean times until V > U from every state"
        yield row(name, f"{len(passage.states):,}", relative(passage.mean()), seconds)
    for name, model, A, B in [
        ("toggle_hill, U > 30, V < 5 to V > 30, U < 5", toggle, "U > 30 && V < 5", "V > 30 && U < 5"),
        ("exclusive_switch, P1 > 15, P2 < 5 to P2 > 15, P1 < 5", exclusive, "P1 > 15 && P2 < 5", "P2 > 15 && P1 < 5"),
    ]:
        flux, seconds = timed(lambda m=model, a=A, b=B: fsp.committor(m, a, b))
        yield row(f"`committor` of {name}", f"{len(flux.states):,}", relative(flux.rate), seconds)
    answer, seconds = timed(lambda: fsp.correlation(toggle, "U > V", [0.0, 1.0, 10.0, 100.0, 1e4]))
    width = float((answer.correlation.upper - answer.correlation.lower).max())
    yield row("`correlation` of U > V in toggle_hill at five lags up to 10⁴", "", width, seconds)
    spectrum, seconds = timed(lambda: answer.spectrum([0.0, 1e-3]))
    yield row("its spectrum at 0 and 10⁻³", "", float((spectrum.radius / abs(spectrum.value)).max() * 2.0), seconds)
    answer, seconds = timed(lambda: fsp.reward(toggle.with_initial(U=40, V=5), "U", until="V > U"))
    yield row("`reward` of U in toggle_hill from (40, 5) until V > U", "", relative(answer.mean[0]), seconds)


def laws():
    """Yield a row: the law of a passage at many times beside the plain transient at them."""
    model = fsp.load(MODELS / "toggle_hill.ant")
    times = [0.1 * (i + 1) for i in range(TIMES)]
    _, plain = timed(lambda: fsp.transient(model, times))
    passage, law = timed(lambda: fsp.passage(model, "V > U + 20", times, orders=0))
    _, both = timed(lambda: fsp.passage(model, "V > U + 20", times))
    width = float((passage.cdf.upper - passage.cdf.lower).max())
    yield f"| {width:.1e} | {plain:.2g} | {law:.2g} | {law / plain:.2f} | {both:.2g} |"


def report():
    """Return the section."""
    fsp.passage(fsp.load(MODELS / "toggle_hill.ant"), "V > U", [1.0])
    return "\n\n".join(
        [
            table("| question | states | width | CPU s |", [*known(), *switches()]),
            f"The law of toggle_hill until V > U + 20 at {TIMES} times to t = 10, beside the plain transient.",
            table("| width | transient, s | law, s | ratio | law, mean and variance, s |", list(laws())),
        ]
    )


if __name__ == "__main__":
    print(report())
