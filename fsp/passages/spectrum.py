"""Power spectra by resolvents: S(ω) = G_ab(ω) + conj(G_ba(ω)) with G_ab(ω) = Σ b (iω - A)⁻¹ (a - E a) p.

G_ab is the integral of Cov(a(X(0)), b(X(τ))) exp(-iωτ) over τ > 0.  What leaves the stored states comes back to the
most probable one; both (a - E a) p and the solution sum to zero, so that ω = 0 is no exception once one state is left
out.

References
----------
C. W. Gardiner, Stochastic Methods, 4th ed., Springer 2009, sections 1.5.2 and 3.7.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from fsp.chains.chain import led_back
from fsp.distribution.correlation import Spectrum

if TYPE_CHECKING:
    from fsp.arrays import ComplexArray, FloatArray
    from fsp.passages.stationary_law import StationaryLaw

REFINEMENTS = 2  # the second gains what the first rounds; the residual is told


def spectrum(rest: StationaryLaw, first: FloatArray, second: FloatArray, frequencies: FloatArray) -> Spectrum:
    """Return the spectrum of observables with values (n,) at the stored states, at angular frequencies (m,)."""
    generator = rest.generator
    closed = led_back(generator.to_csr(), generator.leak_rates, int(np.argmax(rest.p)))
    p = rest.p / rest.p.sum()
    same = np.array_equal(first, second)
    values, residuals = np.zeros(len(frequencies), dtype=np.complex128), np.zeros(len(frequencies))
    sources = np.stack([(own - p @ own) * p for own in ((first,) if same else (first, second))], axis=1)  # (n, 1 or 2)
    for k, omega in enumerate(frequencies.tolist()):
        solved, residuals[k] = _resolved(closed, p, sources, omega)
        later = second @ solved[:, 0]
        values[k] = later + np.conj(later if same else first @ solved[:, 1])
    return Spectrum(frequencies, values.real.copy() if same else values, residuals)


def _resolved(closed: Any, p: FloatArray, sources: FloatArray, omega: float) -> tuple[ComplexArray, float]:
    """Return (iω - A)⁻¹ of `sources` (n, k), which sum to zero, and their relative residual in the 1-norm."""
    shifted = (sparse.diags_array(np.full(len(p), 1j * omega)) - closed).tocsc()
    kept = np.flatnonzero(np.arange(len(p)) != int(np.argmax(p))) if omega == 0.0 else np.arange(len(p))
    factors = linalg.splu(shifted[kept][:, kept].tocsc())
    solved = np.zeros(sources.shape, dtype=np.complex128)
    for _ in range(1 + REFINEMENTS):
        left = sources - shifted @ solved
        left -= p[:, None] * left.sum(axis=0)
        solved[kept] += factors.solve(left[kept])
        solved -= p[:, None] * solved.sum(axis=0)
    size = np.abs(sources).sum(axis=0)
    off = np.abs(sources - shifted @ solved).sum(axis=0)
    return solved, float((off / np.where(size > 0.0, size, 1.0)).max())
