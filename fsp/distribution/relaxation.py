"""How a network relaxes: eigenvalues, times and modes, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fsp.distribution import doors
from fsp.distribution.display import Displayed
from fsp.distribution.metastable import MetastableSet, metastable_sets
from fsp.errors import BackendError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.arrays import BoolArray, ComplexArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
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
        Where all ways end in absorbing states, what the distribution on the others tends to as long as none is met,
        (n,); else None.
    errors
        Estimated errors of the eigenvalues, of rounding and by what they changed when the space grew, 1/time,
        (n_modes,); None where there is no estimate.
    confirmed
        Which eigenvalues are those of the network but for a relative error of 1e-6, as far as can be shown, (n_modes,);
        others are printed with ``≈``.
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
    errors: FloatArray | None = None
    confirmed: BoolArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """The spectral gap, or the rate of absorption in the end: the rate of the slowest mode, 1/time."""
        return float(-self.eigenvalues[0].real)

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
        """
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
        about = (
            ["≈ "] * len(self.eigenvalues) if self.confirmed is None else ["" if c else "≈ " for c in self.confirmed]
        )
        kind, named = (
            ("states", "spectral gap") if self.quasi_stationary is None else ("transient states", "decay rate")
        )
        lines = [f"relaxation: {self.n_states:,} {kind}, {named} {about[0]}{self.gap:.4g}"]
        for k, (value, time, residual) in enumerate(zip(self.eigenvalues, self.times, self.residuals, strict=True)):
            shown = f"{value.real:.6g}" if value.imag == 0.0 else f"{value.real:.6g}{value.imag:+.6g}i"
            lines.append(
                f"  mode {k + 1}: eigenvalue {about[k]}{shown}, relaxation time {about[k]}{time:.6g}, "
                f"residual {residual:.1e}"
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])
