"""Sabotage the package, one line at a time, and require that the tests notice.

    python tests/mutants.py             all, two at a time
    python tests/mutants.py NAME ...    some
    python tests/mutants.py --list      their names

Each sabotage is made in a copy of `fsp/`, `tests/` and `ci/` in a temporary directory; the working tree is not touched.
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
    # ---- inputs
    mutant(
        "antimony-in-threads",
        "model/libraries.py",
        "        with _LOCK:\n            return",
        "        if _LOCK:\n            return",
        "model_files",
        only="threads",
    ),
    mutant(
        "contradictions-are-read",
        "model/sbml.py",
        "    _check_consistency(document, source)  # last",
        "    _document(text, source)  # last",
        "model_files",
        only="two_things",
    ),
    mutant(
        "libsbml-checks-nothing-beside-an-error",
        "model/sbml.py",
        "    document.getErrorLog().clearLog()",
        "    document.getErrorLog()",
        "model_files",
        only="two_things",
    ),
    mutant(
        "comments-nest",
        "model/sbml.py",
        'plain = _UNREAD.sub("", text)',
        "plain = text",
        "model_files",
        only="within_each_other",
    ),
    mutant(
        "formulas-of-any-size",
        "model/size.py",
        "    if parts > MOST_PARTS:",
        "    if parts > MOST_PARTS**9:",
        "expression",
        only="stand_for_more",
    ),
    mutant(
        "flat-differences-lose-signs",
        "model/size.py",
        'inverted ^ (node.function in ("-", "neg", "/")',
        'inverted or (node.function in ("-", "neg", "/")',
        "expression",
        only="long_chains",
    ),
    mutant(
        "broken-cache-files",
        "compilation.py",
        "        except Exception:  # a file that was cut short",
        "        except KeyError:  # a file that was cut short",
        "compilation",
        only="cut_short",
    ),
    mutant(
        "full-cache-disk",
        "compilation.py",
        "        except Exception as error:",
        "        except KeyError as error:",
        "compilation",
        only="full_disk",
    ),
    mutant(
        "texts-as-copy-numbers",
        "distribution/intervals.py",
        "if isinstance(count, bool) or not isinstance(count, int | np.integer):",
        "if isinstance(count, bool):",
        "arguments",
        only="event",
    ),
    mutant(
        "one-name-set-twice",
        "command/options.py",
        "        seen.add(name)",
        "        seen.add(text)",
        "arguments",
        only="words",
    ),
    # ---- rounding inside rate formulas
    mutant(
        "rates-are-exact",
        "projection/march.py",
        "rounding=step.rounding + self._misjudged(started, step.t),",
        "rounding=step.rounding,",
        "rounding",
        only="is_in_the_bound",
    ),
    mutant(
        "relative-errors-of-rates-are-free",
        "generator/generator.py",
        "return self.operations + 2.0 * self.rate_errors.relative / UNIT_ROUNDOFF",
        "return float(self.operations)",
        "rounding",
        only="counts_twice",
    ),
    mutant(
        "errors-of-clocked-rates-are-free",
        "generator/generator.py",
        "total += error * (1.0 if index == 0 else self._largest(index, start, end))",
        "total += error * (1.0 if index == 0 else 0.0)",
        "rounding",
        only="switched_by_time",
    ),
    mutant(
        "stationary-rates-are-exact",
        "projection/certificate.py",
        "return of_sums + min(generator.rate_errors.worst, UNKNOWN)",
        "return of_sums",
        "rounding",
        only="charged_for_its_rates or makes_uncertain",
    ),
    mutant(
        "one-way-ends-are-those-of-the-first-start",
        "projection/detailed_balance.py",
        "and (np.ptp(ends, axis=0) == 0).all()",
        "",
        "stationary",
        only="ends_of_one_way",
    ),
    mutant(
        "rates-on-a-line-are-exact",
        "projection/detailed_balance.py",
        "error = self._model.propensity_errors(states)[chosen].sum(axis=0)",
        "error = 0.0 * rates",
        "rounding",
        only="are_charged",
    ),
    mutant(
        "sums-do-not-round",
        "model/roundoff.py",
        "return a + b, e + f + np.abs(sum_error(a, b))",
        "return a + b, e + f",
        "rounding",
        only="formula_is_above",
    ),
    mutant(
        "zero-times-unknown-is-exact",
        "model/accuracy.py",
        "self.worst + other.worst + _times(self.worst, other.worst),",
        "self.worst * other.worst,",
        "rounding",
        only="cancellation or uncertain",
    ),
    mutant(
        "folded-numbers-are-exact",
        "model/tree.py",
        "return self.error + _off_decimal(self.value)",
        "return _off_decimal(self.value)",
        "rounding",
        only="cancellation",
    ),
    mutant(
        "decimals-are-exact",
        "model/tree.py",
        "return self.error + _off_decimal(self.value)",
        "return self.error",
        "rounding",
        only="cancellation",
    ),
    mutant(
        "conditions-are-certain",
        "model/roundoff.py",
        "error = np.where(uncertain, either, np.where(holds, e, error))",
        "error = np.where(holds, e, error)",
        "rounding",
        only="branches",
    ),
    mutant(
        "conditions-are-not-decided",
        "model/accuracy.py",
        "uncertain[place] = bool(COMPARISONS[tree.function](sign, 0)) != bool(holds[place])",
        "uncertain[place] = True",
        "rounding",
        only="branches",
    ),
    mutant(
        "folded-constants-are-one-number",
        "moments/envelope.py",
        "if not number.error > KNOWN * abs(number.value):",
        "if True:",
        "rounding",
        only="no_product_form",
    ),
    mutant(
        "callables-are-asked-once",
        "model/propensity.py",
        "same = np.isclose(first, again, rtol=_AGREEMENT, atol=0.0, equal_nan=True)",
        "same = np.ones(len(first), dtype=np.bool_)",
        "rounding",
        only="callable",
    ),
    mutant(
        "tanh-has-no-slope",
        "model/intervals.py",
        "slope[0] = (max(slope[0][0], 0.0), min(max(slope[0][1], 0.0), 1.0))",
        "slope[0] = ZERO",
        "rounding",
        only="remainder or more_functions",
    ),
    mutant(
        "quotients-round-down",
        "model/taylor.py",
        '"quotient": _as_quotient,',
        '"quotient": lambda a, b: Call("ceil", (Call("/", (a, b)),)),',
        "rounding",
        only="more_functions",
    ),
    # ---- sampler
    mutant(
        "thinning-accepts-all",
        "sampling/kernels.py",
        "if _uniform(counter, key, words, place) * a[chosen] >= rate:",
        "if _uniform(counter, key, words, place) * a[chosen] >= 2.0 * a[chosen]:",
        "sampler",
        only="thinned",
    ),
    mutant(
        "sampler-reports-the-state-after-the-jump-late",
        "sampling/kernels.py",
        "while o < n and times[o] < until:",
        "while o < n and times[o] < t:",
        "sampler",
        only="absorbed",
    ),
    # ---- events
    mutant(
        "events-of-lowest-priority-first",
        "model/firing.py",
        "ranked == ranked.max(axis=0, initial=-np.inf)",
        "ranked == np.where(pending, ranked, np.inf).min(axis=0, initial=np.inf)",
        "events",
        only="priority or persist",
    ),
    mutant(
        "strict-triggers-at-their-time",
        "model/triggers.py",
        "gap = np.where(gap == 0.0, 1.0, gap)",
        "gap = np.where(gap == 0.0, 0.0, gap)",
        "events",
        only="output_at_the_time",
    ),
    mutant(
        "error-forgotten-at-an-event",
        "projection/start.py",
        "error += ErrorLedger(rounding=rounding)",
        "error = ErrorLedger(rounding=rounding)",
        "events",
        only="mapped_state_by_state",
    ),
    mutant(
        "moments-carried-as-if-conditions-held",
        "moments/carried.py",
        "certain |= not symbols(event.condition) & set(species)",
        "certain = True",
        "events",
        only="carried",
    ),
    mutant(
        "caps-that-events-do-not-keep",
        "model/landings.py",
        "return name in jump.deciding and bool((after[:, self.rules.species.index(name)] <= cap).all())",
        "return True",
        "events",
        only="random_networks or trigger_each_other or incremented",
    ),
    mutant(
        "landing-of-the-state-before-the-jump",
        "model/landings.py",
        "jumped = before + np.array([self.step.get(name, 0) for name in species], dtype=np.float64)",
        "jumped = before + 0.0",
        "events",
        only="long_jumps or random_networks",
    ),
    mutant(
        "closed-after-a-start-that-has-lost",
        "projection/march.py",
        "lost = self.begin.error + self.ledger",
        "lost = self.ledger",
        "resume",
        only="not_closed",
    ),
    mutant(
        "agreement-by-the-estimate-alone",
        "verification/suite.py",
        "farthest.append(max(abs(one.upper - value), abs(one.lower - value)) / unit)",
        "farthest.append(abs(one.value - value) / unit)",
        "suite",
        only="no_interval_decides",
    ),
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
        "model/intervals.py",
        "return -a[1], -a[0]",
        "return -a[0], -a[1]",
        "time_dependent",
        only="remainder",
    ),
    mutant(
        "switch-at-an-end-of-a-step-not-charged",
        "model/taylor.py",
        "missed = inset / (end - start) * distance",
        "missed = 0.0 * distance",
        "time_dependent",
        only="covers_the_integral",
    ),
    mutant(
        "implicit-switch-beside-a-step-not-charged",
        "solvers/implicit.py",
        "self._h * most * nodes.lebesgue",
        "0.0 * most * nodes.lebesgue",
        "time_dependent",
        only="rounding_of_a_start",
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
        "magnus_kernels.force(f.W, J, 1.0 / space.unit, n_all, v, u, w)",
        "magnus_kernels.force(f.W, J, -1.0 / space.unit, n_all, v, u, w)",
        "time_dependent",
        only="birth or switch",
    ),
    mutant(
        "magnus-residual-not-charged",
        "solvers/magnus.py",
        "error = flow.error + length * missed + self._look(space, change, f, t, length) + cut",
        "error = flow.error + length * missed + 0.0 * self._look(space, change, f, t, length) + cut",
        "time_dependent",
        only="birth or decay",
    ),
    mutant(
        "rates-held-that-change",
        "model/taylor.py",
        "if found is None or found.remainder > 0.0:",
        "if found is None:",
        "time_dependent",
        only="what_is_constant",
    ),
    mutant(
        "rates-held-for-too-long",
        "projection/march.py",
        "if self._held_until < target:",
        "if self._held is None:",
        "time_dependent",
        only="jump",
    ),
    mutant(
        "implicit-residual-between-stages-not-charged",
        "solvers/implicit.py",
        "return _Residual(self._h * total, self._h * most",
        "return _Residual(0.0, self._h * most",
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
        "space/fields.py",
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
        "    if unassigned.any():\n",
        "    if False:\n",
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
        "generator/slice_kernels.py",
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
        "further-source-of-a-run-left-out",
        "generator/run_kernels.py",
        "for m in range(more_from[r], more_from[r + 1]):",
        "for m in range(more_from[r], more_from[r]):",
        "operator",
    ),
    mutant(
        "slices-of-the-first-clock-alone",
        "generator/slices.py",
        "            total += weight * getattr(part, name)\n",
        "            total += 0.0 * getattr(part, name)\n",
        "operator",
        only="clocks",
    ),
    mutant(
        "sinks-left-out-of-compiled-loops",
        "generator/closed_kernels.py",
        "        a, b, c = product_sinks(A, A.starts[-1], form, v, u, w, total, *factors)\n",
        "        a, b, c = 0.0, 0.0, 0.0\n",
        "operator",
        only="compiled",
    ),
    mutant(
        "ends-of-a-run-left-out",
        "generator/run_kernels.py",
        'for first, end in (("0", "low"), ("high", "length")):',
        'for first, end in (("0", "low"),):',
        "operator",
    ),
    mutant(
        "last-thread-stops-early",
        "generator/operator.py",
        "pairwise([first, *cuts, end])",
        "pairwise([first, *cuts, end - (n_shares > 1)])",
        "operator",
    ),
    mutant(
        "low-counts-unchecked",
        "generator/coefficients.py",
        "if low and not vanishing:",
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
        "if added(float(following[self._n :].sum())) > limit.at(end - t0):",
        "if False:",
        "solvers",
        only="uniformization",
    ),
    mutant(
        "substeps-do-not-round",
        "solvers/krylov.py",
        "kernels.SUBSTEP_ROUNDINGS * substeps",
        "0.0 * substeps",
        "charges",
        only="charged_for_many_substeps",
    ),
    mutant(
        "uniformization-rounding-dropped",
        "solvers/uniformization.py",
        "products * self._roundings * UNIT_ROUNDOFF + 2.0",
        "2.0",
        "charges",
    ),
    mutant(
        "a-small-residual-taken-for-none",
        "solvers/kernels.py",
        "    H[j + 1, j] = norm\n",
        "    H[j + 1, j] = norm if norm > CLOSED * np.sqrt(before) else 0.0\n",
        "charges",
        only="leak or basis",
    ),
    mutant(
        "squares-that-vanish-taken-for-nothing",
        "solvers/kernels.py",
        "norm = added(np.abs(w).sum(), operator)",
        "norm = added(0.0, operator)",
        "charges",
        only="squares",
    ),
    mutant(
        "taylor-terms-left-out-for-nothing",
        "solvers/kernels.py",
        " + largest_norm * dropped",
        "",
        "charges",
        only="taylor",
    ),
    mutant(
        "near-the-target-is-there",
        "solvers/base.py",
        "end = t1 if s >= span(t, t1) else t + s",
        "end = t1 if s >= span(t, t1) * (1.0 - 1e-12) else t + s",
        "charges",
        "arithmetic",
        only="jump or add_up",
    ),
    mutant(
        "crumb-of-a-step-skipped",
        "solvers/base.py",
        "return span(t, end)",
        "return min(h, span(t, end))",
        "arithmetic",
        only="add_up",
    ),
    mutant(
        "small-exponential-ends-before-the-horizon",
        "solvers/kernels.py",
        "        if step <= 0.0:\n",
        "        if step <= 1e-13 * horizon:\n",
        "charges",
        "solvers",
        only="jump or flow",
    ),
    mutant(
        "time-that-rounds-not-charged",
        "solvers/base.py",
        "nextafter(past, inf) if past > 0.0 else 0.0",
        "0.0",
        "arithmetic",
        only="add_up",
    ),
    mutant(
        "negative-denormals-leave-uniformization",
        "solvers/uniformization.py",
        "settled += added(kernels.clip(following))",
        "settled += 0.0",
        "charges",
        only="extinction or births or clips",
    ),
    mutant(
        "half-sums-rounded-to-nearest",
        "arithmetic.py",
        "return _beyond(above), _beyond(below)",
        "return above, below",
        "arithmetic",
        only="half_sums",
    ),
    mutant(
        "small-times-are-all-the-same",
        "model/triggers.py",
        "SAME_TIME * np.minimum(np.abs(t), np.abs(other))",
        "SAME_TIME * np.maximum(1.0, np.abs(other))",
        "events",
        only="unit",
    ),
    mutant(
        "moved-events-are-free",
        "projection/start.py",
        "moved = 2.0 * abs(t - phase.until)",
        "moved = 0.0 * abs(t - phase.until)",
        "events",
        only="moved",
    ),
    mutant(
        "initial-sum-taken-for-one",
        "projection/start.py",
        "ErrorLedger(rounding=off)",
        "ErrorLedger(rounding=0.0 * off)",
        "transient",
        only="quite",
    ),
    mutant(
        "improbable-class-has-no-upper-bound",
        "projection/certified.py",
        "                upper[members] = weight + off.total\n                error += ErrorLedger(truncation=weight)",
        "                error += ErrorLedger(truncation=weight)",
        "certified",
        only="improbable",
    ),
    mutant(
        "reference-above-one-taken-for-one",
        "verification/slack.py",
        "up, down = half_sums(error, 1.0 - mass, SUM_ROUNDING * max(mass, 1.0))",
        "up, down = half_sums(error, max(1.0 - mass, 0.0), SUM_ROUNDING * max(mass, 1.0))",
        "verify",
        only="slack",
    ),
    mutant(
        "krylov-residual-norm-left-out",
        "solvers/krylov.py",
        "residual_norm = H[m, m - 1] * beta * norms[m]",
        "residual_norm = 0.0",
        "solvers",
        only="krylov",
    ),
    mutant(
        "krylov-residual-in-the-2-norm",
        "solvers/krylov.py",
        "H[m, m - 1] * beta * norms[m]",
        "H[m, m - 1] * beta",
        "solvers",
        only="krylov",
    ),
    mutant(
        "krylov-clip-not-counted",
        "solvers/krylov.py",
        "cut = kernels.combine(V[:m], beta * u_kept, end)",
        "cut = 0.0 * kernels.combine(V[:m], beta * u_kept, end)",
        "charges",
    ),
    mutant(
        "krylov-clip-of-a-rejected-step-not-counted",
        "solvers/krylov.py",
        "cut = kernels.combine_both(",
        "cut = 0.0 * kernels.combine_both(",
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
        "error += self._operator.added(kernels.clip(total))",
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
        "if added(float(step.z[n:].sum())) > limit.at(end - t0):",
        "if False:",
        "solvers",
        only="chebyshev",
    ),
    mutant(
        "radau-curvature-factor-halved",
        "solvers/implicit.py",
        "return _Residual(self._h * float(",
        "return _Residual(0.5 * self._h * float(",
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
        "return _Residual(self._h * total, self._h * most",
        "return _Residual(0.0 * total, self._h * most",
        "time_dependent",
        only="implicit or Implicit or bound",
    ),
    # ---- distribution
    mutant(
        "interval-halves-of-the-halves",
        "arithmetic.py",
        "above, below = 0.5 * (total + missing + off), 0.5 * (total - missing + off)",
        "above, below = 0.25 * (total + missing + off), 0.25 * (total - missing + off)",
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
        "rounding=step.rounding + self._misjudged(started, step.t),",
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
        "LossLimit(max(allowed - self.ledger.truncation, 0.0), ",
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
        "null-vector-with-any-residual",
        "projection/nullspace.py",
        "if not residual <= RELATIVE_RESIDUAL * flux:",
        "if not residual <= 10.0 * flux:",
        "nullspace",
        only="falls_through",
    ),
    mutant(
        "null-vector-of-any-sign",
        "projection/nullspace.py",
        "or p.min() < 0.0 or abs",
        "or abs",
        "nullspace",
        only="falls_through",
    ),
    mutant(
        "first-null-vector-whatever-its-error",
        "projection/nullspace.py",
        "if best.error <= GOOD_ERROR:",
        "if best.error <= 1.0:",
        "nullspace",
        only="estimated_error",
    ),
    mutant(
        "elimination-that-forgets-what-comes-back",
        "projection/elimination_kernels.py",
        "        x[j] = 0.0  # what comes back to j is no jump\n",
        "",
        "nullspace",
        only="relative_accuracy",
    ),
    mutant(
        "elimination-in-the-range-of-a-double",
        "projection/elimination_kernels.py",
        "mantissa[j], exponent[j] = m, e",
        "mantissa[j], exponent[j] = math.ldexp(m, max(e, -1070)), 0",
        "nullspace",
        only="apart_by_more",
    ),
    mutant(
        "cells-across-weak-links",
        "projection/multilevel_kernels.py",
        "if best >= 0 and strongest >= WEAK * most:",
        "if best >= 0:",
        "nullspace",
        only="several_levels",
    ),
    mutant(
        "wells-cut-off",
        "projection/localisation.py",
        "if p[kept].sum() - p[within].sum() > CUT_OFF:",
        "if p[kept].sum() - p[within].sum() > 2.0:",
        "nullspace",
        only="cut_off",
    ),
    mutant(
        "modes-with-any-residual",
        "projection/modes.py",
        "if not found.errors[worst] <= USELESS:",
        "if found.errors[worst] < 0.0:",
        "relaxation",
        only="wrong_pair",
    ),
    mutant(
        "modes-by-modulus",
        "projection/modes.py",
        "np.lexsort((values.imag, -values.real))",
        "np.lexsort((values.imag, np.abs(values)))",
        "relaxation",
        only="modulus_is_larger",
    ),
    mutant(
        "slow-modes-by-a-shift-only",
        "projection/modes.py",
        "if fast is None or fast.errors[:n_modes].max() > FEW_DIGITS:",
        "if fast is None:",
        "relaxation",
        only="all_digits",
    ),
    mutant(
        "slow-modes-mixed-with-noise",
        "projection/modes.py",
        "TOLD_APART = 1e-9 ",
        "TOLD_APART = 0.0 ",
        "relaxation",
        only="all_digits",
    ),
    mutant(
        "rounding-of-rates-moves-no-eigenvalue",
        "projection/relaxation.py",
        "    elif not lost <= SETTLED:",
        "    elif lost < 0.0:",
        "relaxation",
        only="without_digits",
    ),
    mutant(
        "a-given-space-confirms",
        "projection/relaxation.py",
        """    if missing:
        notes""",
        """    if not notes and missing == "":
        notes""",
        "relaxation",
        only="no_proof",
    ),
    mutant(
        "modes-of-one-space-confirmed",
        "projection/relaxation.py",
        "        changes = np.abs(_folded(found.modes.values) - _folded(before.modes.values))\n",
        "        changes = 0.0 * np.abs(found.modes.values)\n",
        "relaxation",
        only="cannot_be_shown or takes_long",
    ),
    mutant(
        "transient-states-kept",
        "projection/relaxation.py",
        "    own = max(ends.members, key=len)\n",
        "    own = np.union1d(max(ends.members, key=len), passed)\n",
        "relaxation",
        only="transient_states",
    ),
    mutant(
        "several-classes-as-one",
        "projection/relaxation.py",
        "if len(apart) > 1 and not all(",
        "if len(apart) > 9 and not all(",
        "relaxation",
        only="several_closed",
    ),
    mutant(
        "leaks-that-reflect",
        "projection/chain.py",
        "return (matrix + led(leak_rates, np.full(len(leak_rates), z))).tocsr()",
        "return (matrix + sparse.diags_array(leak_rates)).tocsr()",
        "relaxation",
        only="bursts or boxes",
    ),
    mutant(
        "quasi-stationary-without-what-follows",
        "projection/transients.py",
        "        whole[later] = lu.solve(source.real) + 1j * lu.solve(source.imag)\n",
        "        pass\n",
        "relaxation",
        only="epidemic or last_molecule",
    ),
    mutant(
        "rounding-grows-a-stationary-space",
        "projection/steady.py",
        "settled = rounded or change + solved.error <= tol",
        "settled = change + solved.error <= tol",
        "stationary",
        only="rounding_keeps",
    ),
    mutant(
        "tables-from-zero",
        "generator/coefficients.py",
        "tabulated(tree, name, int(layout.bottom[s]), int(layout.top[s]))",
        "tabulated(tree, name, 0, int(layout.top[s]))[int(layout.bottom[s]) :]",
        "operator",
        only="cover_no_more",
    ),
    mutant(
        "tables-over-counts-of-no-state",
        "generator/coefficients.py",
        "return bool(extent[own].max(initial=0) > longest)",
        "return False",
        "operator",
        only="cover_no_more",
    ),
    mutant(
        "tables-backwards-from-zero",
        "generator/plan.py",
        "return self._coordinate[group.species], -1, place + self._first(group.species, shift)",
        "return self._coordinate[group.species], -1, place + int(shift[group.species])",
        "operator",
        only="from_high_counts",
    ),
    mutant(
        "nothing-outside-looked-for",
        "projection/localisation.py",
        "return whole, error + SLOWEST * float(np.abs(whole - p).sum())",
        "return whole, error",
        "nullspace",
        only="stops_short",
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
        "solved.estimate(change))",
        "solved.estimate(0.0))",
        "stationary",
        only="change_under_growth",
    ),
    # ---- product forms
    mutant(
        "balance-of-positive-deficiency-taken-for-granted",
        "moments/complexes.py",
        "return top == bottom",
        "return True",
        "product_form",
        only="decided_exactly",
    ),
    mutant(
        "tails-of-a-product-form-forgotten",
        "projection/product_form.py",
        "tails += own.above(int(high[i]))",
        "tails += 0.5 * own.above(int(high[i]))",
        "product_form",
        only="of_any_size",
    ),
    mutant(
        "what-is-connected-outside-forgotten",
        "projection/product_form.py",
        "doubtful = float(weight[outside & ~own].sum())",
        "doubtful = 0.0",
        "product_form",
        only="way_outside",
    ),
    mutant(
        "all-states-of-the-lattice-taken-for-the-class",
        "projection/product_form.py",
        "own = label == label[place]",
        "own = label >= 0",
        "product_form",
        only="classes_of_their_own",
    ),
    # ---- detailed balance
    mutant(
        "tail-of-a-line-forgotten",
        "projection/detailed_balance.py",
        "beyond = weight * up[within]",
        "beyond = 0.1 * weight * up[within]",
        "detailed_balance",
        only="queues",
    ),
    mutant(
        "transient-states-of-a-line-not-seen",
        "projection/detailed_balance.py",
        "if (up[first:last] <= 0.0).any() or (down[first + 1 : last + 1] <= 0.0).any():",
        "if False:",
        "detailed_balance",
        only="go_another_way",
    ),
    mutant(
        "products-lose-their-exponents",
        "projection/detailed_balance.py",
        "own + np.cumsum(exponent[chosen]) + shift",
        "np.cumsum(exponent[chosen]) + shift",
        "detailed_balance",
        only="range_of_a_double",
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
        "classes-that-leak-are-led-back-to-the-start",
        "projection/structure.py",
        "trapped[members] = leads is None or leads(members, entries)",
        "trapped[members] = True",
        "stationary",
        only="opens_for_good",
    ),
    mutant(
        "classes-far-apart-weighted-by-a-factorisation",
        "projection/structure.py",
        "system = Leaving(within, out, roundings)",
        "raise RuntimeError",
        "stationary",
        only="fast_pair",
    ),
    mutant(
        "what-leaves-a-settled-space-is-not-followed",
        "projection/excursions.py",
        "if not exits.changes:",
        "if True:",
        "stationary",
        only="followed",
    ),
    mutant(
        "excursions-are-not-conditional",
        "projection/excursions.py",
        "shares: FloatArray = self.flux / np.bincount(self.kinds, self.flux)[self.kinds]",
        "shares: FloatArray = self.flux",
        "stationary",
        only="followed",
    ),
    mutant(
        "explosions-whatever-is-consumed",
        "projection/escape.py",
        "elif sum(alpha) == alpha[self._i]:  # with no other factor, which may be zero",
        "else:",
        "escape",
        only="without_a_proof",
    ),
    mutant(
        "losses-do-not-count-against-an-escape",
        "projection/escape.py",
        "leaves = D[0] > 0 and min(D.values()) >= 0",
        "leaves = D[0] > 0",
        "escape",
        only="without_a_proof",
    ),
    mutant(
        "cycles-that-end-in-no-numbers",
        "projection/multilevel.py",
        "if not np.isfinite(following).all():",
        "if False:",
        "nullspace",
        only="no_numbers",
    ),
    mutant(
        "growth-held-back-by-a-boundary-taken-for-an-answer",
        "projection/steady.py",
        "if gaining(model, space, solved.p) is not None:",
        "if False:",
        "stationary",
        only="holds_back_growth",
    ),
    mutant(
        "eliminations-lose-what-leaves-the-space",
        "projection/killed.py",
        "chain = Chain.of_generator(led_back(matrix, leak_rates, z))",
        "chain = Chain.of_generator(matrix)",
        "certified",
        only="any_space or magnitude",
    ),
    mutant(
        "mean-times-of-eliminations-too-short",
        "projection/elimination_kernels.py",
        "total += values[q] * b[rows[q]]",
        "total += 0.9 * values[q] * b[rows[q]]",
        "certified",
        only="whatever_the_rates",
    ),
    mutant(
        "rounding-of-eliminations-forgotten",
        "projection/killed.py",
        "self.relative = float(np.expm1(off))",
        "self.relative = 0.0",
        "certified",
        only="whatever_the_rates",
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
        "if inflow <= allowed else (low, level - 1)",
        "if True else (low, level - 1)",
        "adaptive",
        only="dropped or flux",
    ),
    mutant(
        "more-dropped-than-allowed",
        "projection/pruning.py",
        "low, high = 0, levels.highest(mass)",
        "low, high = 0, levels.highest(2.0 * mass)",
        "adaptive",
        only="dropped or budgets",
    ),
    mutant(
        "dropped-probability-not-charged",
        "projection/march.py",
        "ErrorLedger(pruning=self.space.comm.sum(float(dropped.sum())))",
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
        "self.generator.n_sinks == 0 and lost.pruning == 0.0 and lost.truncation == 0.0",
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
        "solvers/small_exponential.py",
        "ends = np.maximum(values[1:], values[:-1])",
        "ends = np.minimum(values[1:], values[:-1])",
        "solvers",
        only="rational or integrals",
    ),
    mutant(
        "rational-integral-of-one-half-of-a-cell",
        "solvers/small_exponential.py",
        "lapack.ztpqrt(n, min(n, BLOCK), factor, factor @ power)[0]",
        "factor @ power",
        "solvers",
        only="integrals",
    ),
    mutant(
        "rational-other-residuals-left-out",
        "solvers/small_exponential.py",
        "float(weights[-1]), float(np.linalg.norm(weights[:-1]))",
        "float(weights[-1]), 0.0 * float(np.linalg.norm(weights[:-1]))",
        "solvers",
        only="integrals",
    ),
    mutant(
        "rational-sinks-not-integrated",
        "solvers/rational_kernels.py",
        "w[n + i] = v[n + i] + gamma * image",
        "w[n + i] = v[n + i]",
        "solvers",
        only="weights_of_a_rational or covers_the_integral",
    ),
    mutant(
        "rational-solves-not-measured",
        "solvers/rational_kernels.py",
        "left += abs(v[i] - (w[i] - gamma * image))",
        "left += 0.0 * abs(v[i] - (w[i] - gamma * image))",
        "solvers",
        only="rational_solves_leave",
    ),
    mutant(
        "band-solved-without-its-last-diagonal",
        "solvers/band_kernels.py",
        "entry = (total - row[b + one] * entry) * row[b]",
        "entry = total * row[b]",
        "solvers",
        only="band or banded",
    ),
    mutant(
        "rows-of-the-first-source-only",
        "generator/entry_kernels.py",
        "if source >= -1:  # the only one",
        "if source >= -2 - q:  # the only one",
        "generator",
        only="csr or rows or matrix",
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
        "solvers/small_exponential.py",
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
    # ---- squaring and the choice of solvers
    mutant(
        "squaring-forgets-what-the-factor-was-off",
        "solvers/squaring.py",
        "off += np.abs(M - c[:, label]) @ B + c @ _sums(B, label) + B @ (M + B)",
        "off += 0.0 * np.abs(M - c[:, label]) @ B",
        "squaring",
        only="factor_makes_it",
    ),
    mutant(
        "squaring-without-groups",
        "solvers/squaring.py",
        "if distances.min(initial=inf) > ALIKE:",
        "if True:",
        "squaring",
        only="grow_with_time",
    ),
    mutant(
        "squaring-diagonal-as-rounded",
        "solvers/squaring.py",
        "np.where(near, 1.0 - moved, own)",
        "own",
        "squaring",
        only="hardly_ever or many_decades",
    ),
    mutant(
        "squaring-loses-more-than-the-limit",
        "solvers/squaring.py",
        "rejected, level = y, level - 1",
        "rejected, level = y, -1",
        "squaring",
        only="bisection",
    ),
    mutant(
        "stalled-solver-stays",
        "solvers/choice.py",
        "return rounds or self._effort.pace * duration > left",
        "return False",
        "choice",
        only="stalls_gives_way",
    ),
    mutant(
        "what-lies-behind-is-a-stall",
        "solvers/choice.py",
        "self._work(generator, self._effort.covered + duration, growing, instead_of=name)",
        "self._work(generator, duration, growing, instead_of=name)",
        "choice",
        only="keeps_its_pace",
    ),
    mutant(
        "failed-solver-is-taken-again",
        "solvers/choice.py",
        "and name not in self._gave_way",
        "",
        "choice",
        only="fails_gives_way",
    ),
    mutant(
        "rounding-is-no-reason",
        "solvers/choice.py",
        "return ceil(log10(expected / self._allowed)) if expected > self._allowed else 0",
        "return 0",
        "choice",
        only="rounding_speaks",
    ),
    mutant(
        "stalled-solver-does-not-return",
        "projection/march.py",
        "most=min(until_check - self._unchecked, report),",
        "most=until_check,",
        "choice",
        only="can_be_stopped",
    ),
    # ---- continuations and sweeps
    mutant(
        "start-without-its-error",
        "projection/march.py",
        "error = self.begin.error + ledger",
        "error = ledger",
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
        "distribution/solution.py",
        "[one for one in self if one.t in self.asked and one.t != begin]",
        "[one for one in self if one.t != begin]",
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
        "another-tolerance-resumed",
        "distribution/continuation.py",
        "self.tol == begun.tol",
        "True",
        "sweep",
        only="stopped_sweep_keeps and 1",
    ),
    mutant(
        "another-model-resumed",
        "distribution/continuation.py",
        "self.model == begun.model",
        "True",
        "resume",
        only="signal_ends",
    ),
    mutant(
        "signal-without-its-status",
        "command/solve.py",
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
        "jobs/sweep.py",
        "self._solutions[outcome.index] = outcome.found",
        "self._solutions[self.done] = outcome.found",
        "sweep",
        only="single_run",
    ),
    # ---- growth
    mutant(
        "noise-makes-spaces-grow",
        "projection/march.py",
        "max(allowed, self.ledger.integration + self.ledger.rounding)",
        "max(allowed, 0.0)",
        "adaptive",
        only="below_rounding or seldom",
    ),
    mutant(
        "steps-without-a-loss-are-refused",
        "projection/march.py",
        "max(allowed - self.ledger.truncation, 0.0)",
        "allowed - self.ledger.truncation",
        "adaptive",
        only="implicit_grows_only",
    ),
    mutant(
        "noise-in-fast-modes-is-no-direction",
        "solvers/rational.py",
        "self.invariant = norm == 0.0 or off <= NOISE * noise",
        "self.invariant = True",
        "adaptive",
        only="comes_to_rest",
    ),
    mutant(
        "magnus-asks-for-less-than-noise",
        "solvers/magnus.py",
        "tol_rate = max(tol_rate, noise)",
        "",
        "adaptive",
        only="that_no_step_meets",
    ),
    # ---- stationary
    mutant(
        "slow-jumps-out-are-not-followed",
        "projection/certified.py",
        "None, error, everywhere=searched)",
        "None, error)",
        "relaxation",
        only="slow_modes_have_all_digits",
    ),
    # ---- batches
    mutant(
        "batches-share-a-folder",
        "output/locks.py",
        "    except BlockingIOError:\n        return False\n",
        "    except BlockingIOError:\n        return True\n",
        "batch",
        only="two_batches",
    ),
    mutant(
        "workers-are-not-told-to-end",
        "jobs/workers.py",
        "                chain.pop()\n        self._terminate()\n",
        "                chain.pop()\n",
        "batch",
        only="signal_stops_all",
    ),
    mutant(
        "a-file-of-another-tolerance-kept",
        "jobs/batch.py",
        "head.asked == row.job.asked(plan.model(number))",
        "head.asked.model == row.job.asked(plan.model(number)).model",
        "batch",
        only="another_computation",
    ),
    mutant(
        "a-file-of-another-model-kept",
        "jobs/batch.py",
        "head.asked == row.job.asked(plan.model(number))",
        "head.asked.tol == row.job.asked(plan.model(number)).tol",
        "batch",
        only="model_file_that_changed",
    ),
    mutant(
        "a-partial-file-kept",
        "jobs/batch.py",
        "head is not None and head.complete and head.asked",
        "head is not None and head.asked",
        "batch",
        only="signal",
    ),
    mutant(
        "a-job-claimed-twice",
        "jobs/batch.py",
        "os.O_CREAT | os.O_EXCL | os.O_WRONLY",
        "os.O_CREAT | os.O_WRONLY",
        "batch",
        only="claimed_twice",
    ),
    # ---- distributed
    mutant(
        "sums-of-one-rank",
        "petsc/halo.py",
        "return self.comm.sum(value)",
        "return value",
        "mpi",
        only="test_generator and 2",
    ),
    mutant(
        "halo-without-sources",
        "petsc/halo.py",
        "for sign in (1, -1)]",
        "for sign in (1,)]",
        "mpi",
        only="test_generator and 2",
    ),
    mutant(
        "outer-runs-taken-for-inner-ones",
        "generator/inner.py",
        "reads_others |= precede(keys - shift, keys[0])",
        "reads_others |= precede(keys, keys[0])",
        "mpi",
        only="test_generator and 2",
    ),
    mutant(
        "more-states-than-indices",
        "petsc/space.py",
        "    if n > most:",
        "    if n > 10 * most:",
        "mpi",
        only="test_space and 2",
    ),
    mutant(
        "mass-of-mfn-unchecked",
        "petsc/mfn.py",
        "if not off <= MASS_FACTOR * error + MASS_ROUNDING * mass:",
        "if not off <= 1.0:",
        "mpi",
        only="test_solvers and 2",
    ),
    mutant(
        "error-of-petsc-steps-forgotten",
        "petsc/stepping.py",
        "            error += step.error + cut",
        "            error += cut",
        "mpi",
        only="test_solvers and 1",
    ),
    mutant(
        "sinks-on-all-ranks",
        "petsc/halo.py",
        "self.keeps_sinks = self.comm.rank == 0",
        "self.keeps_sinks = True",
        "mpi",
        only="test_transient and 2",
    ),
    mutant(
        "states-of-a-start-left-out",
        "projection/start.py",
        "    if kept < held:",
        "    if False:",
        "mpi",
        only="test_transient and 2",
    ),
    mutant(
        "leaks-of-other-ranks-states",
        "petsc/generator.py",
        "own = (leak.sources >= first) & (leak.sources < end)",
        "own = leak.sources >= first",
        "mpi",
        only="test_generator and 2",
    ),
    mutant(
        "an-error-that-nobody-hears-of",
        "petsc/comm.py",
        "            mpi.Abort(1)",
        "            break",
        "mpi",
        only="one_rank_ends_all",
    ),
    mutant(
        "a-solver-that-lies-believed",
        "petsc/nullspace.py",
        "    if not error < 1.0:",
        "    if error < 0.0:",
        "mpi",
        only="test_null_vectors and 1",
    ),
    mutant(
        "residual-taken-for-the-error",
        "petsc/nullspace.py",
        "        for _ in range(POWER_STEPS):",
        "        for _ in range(0):",
        "mpi",
        only="test_null_vectors and 1",
    ),
    mutant(
        "classes-of-one-rank",
        "petsc/structure.py",
        "    edges = np.concatenate(comm.mpi.allgather(own))",
        "    edges = own",
        "mpi",
        only="test_null_vectors and 3",
    ),
    mutant(
        "printing-asks-the-other-ranks",
        "petsc/distribution.py",
        "        return self._points[name, centre, power]\n",
        "        return super()._points_about(name, centre, power)\n",
        "mpi",
        only="one_rank_may_print",
    ),
    mutant(
        "different-questions-mixed",
        "petsc/comm.py",
        "        asked = _compare(self.mpi, what, waiting)\n",
        '        asked = _compare(self.mpi, "a question", waiting)\n',
        "mpi",
        only="test_distribution and 2",
    ),
    mutant(
        "every-rank-does-all",
        "command/exits.py",
        "or n_ranks_started() == 1:\n        return",
        "or n_ranks_started() > 0:\n        return",
        "mpi",
        only="one_process_is_refused",
    ),
    mutant(
        "broken-job-of-a-batch-begun-anew",
        "jobs/ranks.py",
        "goes_on = resume and can_go_on(",
        "goes_on = False and can_go_on(",
        "mpi",
        only="test_batch and 1",
    ),
    mutant(
        "types-of-reduced-numbers-not-checked",
        "petsc/comm.py",
        "if (total[-2:] != (marks * self.size if adds else marks)).any():",
        "if (total[:0] != 0).any():",
        "mpi",
        only="test_comm and 2",
    ),
    mutant(
        "columns-not-counted",
        "petsc/systems.py",
        "            if n > environment.largest_index:",
        "            if len(csr[2]) > environment.largest_index:",
        "mpi",
        only="test_large_indices and 1",
    ),
    mutant(
        "checksum-of-the-index-not-checked",
        "petsc/checkpoint.py",
        'if index.pop("crc", None) != _checksum(index):',
        'if not index.pop("crc", None):',
        "mpi",
        only="test_storage and 1",
    ),
    mutant(
        "checksum-of-parts-not-checked",
        "petsc/checkpoint.py",
        'len(content) != part["bytes"] or zlib.crc32(content) != part["crc"]',
        'len(content) != part["bytes"]',
        "mpi",
        only="test_storage and 1",
    ),
    mutant(
        "options-that-stay",
        "petsc/options.py",
        "                database.delValue(name)",
        "                pass",
        "mpi",
        only="test_null_vectors and 1",
    ),
    # ---- verification
    mutant(
        "largest-law-without-slack",
        "verification/slack.py",
        "np.cumsum(weights[::-1])[::-1] + slack.up",
        "np.cumsum(weights[::-1])[::-1]",
        "verify",
        only="largest_law",
    ),
    mutant(
        "splits-tested-without-the-error-of-the-reference",
        "verification/cells.py",
        "low, high = slack.interval(expected)",
        "low, high = expected, expected",
        "verify",
        only="raises_no_alarm",
    ),
    mutant(
        "tail-of-a-mean-as-if-normal",
        "verification/statistics.py",
        " + 2 * BERRY_ESSEEN * skew / sqrt(n)",
        "",
        "verify",
        only="tail_of_a_mean",
    ),
    mutant(
        "holm-without-the-number-of-tests",
        "verification/statistics.py",
        "np.arange(len(p), 0, -1)",
        "1",
        "verify",
        only="holm",
    ),
    mutant(
        "one-sided-binomial",
        "verification/statistics.py",
        "2 * np.minimum(at_most(",
        "np.minimum(at_most(",
        "verify",
        only="binomial_p_values",
    ),
    # ---- files
    mutant(
        "files-written-in-place",
        "output/files.py",
        'FileIO(place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp"), "x+")',
        'FileIO(place, "w+")',
        "output",
        only="full_disk_is_one_error",
    ),
    mutant(
        "disk-errors-not-told",
        "output/sink.py",
        "if self._error is not None:\n            raise",
        "if False:\n            raise",
        "output",
        only="full_disk_is_one_error",
    ),
    mutant(
        "disk-errors-passed-to-hdf5",
        "output/sink.py",
        "                self._error = error\n        self._kept",
        "                raise\n        self._kept",
        "output",
        only="does_not_end_the_process",
    ),
    mutant(
        "signals-end-a-write",
        "output/files.py",
        "signal.signal(one, notice)",
        "pass",
        "output",
        only="waits_until",
    ),
    mutant(
        "left-overs-stay",
        "output/files.py",
        "    _clear(place)\n",
        "",
        "output",
        only="killed_process_left",
    ),
    mutant(
        "files-at-work-taken-for-left-overs",
        "output/files.py",
        "if lock(file):",
        "if True:",
        "output",
        only="killed_process_left",
    ),
    mutant(
        "devices-replaced",
        "output/files.py",
        "if not stat.S_ISREG(mode):",
        "if False:",
        "output",
        only="only_files",
    ),
    mutant(
        "inputs-replaced",
        "output/replace.py",
        "os.path.samefile(place, other)",
        "place == other",
        "output",
        only="inputs",
    ),
    mutant(
        "files-of-others-replaced",
        "output/replace.py",
        "if not overwrite and not is_own(place):",
        "if False:",
        "output",
        "cli",
        only="refused or replaces",
    ),
    mutant(
        "finished-sweeps-replaced",
        "command/solve.py",
        'if kind == "sweep" or not there.complete:',
        "if not there.complete:",
        "cli",
        only="computed_again",
    ),
    mutant(
        "checksum-of-answers-not-checked",
        "output/storage.py",
        "found[2].decode() != _checksum(file)",
        "False",
        "storage",
        only="flipped",
    ),
    mutant(
        "sizes-believed",
        "output/fields.py",
        "if data.id.get_num_chunks() != n_chunks:",
        "if False:",
        "storage",
        only="by_name",
    ),
    mutant(
        "links-followed",
        "output/fields.py",
        "if not isinstance(link, h5py.HardLink):",
        "if False:",
        "storage",
        only="by_name",
    ),
    mutant(
        "numbers-of-any-type-believed",
        "output/fields.py",
        "if type(value) is not kind or",
        "if",
        "storage",
        only="by_name",
    ),
    mutant(
        "chains-of-a-sweep-begin-anew-in-workers",
        "jobs/workers.py",
        "hint = self.begun.get(tuple(values)) if hint is None else hint",
        "hint = None if parent_process() and hint is None else self.begun.get(tuple(values)) if hint is None else hint",
        "sweep",
        only="two_processes",
    ),
    # ---- the digits of compiled sums
    mutant(
        "reordered-sum-has-copies",
        "solvers/kernels.py",
        "@njit(cache=True, fastmath=REORDERED, forceinline=True)\ndef _subtract(",
        "@njit(cache=True, fastmath=REORDERED)\ndef _subtract(",
        "kernels",
    ),
    # ---- the examination
    Mutant(
        "judge-takes-a-bound-that-is-too-small",
        "ci/examination/judging.py",
        "    if d > bound:\n",
        "    if d > 2.0 * bound:\n",
        ("tests/test_examination.py",),
        "too_small",
    ),
    Mutant(
        "reference-squares-without-normalising",
        "ci/examination/reference.py",
        "            E = E @ E\n            E /= E.sum(axis=0)\n",
        "            E = E @ E\n",
        ("tests/test_examination.py",),
        "stiff_chains",
    ),
    Mutant(
        "stall-is-taken-for-a-crash",
        "ci/examination/crew.py",
        "if code == -signal.SIGXCPU:",
        "if code == signal.SIGXCPU:",
        ("tests/test_examination.py",),
        "hang_and_die",
    ),
    mutant(
        "lost-probability-is-charged-by-a-tenth",
        "projection/march.py",
        "truncation=float(step.lost.sum()),",
        "truncation=0.1 * float(step.lost.sum()),",
        "examination",
        only="true_bounds and hill",
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
        for part in ("fsp", "tests", "ci"):
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
