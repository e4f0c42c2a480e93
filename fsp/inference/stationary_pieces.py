"""Stationary distributions at complex parameters, on a piece of the range of parameters that differ among cells.

Let rates be linear in each parameter, with coefficients that are not negative, J a finite set of states, z one of them,
``R(θ)`` the generator on J without the jumps out of J, and ``π_J(θ)`` its stationary distribution.  Let G >= 0 on all
states, G(z) = 0, obey with k > 0

(1)  Σ_r a_r(x; θ) (G(x + ν_r) - G(x))  <=  -k      at all x ≠ z,

at the corners of the piece, and so, the left side being linear in each parameter, on all of it
(`fsp.equilibrium.common_times`).  Then π(θ) exists.  ``A (π - π_J)`` is what the jumps out of J would move, and what
begins in a state is at z after G/k at most in the mean, so that

(2)  ‖π - π_J‖₁  <=  2 λ/k,      λ(θ) = Σ_x π_J(x; θ) Σ_{r out of J} a_r(x; θ) (G(x + ν_r) + G(x)) .

Let H be such a function for R alone, ζ a complex value of one parameter, the others being real, ``a_r = g_r + ζ f_r``,
and, with sums over the jumps within J,

(3)  D(x; ζ)  =  Σ_r |a_r| H(x + ν_r) - Re Σ_r a_r H(x)
              <=  D(x; c) + (|ζ| - Re ζ) Σ f_r H(x + ν_r) + (Re ζ - c) Σ f_r (H(x + ν_r) - H(x))  <=  -κ(ζ) .

Of ``v' = R_z v``, R without z, Σ |v| H falls by κ(ζ) ‖v‖₁ at least, and ``o = -R_z⁻¹ q`` has ``‖o‖₁ <= Σ |q| H/κ(ζ)``.
With any y on J, Σ y = 1, and q = R(ζ) y, ``R(ζ) (y + o)`` is zero, as its sum is, so that

(4)  π_J(ζ) = (y + o)/(1 + Σ o),      ‖π_J(ζ)‖₁  <=  (‖y‖₁ + ε)/(1 - ε),
     ε = (Σ |R(c) y| H + |ζ - c| Σ |(∂R) y| H)/κ(ζ)  <  1 .

D is convex in ζ: with the least κ and the largest |ζ - c| of the edge of an ellipse (4) holds within, where π_J is
analytic.  Nodes are rounded, by a part η of themselves, and rates with them, which changes each entry of ``π_J`` by at
most (`fsp.chains.hitting_times`)

(5)  a part ``2 n η`` of itself, n being the number of states.

References
----------
S. P. Meyn, R. L. Tweedie, Adv. Appl. Probab. 25 (1993) 518, doi:10.2307/1427522; P. J. Schweitzer, Perturbation theory
and finite Markov chains, J. Appl. Probab. 5 (1968) 401, doi:10.2307/3212261.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.chains.hitting_times import Eliminated, Factorised
from fsp.equilibrium.certificate import certify, roundings
from fsp.equilibrium.common_times import CommonTimes
from fsp.equilibrium.response import matrix_of
from fsp.generator import Generator
from fsp.inference.quadrature import OUTERMOST, GrowthExponent
from fsp.model.accuracy import errors
from fsp.model.tree import ZERO
from fsp.space.space import successors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.affine_rates import AffineRates
    from fsp.inference.extrinsic import Region
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.space import StateSpace

LEAST_PIECE_DRIFT = 0.1  # κ below which a piece is halved rather; chosen
LARGEST_SHIFT = 0.9  # ε up to which (4) is taken: probabilities are 19 at most; chosen
LARGEST_NODE_ERROR = 0.1  # of a distribution at a node; chosen
BOUND_MARGIN = 1.0 + 1e-9  # above bounds that are a few sums and products

Box = Mapping[str, tuple[float, float]]


class PieceNode(NamedTuple):
    """What is known of the stationary distribution at one value of each parameter."""

    lower: FloatArray  # lower bounds of the probabilities of the stored states, (n,)
    relative: float  # a part of themselves that these lack at most, beside
    lacking: float  # what they lack all together
    leaked: float  # (2), at most


class _DriftCourse(NamedTuple):
    """How D and R y change with one parameter, others being at corners; rows are of all states but z at all of them."""

    centre: float  # c
    first: FloatArray  # D at c, roundings added
    gained: FloatArray  # Σ f_r H(x + ν_r)
    steep: FloatArray  # Σ f_r (H(x + ν_r) - H(x))
    off: FloatArray  # what both may be off
    still: float  # Σ |R(c) y| H, at most
    moved: float  # Σ |(∂R) y| H

    def logs(self, region: Region) -> FloatArray:
        """Bound log ‖π_J‖₁ by (4) on ellipses, in rows of a region (m, arcs): (m, 1); infinite where it may be."""
        return np.array([[self._log(*parts)] for parts in zip(region.real, region.furthest, region.angle, strict=True)])

    def _log(self, near: FloatArray, far: FloatArray, angle: FloatArray) -> float:
        missed = 2.0 * near * np.sin(0.5 * angle) ** 2 / np.cos(angle)  # |ζ| - Re ζ, which falls with Re ζ
        left, right = near - self.centre, far - self.centre
        turned = np.maximum(np.multiply.outer(left, self.steep), np.multiply.outer(right, self.steep))
        off = np.multiply.outer(missed + np.maximum(np.abs(left), np.abs(right)), self.off)
        D = self.first + (np.multiply.outer(missed, self.gained) + turned + off).max(axis=0)  # (3)
        kappa, apart = -float(D.max(initial=-np.inf)), max(float(-left.min()), float(right.max()))
        shift = (self.still + apart * self.moved) / kappa * BOUND_MARGIN if kappa > 0.0 else np.inf
        return float(np.log((1.0 + shift) / (1.0 - shift))) if shift < LARGEST_SHIFT else np.inf


@dataclass(frozen=True, slots=True, eq=False)
class StationaryPiece:
    """A piece of the range of parameters, J, and H."""

    model: Model
    box: Box
    space: StateSpace
    z: int
    H: FloatArray  # (n,)
    outer: CommonTimes | None  # G and k; None where nothing leaves J
    condition: DriftCondition | None
    highest: float  # 2 λ/k at complex parameters of this piece, at most, over ‖π_J‖₁
    spilled: float  # 2 λ/k at the middle of the piece, about
    courses: Mapping[str, _DriftCourse]

    @classmethod
    def of(
        cls,
        model: Model,
        affine: AffineRates,
        box: Box,
        space: StateSpace,
        near: int,
        condition: DriftCondition | None,
    ) -> StationaryPiece | None:
        """Look for G and H on J, of which `near` is a probable state; None where there are none for the piece."""
        corners = [Generator(model.with_parameters(values), space) for values in corners_of(box)]
        centre = Generator(model.with_parameters({name: 0.5 * sum(ends) for name, ends in box.items()}), space)
        y = _without_leaks(centre, near)
        if y is None:
            return None
        z = int(np.argmax(y))
        H = _times(centre, z)
        if H is None:
            return None
        outer = None
        if any(generator.n_sinks for generator in corners):
            outer = CommonTimes.of(corners, z, condition) if condition is not None else None
            if outer is None or not outer.kappa > LEAST_PIECE_DRIFT:
                return None
        if not max(float(_drift(generator, H, z).max(initial=-np.inf)) for generator in corners) < -LEAST_PIECE_DRIFT:
            return None
        far = Generator(model.with_parameters({name: OUTERMOST * high for name, (_, high) in box.items()}), space)
        highest = float(_leaks(outer, far).max()) * BOUND_MARGIN if outer else 0.0
        y /= y.sum()
        spilled = float(_leaks(outer, centre) @ y) if outer else 0.0
        courses = {name: _course(model, affine, box, name, space, y, H, z) for name in box}
        return cls(model, box, space, z, H, outer, condition, highest, spilled, courses)

    def growth(self, name: str) -> GrowthExponent:
        """Return what bounds probabilities at complex values of a parameter, (4)."""
        return GrowthExponent(0.0, (self.courses[name].logs,))

    def at(self, values: Mapping[str, float]) -> PieceNode | None:
        """Return what is known at values in the piece; None where nothing is."""
        generator = Generator(self.model.with_parameters(values), self.space)
        certificate = certify(generator, self.z, self.condition, eliminate=True)
        eliminated = certificate is not None
        certificate = certificate or certify(generator, self.z, self.condition)
        above = _without_leaks(generator, self.z)
        if certificate is None or above is None or not certificate.total < LARGEST_NODE_ERROR:
            return None
        leaked = float(_leaks(self.outer, generator) @ above) * BOUND_MARGIN if self.outer else 0.0
        known = certificate.integration + certificate.rounding
        relative = 4.0 * (certificate.truncation + known)  # of upper over lower bounds, but for what comes back
        rest = float(np.maximum(certificate.upper - (1.0 + relative) * certificate.lower, 0.0).sum()) * BOUND_MARGIN
        # Outside there are m and e of `fsp.equilibrium.certificate`; after an elimination e is relative to y.
        outside = certificate.truncation + (0.0 if eliminated else known)
        left = (1.0 - certificate.truncation) * (1.0 - known)  # (2) and (3) there
        lacking = rest + outside / left * BOUND_MARGIN if left > 0.0 else 1.0
        return PieceNode(certificate.lower, relative, lacking, leaked)


def corners_of(box: Box) -> list[dict[str, float]]:
    """Return the values of parameters at the corners of a piece."""
    return [dict(zip(box, ends, strict=True)) for ends in product(*box.values())]


def _inner(generator: Generator) -> Any:
    """Return R, (n, n)."""
    return (generator.to_csr() + sparse.diags_array(generator.leak_rates)).tocsr()


def _leaks(outer: CommonTimes, generator: Generator) -> FloatArray:
    """Return what (2) is a mean over ``π_J`` of, (n,)."""
    return 2.0 / outer.kappa * (outer.leaks(generator) + generator.leak_rates * outer.inside) * BOUND_MARGIN


def _without_leaks(generator: Generator, z: int) -> FloatArray | None:
    """Return upper bounds of ``π_J``, (n,), relative to itself; None where it is not known so."""
    matrix = _inner(generator)
    try:
        system = Eliminated(matrix, np.zeros(len(generator)), z, roundings(generator))
    except RuntimeError:  # a state does not lead to z, or too much work
        return None
    jumps = np.asarray(matrix[:, [z]].todense()).ravel()
    jumps[z] = 0.0
    y = system.solve(jumps)
    y[z] = 1.0
    return np.asarray((y * (1.0 + system.relative) + system.tiny) * (1.0 + system.relative) / y.sum() * BOUND_MARGIN)


def _times(generator: Generator, z: int) -> FloatArray | None:
    """Return mean times of R until z is met, (n,); None where a state does not lead there."""
    matrix, none = _inner(generator), np.zeros(len(generator))
    for make in (lambda: Factorised(matrix, z), lambda: Eliminated(matrix, none, z, roundings(generator))):
        try:
            times = make().solve_adjoint(np.ones(len(generator)))
        except RuntimeError:  # singular, or too much work
            continue
        if np.isfinite(times).all():
            return times
    return None


def _drift(generator: Generator, H: FloatArray, z: int) -> FloatArray:
    """Return D of (3) at real parameters, in states other than z, roundings added."""
    matrix, off = _inner(generator), roundings(generator) + 8.0 * UNIT_ROUNDOFF
    return np.delete(matrix.T @ H + off * (abs(matrix).T @ H), z)


def _course(
    model: Model, affine: AffineRates, box: Box, name: str, space: StateSpace, y: FloatArray, H: FloatArray, z: int
) -> _DriftCourse:
    centre = 0.5 * sum(box[name])
    rows: list[tuple[FloatArray, ...]] = []
    still = moved = 0.0
    for corner in corners_of({other: ends for other, ends in box.items() if other != name}):
        values = {**corner, name: centre}
        generator = Generator(model.with_parameters(values), space)
        matrix, off = _inner(generator), roundings(generator) + 8.0 * UNIT_ROUNDOFF
        slopes, unsure = _slopes(model, affine, name, values, space)
        lost = -slopes.diagonal() * H
        gained = slopes.T @ H + lost
        rounded = abs(unsure).T @ H + off * (gained + lost)
        rows.append((*(np.delete(part, z) for part in (gained, gained - lost, rounded)), _drift(generator, H, z)))
        still = max(still, _weighed(matrix @ y, off * (abs(matrix) @ y), H, z))
        moved = max(moved, _weighed(slopes @ y, off * (abs(slopes) @ y) + abs(unsure) @ y, H, z))
    gained, steep, rounded, first = (np.concatenate(each) for each in zip(*rows, strict=True))
    return _DriftCourse(centre, first, gained, steep, rounded, still, moved)


def _weighed(source: FloatArray, off: FloatArray, H: FloatArray, z: int) -> float:
    """Return Σ |q| H over states other than z, at most."""
    return float(np.delete((np.abs(source) + off) * H, z).sum()) * (1.0 + SUM_ROUNDING)


def _slopes(
    model: Model, affine: AffineRates, name: str, values: Mapping[str, float], space: StateSpace
) -> tuple[Any, Any]:
    """Return ∂R by a parameter, and what its entries may be off, (n, n) each."""
    columns: dict[str, Any] = {name: np.float64(value) for name, value in values.items()}
    columns |= {species: space.states[:, i].astype(np.float64) for i, species in enumerate(space.species)}
    n, index = len(space), successors(space, model.change)
    pairs = [errors(tree, columns, 0.0) if tree != ZERO else (0.0, 0.0) for tree in affine.slopes[name]]
    inside, off = (
        [np.broadcast_to(pair[i], n) * (place >= 0) for pair, place in zip(pairs, index, strict=True)] for i in (0, 1)
    )
    return matrix_of(inside, index, n), matrix_of(off, index, n)
