"""Sabotage the package, one line at a time, and require that the tests notice.

    python tests/mutants.py             all, two at a time
    python tests/mutants.py NAME ...    some
    python tests/mutants.py --list      their names

Each sabotage is made in a copy of `fsp/` and `tests/` in a temporary directory; the working tree is not touched.
It counts as caught where a test fails that passes without it.  The exit status is 1 if one survives, or if its text is
not found exactly once.  Where compiled code is sabotaged, everything is compiled anew.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
TIME_LIMIT = 240.0  # seconds for one run of the tests
MOST_RED = 4  # tests that may fail without a sabotage before a mutant is given up


@dataclass(frozen=True)
class Mutant:
    """A sabotage: `old` in `file` becomes `new`, and one of `tests` whose name holds `only` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    only: str


def mutant(name, file, old, new, *tests, only=""):
    """Return a mutant of a file in fsp/; tests are the stems of files in tests/, `only` an expression of pytest -k."""
    return Mutant(name, f"fsp/{file}", old, new, tuple(f"tests/test_{stem}.py" for stem in tests), only)


MUTANTS = [
    # ---- model
    mutant(
        "mass-action-without-factorial",
        "model/reaction.py",
        "math.prod(math.factorial(n) for n in reactants.values())",
        "math.prod(n for n in reactants.values())",
        "model",
    ),
    mutant(
        "conservation-law-of-wrong-sign",
        "model/structure.py",
        "law[pivot] = -row[free]",
        "law[pivot] = row[free]",
        "structure",
    ),
    mutant(
        "conservation-laws-combined-wrongly",
        "model/structure.py",
        "a, b = -loss[column], gain[column]",
        "a, b = gain[column], -loss[column]",
        "structure",
    ),
    mutant(
        "species-bound-one-too-small",
        "model/structure.py",
        "math.floor(value + _SLACK * max(1.0, value))",
        "math.floor(value + _SLACK * max(1.0, value)) - 1",
        "structure",
    ),
    mutant(
        "nan-propensity-passes",
        "model/propensity.py",
        "if not (out.min() >= 0.0 and out.max() < math.inf):",
        "if out.min() < 0.0 or out.max() == math.inf:",
        "generator",
    ),
    mutant(
        "jump-below-zero-passes",
        "model/propensity.py",
        "wrong = np.flatnonzero((column < least) & (out > 0.0))",
        "wrong = np.flatnonzero((column < 0) & (out > 0.0))",
        "generator",
    ),
    # ---- time
    mutant(
        "taylor-remainder-of-half-the-step",
        "model/taylor.py",
        "max(abs(wide[0]), abs(wide[1])) * half ** (degree + 1)",
        "max(abs(wide[0]), abs(wide[1])) * (0.5 * half) ** (degree + 1)",
        "time_dependent",
        only="remainder",
    ),
    mutant(
        "interval-negated-end-by-end",
        "model/taylor.py",
        "return -a[1], -a[0]",
        "return -a[0], -a[1]",
        "time_dependent",
        only="remainder",
    ),
    mutant(
        "sign-from-one-end",
        "model/taylor.py",
        "if len(signs) == 1 and 0 not in signs:",
        "if 0 not in signs:",
        "time_dependent",
        only="switch",
    ),
    mutant(
        "sinks-of-one-time",
        "generator/generator.py",
        "self._sinks = family.sinks_of(weights)",
        "self._sinks = family.sinks",
        "time_dependent",
        only="generator or leaves",
    ),
    mutant(
        "magnus-forcing-of-wrong-sign",
        "solvers/magnus.py",
        "dots = magnus_kernels.force(W, J, 1.0 / unit, n_all, v, u, w)",
        "dots = magnus_kernels.force(W, J, -1.0 / unit, n_all, v, u, w)",
        "time_dependent",
        only="birth or switch",
    ),
    mutant(
        "magnus-residual-not-charged",
        "solvers/magnus.py",
        "error = flow.error + length * missed + left + cut",
        "error = flow.error + length * missed + cut",
        "time_dependent",
        only="birth or decay",
    ),
    mutant(
        "implicit-residual-between-stages-not-charged",
        "solvers/implicit.py",
        "return h * total, all(clock.certified for clock in clocks)",
        "return 0.0, all(clock.certified for clock in clocks)",
        "time_dependent",
        only="birth or decay",
    ),
    # ---- space
    mutant(
        "search-beyond-the-run",
        "space/kernels.py",
        "if same and offset < starts[run + 1] - starts[run]:",
        "if same and offset <= starts[run + 1] - starts[run]:",
        "space",
    ),
    mutant(
        "union-forgets-the-longer-run",
        "space/kernels.py",
        "lengths[k] = max(lengths[k], source[row, last] + length - keys[k, last])",
        "lengths[k] = source[row, last] + length - keys[k, last]",
        "space",
    ),
    mutant(
        "selection-joins-runs-over-a-hole",
        "space/kernels.py",
        "if i == starts[r] or not kept[i - 1]:\n                    k += 1",
        "if i == starts[r]:\n                    k += 1",
        "space",
    ),
    mutant(
        "interval-rounded-up",
        "space/saturation_kernels.py",
        "high = min(high, slack // w)",
        "high = min(high, -(-slack // w))",
        "space",
    ),
    mutant(
        "interval-beyond-the-constraints",
        "space/saturation_kernels.py",
        "b, moving = min(d + 1, ceiling), True",
        "b, moving = d + 1, b < d + 1",
        "space",
    ),
    mutant(
        "strict-inequality-taken-as-weak",
        "space/linear.py",
        "-int(difference[-1]) - strict",
        "-int(difference[-1])",
        "space",
    ),
    mutant(
        "support-with-a-hole",
        "space/saturation.py",
        "return (first, last) if len(positive) == last - first + 1 else None",
        "return (first, last)",
        "space",
    ),
    mutant(
        "hash-set-compares-one-word",
        "space/kernels.py",
        "same = same and table[slot, w] == keys[i, w] + shifts[r, w]",
        "same = True",
        "space",
    ),
    mutant(
        "field-without-room-for-a-change",
        "space/encoding.py",
        "(reach[kept] <= self.capacity[kept]).all()",
        "(top[kept] <= self.capacity[kept]).all()",
        "space",
        "generator",
    ),
    mutant(
        "overflow-of-a-field-unseen",
        "space/closure.py",
        "if (states > encoding.capacity - margins).any():",
        "if False:",
        "space",
    ),
    mutant(
        "conserved-sum-of-one-start-for-all",
        "space/space.py",
        "shared = (values == values[0]).all(axis=0)",
        "shared = (values == values[0]).any(axis=0)",
        "space",
    ),
    mutant(
        "index-ignores-conservation-laws",
        "space/encoding.py",
        "inside &= law.divisor * np.where(inside, states[:, law.species], 0) == weighted",
        "inside &= weighted >= 0",
        "space",
    ),
    mutant(
        "only-the-last-constraint-counts",
        "space/closure.py",
        "kept &= constraint.holds(states)",
        "kept = constraint.holds(states)",
        "space",
    ),
    mutant(
        "limit-on-states-forgets-the-first",
        "space/closure.py",
        "size = len(present)",
        "size = 0",
        "space",
    ),
    mutant(
        "growth-ignores-its-seeds",
        "space/space.py",
        "self.runs.expand() if seeds is None else self.runs.take(seeds),",
        "self.runs.expand(),",
        "space",
    ),
    # ---- generator
    mutant(
        "diagonal-without-leak",
        "generator/plan.py",
        "groups.append(_groups(model, [part for own in parts for part in own]))",
        "groups.append(_groups(model, [part for own in parts[1:] for part in own]))",
        "generator",
    ),
    mutant(
        "sinks-dropped",
        "generator/sinks.py",
        "            if len(members):\n",
        "            if False:\n",
        "generator",
    ),
    mutant(
        "sink-counted-twice",
        "generator/sinks.py",
        "members = np.flatnonzero(chosen & unassigned)",
        "members = np.flatnonzero(chosen)",
        "generator",
    ),
    mutant(
        "second-reaction-of-a-jump-dropped",
        "generator/plan.py",
        "[coefficients(model, layout, k, t) for k in ks]",
        "[coefficients(model, layout, k, t) for k in ks[:1]]",
        "generator",
    ),
    mutant(
        "jumps-in-rising-order",
        "generator/plan.py",
        "sorted(groups, reverse=True)",
        "sorted(groups)",
        "generator",
    ),
    mutant(
        "generator-stays-at-its-time",
        "generator/generator.py",
        "weights = self._family.clocks.values(t)\n",
        "weights = self._family.clocks.values(self.t)\n",
        "generator",
        "time_dependent",
    ),
    mutant(
        "sink-missing-where-the-rate-is-zero-now",
        "generator/sinks.py",
        "_leaving(adjoint, c, bool(timed))",
        "_leaving(adjoint, c, False)",
        "generator",
    ),
    mutant(
        "source-read-at-the-target",
        "generator/plan.py",
        "shift = 0 * change if adjoint else change",
        "shift = 0 * change",
        "operator",
    ),
    mutant(
        "adjoint-shifted-as-the-operator",
        "generator/plan.py",
        "sign = -1 if adjoint else 1",
        "sign = 1",
        "operator",
    ),
    mutant(
        "falling-table-written-forwards",
        "generator/plan.py",
        "self._write(group.values[::-1])",
        "self._write(group.values)",
        "operator",
    ),
    mutant(
        "tables-merged-whatever-their-scalar",
        "generator/plan.py",
        "if not part.scalar and not model.time_dependent[part.reaction]:",
        "if not model.time_dependent[part.reaction]:",
        "operator",
    ),
    mutant(
        "stored-rates-of-another-run",
        "generator/kernels.py",
        "place[j] = offsets[row, run[j]] - position[j] if run[j] >= 0 else 0",
        "place[j] = offsets[row, run[j]] if run[j] >= 0 else 0",
        "operator",
    ),
    mutant(
        "last-state-of-a-slice-dropped",
        "generator/kernels.py",
        "begins[j], ends[j] = (0, 0) if none else (begin, end)",
        "begins[j], ends[j] = (0, 0) if none else (begin, end - 1)",
        "operator",
    ),
    mutant(
        "second-source-of-a-run-dropped",
        "generator/kernels.py",
        "                sources[c, r] = -2 - q\n",
        "                sources[c, r] = q\n",
        "operator",
    ),
    mutant(
        "ends-of-a-run-left-out",
        "generator/kernels.py",
        'for first, end in (("0", "low"), ("high", "length")):',
        'for first, end in (("0", "low"),):',
        "operator",
    ),
    mutant(
        "last-thread-stops-early",
        "generator/operator.py",
        "pairwise([0, *cuts, len(starts) - 1])",
        "pairwise([0, *cuts, len(starts) - 1 - (n_shares > 1)])",
        "operator",
    ),
    mutant(
        "low-counts-unchecked",
        "generator/coefficients.py",
        "if layout.bottom[s] < -change and not vanishing:",
        "if False:",
        "generator",
    ),
    mutant(
        "tables-of-runs-shared-too-widely",
        "generator/coefficients.py",
        "fixed = at_start - origin[:, None] * layout.stride[own]",
        "fixed = at_start[:, :1] - origin[:, None] * layout.stride[own][:1]",
        "operator",
    ),
    # ---- solvers
    mutant(
        "poisson-tail-not-counted",
        "solvers/poisson.py",
        "weights * ((1.0 - tail) / weights.sum())",
        "weights / weights.sum()",
        "solvers",
        only="poisson or uniformization",
    ),
    mutant(
        "settling-not-counted",
        "solvers/uniformization.py",
        "return total, change * kernels.moment_above(settled, first, mean, k - 1), k",
        "return total, 0.0, k",
        "solvers",
        only="uniformization or settl",
    ),
    mutant(
        "settled-too-early",
        "solvers/kernels.py",
        "if change * moment_above(settled, first, mean, k) <= steady:",
        "if change <= steady:",
        "solvers",
        only="uniformization or settl",
    ),
    mutant(
        "uniformization-ignores-the-loss-limit",
        "solvers/uniformization.py",
        "if following[self._n :].sum() > limit.at(end - t0):",
        "if False:",
        "solvers",
        only="uniformization",
    ),
    mutant(
        "uniformization-rounding-dropped",
        "solvers/uniformization.py",
        "rounding += products * self._roundings * UNIT_ROUNDOFF * mass",
        "rounding += 0.0",
        "charges",
    ),
    mutant(
        "krylov-residual-norm-left-out",
        "solvers/krylov.py",
        "residual_norm = H[m, m - 1] * norms[m] if H[m, m - 1] > 0.0 else 0.0",
        "residual_norm = 0.0",
        "solvers",
        only="krylov",
    ),
    mutant(
        "krylov-residual-in-the-2-norm",
        "solvers/krylov.py",
        "residual_norm = H[m, m - 1] * norms[m] if",
        "residual_norm = H[m, m - 1] * beta if",
        "solvers",
        only="krylov",
    ),
    mutant(
        "krylov-clip-not-counted",
        "solvers/krylov.py",
        "error += kernels.combine(V[:m], beta * u_kept, end)",
        "kernels.combine(V[:m], beta * u_kept, end)",
        "charges",
    ),
    mutant(
        "krylov-rounding-dropped",
        "solvers/krylov.py",
        "rounding = UNIT_ROUNDOFF * growth * ",
        "rounding = 0.0 * growth * ",
        "solvers",
        only="krylov",
    ),
    mutant(
        "krylov-ignores-the-loss-limit",
        "solvers/kernels.py",
        "within = within and lost <= loss_offset + loss_rate * s",
        "within = True",
        "solvers",
        only="krylov or flow",
    ),
    mutant(
        "chebyshev-residual-left-out",
        "solvers/kernels.py",
        "return x * (hit[m] * norms[m - 1] + hit[m - 1] * norms[m]) + weights[m] * norms[m], spread",
        "return weights[m] * norms[m], spread",
        "solvers",
        only="chebyshev",
    ),
    mutant(
        "chebyshev-clip-not-counted",
        "solvers/chebyshev.py",
        "error += kernels.clip(total)",
        "kernels.clip(total)",
        "charges",
    ),
    mutant(
        "chebyshev-rounding-dropped",
        "solvers/chebyshev.py",
        "rounding = UNIT_ROUNDOFF * ",
        "rounding = 0.0 * ",
        "charges",
    ),
    mutant(
        "chebyshev-ignores-the-loss-limit",
        "solvers/chebyshev.py",
        "if step.z[n:].sum() > limit.at(end - t0):",
        "if False:",
        "solvers",
        only="chebyshev",
    ),
    mutant(
        "radau-curvature-factor-halved",
        "solvers/implicit.py",
        "return h * float(np.abs(generator.operator.apply(leading)).sum()) * table.node_integral",
        "return 0.5 * h * float(np.abs(generator.operator.apply(leading)).sum()) * table.node_integral",
        "charges",
    ),
    mutant(
        "radau-stage-residuals-left-out",
        "solvers/implicit.py",
        "return self.stage_error + self.shape_error",
        "return self.shape_error",
        "charges",
    ),
    mutant(
        "implicit-clip-not-counted",
        "solvers/implicit.py",
        "error + step.error + cut",
        "error + step.error",
        "charges",
    ),
    mutant(
        "implicit-ignores-the-loss-limit",
        "solvers/implicit.py",
        "return int(len(within) if within.all() else np.argmin(within))",
        "return len(within)",
        "solvers",
        only="implicit or radau or residual or inhomogeneous or clock",
    ),
    mutant(
        "residual-between-the-nodes-unsampled",
        "solvers/implicit.py",
        "return h * total, all(clock.certified for clock in clocks)",
        "return 0.0 * total, all(clock.certified for clock in clocks)",
        "time_dependent",
        only="implicit or Implicit or bound",
    ),
    # ---- distribution
    mutant(
        "interval-halves-of-the-halves",
        "distribution/bounds.py",
        "return (total + missing) / 2, (total - missing) / 2, float(slack)",
        "return (total + missing) / 4, (total - missing) / 4, float(slack)",
        "distribution",
    ),
    mutant(
        "ledger-without-rounding",
        "distribution/ledger.py",
        "math.fsum((self.truncation, self.integration, self.pruning, self.rounding))",
        "math.fsum((self.truncation, self.integration, self.pruning))",
        "distribution",
    ),
    mutant(
        "certified-by-one-of-two",
        "distribution/ledger.py",
        "certified=self.certified and other.certified",
        "certified=self.certified or other.certified",
        "distribution",
    ),
    # ---- moments
    mutant(
        "holder-weight-without-its-exponent",
        "moments/bounds.py",
        "weight ** (1.0 - 1.0 / q)",
        "weight",
        "moments",
        only="part_of_a_distribution",
    ),
    mutant(
        "upper-bound-of-a-rate-for-a-loss",
        "moments/drift.py",
        "else (_below(rate), step)",
        "else (rate, step)",
        "moments",
        only="drift_conditions",
    ),
    mutant(
        "superlinear-losses-refused-not-gains",
        "moments/drift.py",
        "rate.superlinear and step > 0 for",
        "rate.superlinear and step < 0 for",
        "moments",
        only="fast_reaction",
    ),
    mutant(
        "losses-do-not-spread",
        "moments/drift.py",
        "if step > 0 or j % 2 == 0]",
        "if step > 0]",
        "moments",
        only="drift_conditions",
    ),
    mutant(
        "higher-moments-scaled-twice",
        "moments/drift.py",
        "-exponent * (j - 1)",
        "-exponent * j",
        "moments",
        only="growing_population",
    ),
    mutant(
        "falling-powers-without-factorial",
        "moments/polynomial.py",
        "comb(m, k) * comb(n, k) * factorial(k)",
        "comb(m, k) * comb(n, k)",
        "moments",
        only="ring",
    ),
    mutant(
        "hill-function-above-its-bound",
        "moments/envelope.py",
        "max(shared, default=Fraction(0))",
        "min(shared, default=Fraction(0))",
        "moments",
        only="enclose",
    ),
    mutant(
        "square-that-is-negative-between-counts",
        "moments/dissipation.py",
        "2 * b - 2 * m, 1)",
        "2 * b - 2 * m - 2, 1)",
        "moments",
        only="high_degree or known_models or highest",
    ),
    mutant(
        "root-taken-for-a-polynomial",
        "moments/envelope.py",
        "or not self.exact or any(p.denominator != 1 for powers in self.upper for p in powers)",
        "or not self.exact",
        "moments",
        only="root",
    ),
    mutant(
        "tail-forgotten-in-a-mean",
        "distribution/bounds.py",
        "upper = centre + _tail(above, moments, gained)",
        "upper = centre",
        "moments",
        only="without",
    ),
    mutant(
        "marginal-keeps-bounds-of-other-species",
        "distribution/distribution.py",
        "self.moments.select(columns)",
        "self.moments",
        "moments",
        only="bottleneck",
    ),
    # ---- projection
    mutant(
        "loss-not-in-the-ledger",
        "projection/march.py",
        "truncation=float(step.lost.sum()),",
        "truncation=0.0,",
        "transient",
    ),
    mutant(
        "rounding-not-in-the-ledger",
        "projection/march.py",
        "rounding=step.rounding,",
        "rounding=0.0,",
        "transient",
    ),
    mutant(
        "estimate-called-a-bound",
        "projection/march.py",
        "certified=solver.certified and step.certified,",
        "certified=solver.certified,",
        "time_dependent",
        "transient",
        only="time or estimate",
    ),
    mutant(
        "probability-lost-before-is-forgotten",
        "projection/march.py",
        "LossLimit(allowed - self.ledger.truncation, ",
        "LossLimit(allowed, ",
        "transient",
        "adaptive",
    ),
    mutant(
        "growth-neglects-the-flux",
        "projection/growth.py",
        "[leak.rates if everywhere else leak.rates * weight[leak.sources] for leak in generator.leaks]",
        "[leak.rates for leak in generator.leaks]",
        "charges",
    ),
    mutant(
        "closed-classes-unweighted",
        "projection/steady.py",
        "p[members] = weight * found.p",
        "p[members] = found.p / len(classes.members)",
        "stationary",
        only="estimates_of_classes",
    ),
    mutant(
        "change-under-growth-not-counted",
        "projection/steady.py",
        "return _distribution(model, solved, change if solved.generator.n_sinks else 0.0)",
        "return _distribution(model, solved, 0.0)",
        "stationary",
        only="change_under_growth",
    ),
    # ---- certified stationary distributions
    mutant(
        "outflow-of-a-stationary-answer-halved",
        "projection/certificate.py",
        "leaked = boundary.rates * y[boundary.sources]",
        "leaked = 0.5 * boundary.rates * y[boundary.sources]",
        "certified",
        only="sharp or any_space",
    ),
    mutant(
        "excepted-states-need-not-be-stored",
        "projection/certificate.py",
        "return min(condition.elsewhere, -float(condition.drifts[missing].max(initial=-np.inf)))",
        "return condition.elsewhere",
        "certified",
        only="nothing_is_proved or any_space",
    ),
    mutant(
        "return-times-not-checked",
        "projection/certificate.py",
        "drift = min(1.0, _drift(generator, boundary, solved, inside, beyond, others & (solved <= glued)))",
        "solved, inside, beyond, drift = 0.3 * solved, 0.3 * inside, 0.3 * beyond, 1.0",
        "certified",
        only="any_space",
    ),
    mutant(
        "what-comes-back-to-a-state-forgotten",
        "projection/certificate.py",
        "most = y + single.gained + np.minimum(single.error, solved + rounded)",
        "most = y + np.minimum(single.error, solved + rounded)",
        "certified",
        only="any_space",
    ),
    mutant(
        "drift-upwards-taken-for-downwards",
        "moments/lyapunov.py",
        "gamma = -image.get((0,) * len(lowest), Fraction(0))",
        "gamma = abs(image.get((0,) * len(lowest), Fraction(0)))",
        "certified",
        only="escape",
    ),
    mutant(
        "indefinite-forms-pass-for-positive",
        "moments/quadratic.py",
        "if rows[k][k] < 0 or (rows[k][k] == 0 and any(rows[k][k:])):",
        "if rows[k][k] == 0 and any(rows[k][k:]):",
        "certified",
        only="forms",
    ),
    mutant(
        "other-parity-may-be-reached",
        "model/structure.py",
        "return np.asarray(~rest.any(axis=1))",
        "return np.asarray(rest.any(axis=1) | True)",
        "certified",
        only="lattices or parities",
    ),
    mutant(
        "a-condition-that-may-hold-does",
        "moments/envelope.py",
        "return True if self._positive(gap.lower) else False if _not_negative(below) else None",
        "return True if self._positive(gap.lower) else False if _not_negative(below) else True",
        "moments",
        "certified",
        only="",
    ),
    mutant(
        "limits-of-moments-without-source",
        "moments/drift.py",
        "moments[q] = float(matrix[q, :q] @ moments[:q]) / -matrix[q, q] + 1e-290",
        "moments[q] = 1e-290",
        "certified",
        only="means",
    ),
    # ---- spaces that move
    mutant(
        "flux-into-dropped-states-ignored",
        "projection/pruning.py",
        "if inflow <= allowed else (low, middle - 1)",
        "if True else (low, middle - 1)",
        "adaptive",
        only="dropped or flux",
    ),
    mutant(
        "more-dropped-than-allowed",
        "projection/pruning.py",
        "np.cumsum(ordered), mass,",
        "np.cumsum(ordered), 2.0 * mass,",
        "adaptive",
        only="dropped or budgets",
    ),
    mutant(
        "dropped-probability-not-charged",
        "projection/march.py",
        "ErrorLedger(pruning=float(dropped.sum()))",
        "ErrorLedger(pruning=0.0)",
        "adaptive",
        only="packet",
    ),
    mutant(
        "carried-one-state-off",
        "space/kernels.py",
        "source, target = starts_a[k] - begin, starts_b[j]",
        "source, target = starts_a[k] - begin + 1, starts_b[j]",
        "space",
        only="carried",
    ),
    mutant(
        "carried-to-states-that-do-not-fit",
        "space/space.py",
        "inside = other.encoding.holds(self.states)",
        "inside = np.ones(len(self), dtype=bool)",
        "space",
        only="carried",
    ),
    mutant(
        "growth-does-not-speed-up",
        "projection/growth.py",
        "min(2.0, max(0.5, remaining / (INTERVALS * served)))",
        "min(1.0, max(0.5, remaining / (INTERVALS * served)))",
        "adaptive",
        only="way or stationary or oscillates",
    ),
    mutant(
        "closed-though-states-were-dropped",
        "projection/march.py",
        "self.generator.n_sinks == 0 and self.ledger.pruning == 0.0 and self.ledger.truncation == 0.0",
        "self.generator.n_sinks == 0",
        "adaptive",
        only="closed",
    ),
    mutant(
        "shares-of-the-tolerance-above-one",
        "projection/march.py",
        "(1.0 - share - PRUNING_SHARE - ROUNDING_SHARE) * tol / duration",
        "(1.0 + share + PRUNING_SHARE + ROUNDING_SHARE) * tol / duration",
        "adaptive",
        only="budgets or tolerance",
    ),
    mutant(
        "rational-residual-without-its-last-vector",
        "solvers/rational.py",
        "weights[-1] += self._H[self.size, self.size - 1] * float(np.abs(q).sum())",
        "weights[-1] += float(np.abs(q).sum())",
        "solvers",
        only="rational",
    ),
    mutant(
        "rational-residual-without-its-pole",
        "solvers/rational.py",
        "scale = basis.beta / basis.gamma\n",
        "scale = basis.beta\n",
        "solvers",
        only="rational",
    ),
    mutant(
        "rational-quadrature-by-the-smaller-end",
        "solvers/rational.py",
        "ends = np.maximum(values[1:], values[:-1])",
        "ends = np.minimum(values[1:], values[:-1])",
        "solvers",
        only="rational or integrals",
    ),
    mutant(
        "rational-sinks-not-integrated",
        "solvers/rational.py",
        "w[n:] = v[n:] + self.gamma * (self.system.sinks @ w[:n])",
        "w[n:] = v[n:]",
        "solvers",
        only="weights_of_a_rational or covers_the_integral",
    ),
    mutant(
        "rational-clip-not-counted",
        "solvers/rational.py",
        "float(path.errors[kept]) + cut,",
        "float(path.errors[kept]),",
        "solvers",
        only="rational",
    ),
    mutant(
        "rational-slow-modes-squared",
        "solvers/rational.py",
        "power[diagonal, diagonal] = np.exp(h * 2.0 ** (i - J) * np.diag(G))",
        "pass",
        "solvers",
        only="rational or doublings",
    ),
    mutant(
        "rational-ignores-the-loss-limit",
        "solvers/rational.py",
        "if not over.any():",
        "if True:",
        "solvers",
        only="rational",
    ),
    # ---- continuations and sweeps
    mutant(
        "start-without-its-error",
        "projection/march.py",
        "error=self.begin.error + ledger,",
        "error=ledger,",
        "resume",
        only="continuation or closed_form",
    ),
    mutant(
        "budget-counted-from-zero",
        "projection/march.py",
        "allowed = self._truncation_rate * (self.t - self.begin.t)",
        "allowed = self._truncation_rate * self.t * 40",
        "resume",
        only="continuation or goes_on",
    ),
    mutant(
        "extra-time-kept-as-asked-for",
        "distribution/continuation.py",
        "[one for one in first if one.t in first.asked and one.t != begin]",
        "[one for one in first if one.t != begin]",
        "resume",
        only="stopped_run",
    ),
    mutant(
        "interrupted-between-space-and-probability",
        "projection/march.py",
        "t, space, p, ledger, closed = self.accepted",
        "t, space, p, ledger, closed = self.t, self.space, self.p, self.ledger, False",
        "resume",
        only="ctrl_c",
    ),
    mutant(
        "another-model-resumed",
        "projection/stopping.py",
        "earlier.model_hash == model.hash",
        "True",
        "resume",
        only="signal_ends",
    ),
    mutant(
        "signal-without-its-status",
        "cli.py",
        "SystemExit(128 + (stop.signal or signal.SIGINT))",
        "SystemExit(1)",
        "resume",
        only="signal_ends",
    ),
    mutant(
        "hint-that-throws-probability-away",
        "projection/start.py",
        "<= HINT_SHARE * solution.tol",
        "<= 1e3 * solution.tol",
        "sweep",
        only="worth_keeping",
    ),
    mutant(
        "sweep-out-of-order",
        "projection/sweep.py",
        "self._solutions[outcome.index] = outcome.solution",
        "self._solutions[self.done] = outcome.solution",
        "sweep",
        only="single_run",
    ),
]


PLUGIN = """
import hypothesis

# The first counterexample will do.
hypothesis.settings.register_profile(
    "unshrunk",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    report_multiple_bugs=False,
)


def pytest_runtest_logreport(report):
    if report.failed:
        with open("failed", "w") as file:
            file.write(report.nodeid)
"""


class Tree:
    """A copy of the package and its tests, in which one sabotage is made at a time.

    A worker keeps its copy, and kernels stay compiled as long as none is sabotaged.  A compiled kernel contains those
    that it calls, but the cache on disk only looks at the file that it is in itself: a sabotaged one gets a cache of
    its own.
    """

    def __init__(self, folder):
        self.folder = folder
        self.cache = folder / "numba"
        self.red = []  # tests that fail without a sabotage
        for part in ("fsp", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
        shutil.copy2(ROOT / "pyproject.toml", folder)
        (folder / "mutants_plugin.py").write_text(PLUGIN)

    def try_out(self, mutant):
        """Return whether the tests catch a mutant, and how."""
        count = (self.folder / mutant.file).read_text().count(mutant.old)
        if count != 1:
            return False, f"its text occurs {count} times in {mutant.file}"
        for _ in range(MOST_RED):
            with self.sabotaged(mutant):
                failed, trouble = self.first_failure([*mutant.tests, "-k", mutant.only])
            if not failed:
                return False, trouble or "SURVIVES"
            if not self.first_failure([failed])[0]:
                return True, failed
            self.red.append(failed)
        return False, "too many tests fail without any sabotage"

    @contextmanager
    def sabotaged(self, mutant):
        """Make the sabotage, and take it back."""
        path = self.folder / mutant.file
        original, times, cache = path.read_text(), path.stat(), self.cache
        path.write_text(original.replace(mutant.old, mutant.new))
        if "numba" in original:
            self.cache = self.folder / "numba-sabotaged"
        try:
            yield
        finally:
            path.write_text(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            self.cache = cache
            shutil.rmtree(self.folder / "numba-sabotaged", ignore_errors=True)

    def first_failure(self, tests):
        """Run tests until one fails; return its id, "" where none does, and what else went wrong."""
        note = self.folder / "failed"
        note.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "mutants_plugin", "--tb=no"]
        command += [f"--deselect={name}" for name in self.red]
        try:
            run = subprocess.run(
                [*command, *tests],
                cwd=self.folder,
                env=os.environ | self._settings(),
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "", f"no verdict within {TIME_LIMIT:.0f} s"
        if note.exists():
            return note.read_text(), ""
        return "", "" if run.returncode == 0 else (run.stdout + run.stderr)[-400:]

    def _settings(self):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return threads | {
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(self.cache),
            "HYPOTHESIS_PROFILE": "unshrunk",
        }


def main():
    """Run the mutants named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the names")
    arguments = parser.parse_args()
    known = {mutant.name: mutant for mutant in MUTANTS}
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"NAME must be one that --list prints, but is '{unknown[0]}'.")
    chosen = [known[name] for name in arguments.names] or MUTANTS
    if arguments.list:
        print("\n".join(f"{mutant.name:42}{mutant.file}" for mutant in chosen))
        return 0
    return report(chosen)


def report(chosen):
    """Try the mutants, print a line for each, and return the exit status."""
    caught = 0
    with tempfile.TemporaryDirectory(prefix="fsp-mutants-") as folder:
        trees = [Tree(Path(folder) / str(worker)) for worker in range(WORKERS)]
        free = queue.SimpleQueue()
        for tree in trees:
            free.put(tree)

        def judge(mutant):
            tree, started = free.get(), perf_counter()
            try:
                return mutant, *tree.try_out(mutant), perf_counter() - started
            finally:
                free.put(tree)

        with ThreadPoolExecutor(WORKERS) as pool:
            for mutant, red, how, seconds in pool.map(judge, chosen):
                caught += red
                print(f"{'caught' if red else 'FAILED':8}{mutant.name:42}{seconds:5.0f} s  {how}", flush=True)
        red = sorted({name for tree in trees for name in tree.red})
    print(f"{caught} of {len(chosen)} caught")
    for name in red:
        print(f"fails without any sabotage: {name}")
    return int(caught < len(chosen) or bool(red))


if __name__ == "__main__":
    sys.exit(main())
