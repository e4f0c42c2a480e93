"""One test of a verification."""

from __future__ import annotations

from dataclasses import dataclass

TEST_KINDS = {
    "support": "runs in states that are next to impossible",
    "joint": "joint distribution of all species, in cells",
    "marginal": "distribution of a species, in cells",
    "band": "distribution function of a species",
    "mean": "mean of a species",
    "variance": "mean squared distance of a species from its exact mean",
    "two-time": "joint distribution of a species at two times",
    "passage": "distribution of first passage times, in cells",
    "distance": "1-norm distance of a solver's distribution, certified: p is 0 where it is more than claimed, else 1",
    "moment": "mean or standard deviation of a solver, certified: p is 0 where it is off by more than claimed, else 1",
    "repeats": "equal trajectories of different runs",
    "memory": "what a run did before, given where it is, tells nothing of what it does next",
    "serial": "correlation of a run with the next run",
}
"""What each kind of test looks at."""


@dataclass(frozen=True, slots=True)
class Test:
    """A statistic and its p-value.

    Parameters
    ----------
    kind
        One of `TEST_KINDS`.
    time
        At which time, None where it concerns all of them.
    species
        The species that it concerns; none where it concerns all.
    statistic
        -2 Σ ln p of cells; a distance of distribution functions; Z for means and Y for variances, as the SBML
        stochastic suite defines them, for information; a number of runs; ln of an e-value.
    p
        The p-value: under the exact law it is at most a with probability at most a.
    adjusted
        The p-value after Holm's procedure over all tests.
    where
        What was seen and what was expected, where they differ most.
    cells
        Number of cells.
    """

    __test__ = False  # not one of pytest's

    kind: str
    time: float | None
    species: tuple[str, ...]
    statistic: float
    p: float
    adjusted: float = 1.0
    where: str = ""
    cells: int = 0

    @property
    def name(self) -> str:
        """The test in a few words, as in ``mean of X at t = 2``."""
        of = f" of {', '.join(self.species)}" if self.species else ""
        at = "" if self.time is None else f" at t = {self.time:.8g}"
        return f"{self.kind}{of}{at}"
