"""What a solver expects to take: work, in multiply-adds of a product on runs, and the rounding that it will be charged.

One multiply-add takes about 0.25 ns; numbers of operations beside products were fitted to measured runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log2
from typing import TYPE_CHECKING

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.solvers.linear import direct_work

if TYPE_CHECKING:
    from fsp.generator.base import BaseGenerator

# Of methods that factorise, as runs have shown.
STEP_VECTORS = 25.0  # solves of one step
FACTOR_SHARE = 0.5  # factorisations of a step
STEPS_AN_OCTAVE = 0.4  # while time doubles
SHORT_STEPS = 2.0  # that a change of the space costs
STEP_ROUNDING = 4e-13  # of a step
# Multiply-adds of a product on few states take as long as so many others, as rows did with which the numbers of
# operations beside products were fitted; those of written-out rates are faster, but what surrounds them is not.
SMALL, SMALL_WORK = 8_000, 4.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of a run: what a solver is asked about."""

    duration: float
    growing: bool = False  # whether steps are cut short where probability leaves the space
    is_timed: bool = False  # whether rates depend on time in it
    span: float = 1.0  # time of the run, over which rounding adds up
    stride: float = inf  # Λ times the steps that the solver took last; inf: unknown


@dataclass(frozen=True, slots=True)
class Cost:
    """What a solver expects of a stretch of time.

    The work is ``products · unit + other``, and ``restart`` more where the space has just changed.
    """

    products: float = inf  # products, or solves; inf where it is not to be chosen.  Runs correct what is expected
    unit: float = 0.0  # work of each, with what the method does beside it
    unseen: float = 0.0  # the part of it that `Propagator.products_of_a_report` does not count
    other: float = 0.0
    restart: float = 0.0
    rounding: float = 0.0  # to be charged
    may_stall: bool = False  # whether it can be far more
    reason: str = ""  # to choose it, beside the work

    def work(self, factor: float, growing: bool) -> float:
        """Return the work, `factor` times as many products being needed as expected."""
        products = factor * self.products * self.unit if 0.0 < self.products < inf else self.products
        return products + self.other + (self.restart if growing else 0.0)


def jumps(generator: BaseGenerator, stretch: Stretch) -> float:
    """Return Λt."""
    return generator.largest_exit_rate * stretch.duration


def product(generator: BaseGenerator) -> float:
    """Return the work of a product."""
    return generator.work * (SMALL_WORK if len(generator) < SMALL else generator.operator.work)


def of_products(
    generator: BaseGenerator,
    stretch: Stretch,
    products: float,
    per_state: float,
    per_call: float,
    may_stall: bool = False,
) -> Cost:
    """Return the cost of a method that multiplies, for constant rates, with its work for each state and each call."""
    unit = product(generator) + per_state * len(generator) + per_call
    rounding = UNIT_ROUNDOFF * generator.roundings * generator.largest_exit_rate * stretch.span  # of every product
    products = inf if stretch.is_timed else products
    return Cost(products, unit, per_call, rounding=rounding, may_stall=may_stall)


def of_solves(generator: BaseGenerator, stretch: Stretch, per_state: float, per_call: float) -> Cost:
    """Return the cost of a method that factorises, for constant rates: its steps grow with time."""
    factorisation, solve = direct_work(generator)
    unit = product(generator) + per_state * len(generator)
    unit += per_call * max(1.0, STEP_VECTORS / (len(generator) + generator.n_sinks))  # steps of fewer vectors
    unit += solve + FACTOR_SHARE / STEP_VECTORS * factorisation
    steps = STEPS_AN_OCTAVE * log2(1.0 + jumps(generator, stretch))
    if stretch.stride < inf:
        steps = min(steps, jumps(generator, stretch) / stretch.stride)
    products = inf if stretch.is_timed else STEP_VECTORS * (1.0 + steps)
    rounding = STEP_ROUNDING * STEPS_AN_OCTAVE * log2(2.0 + jumps(generator, stretch))
    return Cost(products, unit, unit, 0.0, SHORT_STEPS * STEP_VECTORS * unit, rounding, may_stall=True)
