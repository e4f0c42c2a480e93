"""How a network relaxes: eigenvalues, times and modes, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import sum_down, sum_up
from fsp.distribution import doors
from fsp.distribution.display import Displayed
from fsp.distribution.ledger import Interval
from fsp.distribution.metastable import MetastableSet, metastable_sets
from fsp.errors import BackendError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.arrays import BoolArray, ComplexArray, FloatArray, IntArray


TELLING = 0.01  # relative radius up to which an eigenvalue is printed as an interval; chosen
NO_BOUND = "no bound is known without detailed balance, of many or infinitely many states"


@dataclass(frozen=True, slots=True, eq=False)
class EigenvalueErrors:
    """What is known of eigenvalues, (n_modes,) each; None where there is nothing."""

    estimated: FloatArray | None = None  # by rounding, and by what they changed when the space grew, 1/time
    confirmed: BoolArray | None = None  # within 1e-6, relative, of those of the network, as far as can be shown
    radii: FloatArray | None = None  # bounds of the distances to those of the network, 1/time


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Relaxation(Displayed):
    """The slowest modes of a network.

    Parameters
    ----------
    eigenvalues
        In falling order of their real parts, without zero, 1/time, (n_modes,).
    residuals
        ``‖A v - λ v‖₁ / ‖v‖₁`` of the right eigenvectors, 1/time, (n_modes,).
    n_states
        Number of states.
    species
        Names of the species.
    states
        The states that modes are given on, (n, n_species); where they are spread over ranks, those of this one.
    right
        Right eigenvectors as columns: how the probabilities deviate from the stationary ones, (n, n_modes).
    left
        Left eigenvectors, of largest modulus 1: nearly constant on metastable sets, (n, n_modes).
        ``left.T @ right`` is the identity.  None on ranks, where right eigenvectors have 1-norm 1, and where transient
        classes share an eigenvalue that has no left one.
    stationary
        The stationary distribution, (n,); None on ranks, and where the chain is absorbed.
    quasi_stationary
        The quasi-stationary distribution, (n,), where all paths end in absorbing states: the limit for long times on
        the other states, given that none was met; else None.
    known
        What is known of the eigenvalues, which `errors`, `confirmed`, `radii` and `rates` say.
    notes
        Remarks.
    """

    eigenvalues: ComplexArray
    residuals: FloatArray
    n_states: int
    species: tuple[str, ...]
    states: IntArray
    right: ComplexArray
    left: ComplexArray | None = None
    stationary: FloatArray | None = None
    quasi_stationary: FloatArray | None = None
    known: EigenvalueErrors = EigenvalueErrors()
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """The spectral gap, or the rate of absorption in the end: the rate of the slowest mode, 1/time."""
        return float(-self.eigenvalues[0].real)

    @property
    def rates(self) -> tuple[Interval, ...]:
        """The rates of the modes, minus the real parts of the eigenvalues, 1/time: bounds where `radii` are finite."""
        return tuple(
            Interval(
                max(0.0, sum_down(rate, -radius)),
                sum_up(rate, radius),
                rate,
                radius < inf,
                "" if radius < inf else NO_BOUND,
            )
            for rate, radius in zip((-self.eigenvalues.real).tolist(), self.radii.tolist(), strict=True)
        )

    @property
    def errors(self) -> FloatArray | None:
        """Estimated errors of the eigenvalues, 1/time, (n_modes,); None where there is no estimate."""
        return self.known.estimated

    @property
    def confirmed(self) -> BoolArray | None:
        """Which eigenvalues are those of the network but for a part in 10⁶, as far as can be shown, (n_modes,)."""
        return self.known.confirmed

    @property
    def radii(self) -> FloatArray:
        """Bounds of the distances of the eigenvalues to those of the network, on all of its states, (n_modes,).

        Known in detailed balance, and of finite networks with few states, whatever their rates; else infinite, 1/time.
        """
        return np.full(len(self.eigenvalues), inf) if self.known.radii is None else self.known.radii

    @property
    def settled(self) -> BoolArray:
        """Which eigenvalues print without ``≈``: those that are proved or confirmed, (n_modes,)."""
        proved: BoolArray = self.radii <= TELLING * np.abs(self.eigenvalues)
        return proved if self.confirmed is None else proved | self.confirmed

    @property
    def times(self) -> FloatArray:
        """Relaxation times, in falling order, (n_modes,)."""
        times: FloatArray = -1.0 / self.eigenvalues.real
        return times

    def plot(self, *species: str, mode: int | None = None, ax: Axes | None = None) -> Any:
        """Draw the slowest modes: how much probability each moves, over the counts of each species.

        Parameters
        ----------
        species
            The names; the first six where none is given, and one alone where `ax` is given.
        mode
            The number of a mode, 1 the slowest; the first four without.
        ax
            Axes of matplotlib to draw one species in one mode into, the slowest if no other is given, beside what they
            show.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            A row for each mode, or `ax`; of complex modes the real part.

        Raises
        ------
        ArgumentError
            If a species or the mode is unknown.
        BackendError
            If the states are spread over ranks, each of which would draw its own.
        """
        if len(self.states) < self.n_states:
            raise BackendError(
                f"Modes must be drawn where all {self.n_states:,} states are, but {len(self.states):,} are here, and "
                f"the others on other ranks; use backend='serial'."
            )
        return doors.modes(self, species, mode, ax)

    def metastable(self, n_sets: int | None = None, *, core: float = 0.5) -> list[MetastableSet]:
        """Find the sets of states that are seldom left, from the slowest modes.

        Parameters
        ----------
        n_sets
            Their number, at most one more than there are modes; by default what the largest gap between rates says.
        core
            Membership from which on a state belongs to a set, 0.5 to 1; larger ones leave out the ways in between.

        Returns
        -------
        list of MetastableSet
            The most probable one first, each named by its most probable state; conditions of `fsp.committor` and
            `fsp.passage`.

        Raises
        ------
        ArgumentError
            If there are too few modes, or a mode of the sets is not real.
        BackendError
            If left eigenvectors or the stationary law were not computed.

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(
        ...     species={"A": 1, "B": 0, "C": 0},
        ...     reactions=[
        ...         fsp.Reaction("A -> B", mass_action=1.0), fsp.Reaction("B -> A", mass_action=1.0),
        ...         fsp.Reaction("B -> C", mass_action=1e-3), fsp.Reaction("C -> B", mass_action=1e-3),
        ...     ],
        ... )
        >>> [len(found.states) for found in fsp.relaxation(model, 2).metastable()]
        [2, 1]
        """
        if self.left is None or self.stationary is None:
            raise BackendError(
                "Metastable sets must be those of a chain that is not absorbed, in one process: left eigenvectors or "
                "the stationary law are missing."
            )
        return metastable_sets(self.species, self.states, (self.eigenvalues, self.left), self.stationary, n_sets, core)

    def __str__(self) -> str:
        """Return a line for each mode, and the notes."""
        about = ["" if sure else "≈ " for sure in self.settled]
        kind, named = (
            ("states", "spectral gap") if self.quasi_stationary is None else ("transient states", "decay rate")
        )
        lines = [f"relaxation: {self.n_states:,} {kind}, {named} {about[0]}{self.gap:.4g}"]
        for k, (time, residual) in enumerate(zip(self.times, self.residuals, strict=True)):
            lines.append(
                f"  mode {k + 1}: eigenvalue {self.shown(k)}, relaxation time {about[k]}{time:.6g}, "
                f"residual {residual:.1e}"
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def shown(self, k: int) -> str:
        """Return eigenvalue k with its bounds, or with ``≈`` where it is not known to be one of the network."""
        value, about = complex(self.eigenvalues[k]), "" if self.settled[k] else "≈ "
        known = bool(self.radii[k] <= TELLING * abs(value))
        if value.imag == 0.0:
            return str(-self.rates[k]) if known else f"{about}{value.real:.6g}"
        number = f"{value.real:.6g}{value.imag:+.6g}i"
        return f"{number}, off by at most {self.radii[k]:.1e}" if known else f"{about}{number}"
