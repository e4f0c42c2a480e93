"""Derivatives of random networks against dense exponentials of complex generators: how often a bound holds.

    python ci/derivatives.py [--seconds 180] [--first 0]

Networks of one or two species are drawn with constant rates, with rates that depend on time, and with a stationary
start, and the tolerance with them.  The reference shares nothing with the package but the rate laws written twice: a
complex step of 1e-30 in one parameter of a generator on a box, and `scipy.linalg.expm`, in short steps of a Magnus
series of fourth order where rates depend on time.  A case is one derivative at one time.  It is off where the 1-norm
distance to the reference is above the bound and what the reference itself may be off, ``BEYOND`` of its size.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from references import MODELS
from scipy.linalg import expm

import fsp

BEYOND = 1e-8  # of the reference: of steps of time, and of what lies outside its box
OUTSIDE = 1e-11  # probability outside the box of a reference that counts
STEP = 1e-30  # imaginary part of a parameter
SECONDS = 150.0  # CPU, of the campaign
NOTE = """\
Sensitivities and Fisher information, user CPU seconds on one core with kernels loaded.
PACMENSL took 15.4 s for p and the derivatives of the first row, at the same tolerance and without a bound of the \
derivatives; SSIT and PACMENSL give no intervals of the Fisher matrix.
Below, derivatives of random networks against complex steps of dense exponentials (`ci/derivatives.py`): constant \
rates, saturating ones among them (made), rates that switch at a time, rates that oscillate (waves), and stationary \
starts; tolerances from 1e-2 to 1e-8."""
SUBSTEPS = 160  # of the reference, where rates depend on time


class Drawn(NamedTuple):
    """A network, and its generator as a function of its parameters and of the time."""

    kind: str
    model: fsp.Model
    times: list[float]
    generator: Callable[[dict[str, complex], float], np.ndarray]
    top: int  # largest count of the box
    timed: bool
    start: str | None


def draw(seed: int) -> Drawn:
    """Return a network."""
    rng = np.random.default_rng(seed)
    kind = ("made", "made", "switched", "waves", "stationary")[seed % 5]
    k, g, a = (float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.3g}") for low, high in RANGES)
    w = float(f"{rng.uniform(0.5, 6.0):.3g}")
    times = sorted(float(f"{t:.3g}") for t in rng.uniform(0.1, 2.5, 2))
    top = math.ceil(2.2 * k / g + 9.0 * math.sqrt(2.2 * k / g) + 22.0)
    n = np.arange(top + 1.0)
    saturating = bool(rng.integers(2))
    law = "k*a/(a + X)" if saturating else "k"
    shape = {"waves": "(1 + 0.5*sin(w*time))", "switched": f"piecewise(1, time < {times[0]:g}, w/6)"}.get(kind, "1")

    def generator(v: dict[str, complex], t: float) -> np.ndarray:
        clock = {"waves": 1.0 + 0.5 * np.sin(v["w"] * t), "switched": 1.0 if t < times[0] else v["w"] / 6.0}.get(
            kind, 1.0
        )
        birth = v["k"] * clock * (v["a"] / (v["a"] + n) if saturating else np.ones(top + 1))
        death = v["g"] * n
        return np.diag(birth[:-1], -1) + np.diag(death[1:], 1) - np.diag(birth + death)

    used = {"k": k, "g": g} | ({"a": a} if saturating else {}) | ({"w": w} if shape != "1" else {})
    model = fsp.Model(
        species={"X": int(rng.integers(0, 8))},
        parameters=used,
        reactions=[fsp.Reaction("0 -> X", rate=f"{law}*{shape}"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    start = "stationary" if kind == "stationary" else None
    return Drawn(kind, model, times, generator, top, shape != "1", start)


RANGES = ((0.5, 15.0), (0.4, 2.0), (0.5, 12.0))  # of k, g and a


def reference(drawn: Drawn, name: str) -> Iterator[np.ndarray]:
    """Yield the complex distribution at each time; its imaginary part over `STEP` is the derivative."""
    v: dict[str, complex] = {"a": 1.0, "w": 1.0, **drawn.model.parameters}
    v[name] += 1j * STEP
    p = np.zeros(drawn.top + 1, dtype=complex)
    p[drawn.model.initial_states[0, 0]] = 1.0
    if drawn.start:
        A = drawn.generator(v, 0.0)
        A[-1, -1] += -A[:, -1].sum()  # nothing leaves the box
        p = np.linalg.solve(np.vstack([A[:-1], np.ones(len(A))]), np.eye(len(A))[-1])
    before = 0.0
    for t in drawn.times:
        p = _advanced(drawn, v, p, before, t)
        before = t
        yield p


def _advanced(drawn: Drawn, v: dict[str, complex], p: np.ndarray, begin: float, end: float) -> np.ndarray:
    if not drawn.timed or drawn.kind == "switched":  # constant between its times
        middle = 0.5 * (begin + end)
        return expm((end - begin) * drawn.generator(v, middle)) @ p
    h, root = (end - begin) / SUBSTEPS, math.sqrt(3.0) / 6.0
    for i in range(SUBSTEPS):
        first, second = (drawn.generator(v, begin + h * (i + 0.5 + side * root)) for side in (-1.0, 1.0))
        p = expm(0.5 * h * (first + second) + math.sqrt(3.0) / 12.0 * h * h * (second @ first - first @ second)) @ p
    return p


class Case(NamedTuple):
    """One derivative at one time."""

    kind: str
    bound: float
    off: float
    certified: bool
    beyond: float  # what the reference may be off

    @property
    def wrong(self) -> bool:
        return self.certified and self.off > self.bound + self.beyond


def cases(seed: int) -> Iterator[Case]:
    """Yield the cases of a seed."""
    drawn = draw(seed)
    tol = 10.0 ** -np.random.default_rng([seed, 1]).uniform(2.0, 8.0)
    names = list(drawn.model.parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        sensitivities = fsp.sensitivity(drawn.model, drawn.times, names, log=False, tol=tol, start=drawn.start)
    for name in names:
        for sensitivity, p in zip(sensitivities, reference(drawn, name), strict=True):
            exact = p.imag / STEP
            if 1.0 - p.real.sum() > OUTSIDE or sensitivity.states.max() > drawn.top:
                continue  # the box is no reference
            full = np.zeros(drawn.top + 1)
            full[sensitivity.states[:, 0]] = sensitivity.derivative(name)
            error, size = sensitivity.error(name), float(np.abs(exact).sum())
            yield Case(drawn.kind, error.total, float(np.abs(full - exact).sum()), error.certified, BEYOND * (1 + size))


def campaign(seconds: float, first: int = 0) -> str:
    """Run for some seconds of CPU; return a row for each kind, and the sums."""
    measured: list[Case] = []
    begun, seed = process_time(), first
    while process_time() - begun < seconds:
        for case in cases(seed):
            measured.append(case)
            if case.wrong:
                print(f"seed {seed}: {case}", file=sys.stderr, flush=True)
        seed += 1
    lines = ["| kind | derivatives | certified | off their bound | bound over error, median |", "|---|---|---|---|---|"]
    for kind in sorted({case.kind for case in measured}):
        of_kind = [case for case in measured if case.kind == kind]
        seen = [case.bound / case.off for case in of_kind if case.off > 10.0 * case.beyond]
        wrong, sure = sum(case.wrong for case in of_kind), sum(case.certified for case in of_kind)
        ratio = f"{np.median(seen):.1f}" if seen else "n/a"
        lines.append(f"| {kind} | {len(of_kind):,} | {sure:,} | {wrong} | {ratio} |")
    wrong = sum(case.wrong for case in measured)
    return "\n".join(
        [*lines, "", f"{len(measured):,} derivatives of {seed - first:,} networks, {wrong} off their bound."]
    )


def toggle() -> str:
    """Measure the sensitivities and the Fisher information of the asymmetric toggle switch."""
    model, names = fsp.load(MODELS / "toggle2d.ant"), ["a1", "d1", "a2", "d2"]
    times = np.linspace(0.2, 10.0, 50)
    seconds, sensitivities = _timed(lambda: fsp.sensitivity(model, times, names, tol=1e-6))
    worst = max(error.total for error in sensitivities[-1].errors)
    of_fisher, fim = _timed(lambda: fsp.fisher(model, [10.0], names, cells=1000, log=False))
    determinant = fim.determinant()
    low, high = (math.log10(end) for end in (determinant.lower, determinant.upper))
    width = float((fim.upper - fim.lower).max() / np.abs(fim.matrix).max())
    work = sensitivities.statistics
    counts = f"{work['products']:,} products, at most {work['largest_space']:,} states"
    return "\n".join(
        [
            "| work | seconds | what it came to |",
            "|---|---|---|",
            f"| toggle2d, 4 parameters, 50 times to t = 10, tolerance 1e-6 | {seconds:.2f} | bounds <= {worst:.1e}; "
            f"{counts} |",
            f"| its Fisher matrix at t = 10, 1000 cells | {of_fisher:.2f} | log10 of the determinant in "
            f"[{low:.6f}, {high:.6f}]; intervals of {width:.1e} of the largest element |",
        ]
    )


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median CPU seconds of three calls after a first one, and the last value."""
    work()
    seconds = []
    for _ in range(3):
        begun = process_time()
        value = work()
        seconds.append(process_time() - begun)
    return median(seconds), value


def section() -> str:
    """Return the rows and the campaign for docs/benchmarks.md."""
    return f"{toggle()}\n\n{campaign(SECONDS)}"


def main() -> None:
    """Run the campaign alone, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="CPU seconds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    print(campaign(options.seconds, options.first))


if __name__ == "__main__":
    main()
