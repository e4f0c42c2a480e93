"""Uniformization: ``exp(tA) p = Σ_k e^{-Λt} (Λt)^k / k!  P^k p``, ``P = I + A/Λ``, Λ the largest exit rate.

P is a stochastic matrix once the sinks are states of their own, so only non-negative terms are added:
the sum lies below the exact distribution of the truncated chain, and the mass that it lacks is its error.
Where the powers have settled the rest of the series is one vector; what that costs is added to the error.
The step is that of `fsp.solvers.stepping.Propagator`.

References
----------
A. Jensen, Markoff chains as an aid in the study of Markoff processes, Skand. Aktuarietidskr. 36 (1953) 87.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from fsp.solvers import costs
from fsp.solvers.base import check_tol
from fsp.solvers.stepping import Solver

if TYPE_CHECKING:
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.costs import Cost, Stretch

# Work beside a product, in multiply-adds: of each state, and of the call; fitted to measured runs.
STATE_WORK, CALL_WORK = 1.5, 1e3
REJECTED_STEPS = 2.0  # times the products where steps are cut short by the loss


@dataclass(frozen=True, slots=True)
class Uniformization(Solver):
    """Sum the powers of the uniformized chain, weighted by the Poisson law.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(f"{fsp.transient(model, [1.0], solver=fsp.Uniformization(tol=1e-9))[-1].mean()['X']:.6f}")  # 9 exp(-1)
    3.310915
    """

    tol: float = 1e-10
    on_ranks = True

    def __post_init__(self) -> None:
        check_tol(self.tol)

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Expect as many products as jumps; see `Solver.cost`."""
        x = costs.jumps(generator, stretch)
        rejected = REJECTED_STEPS if stretch.growing else 1.0
        return costs.of_products(generator, stretch, rejected * (x + 5.0 * sqrt(x) + 10.0), STATE_WORK, CALL_WORK)
