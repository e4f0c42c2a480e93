"""What a fit makes largest: the log-likelihood of all conditions, and the logarithm of the prior density."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution.formulas import read_formula
from fsp.errors import ArgumentError
from fsp.inference.count_maps import count_maps, names_in
from fsp.inference.free_laws import FreeLaws, starting
from fsp.inference.instrument_numbers import InstrumentNumbers
from fsp.inference.instruments import Exact, instruments_of
from fsp.inference.loop import check_start
from fsp.inference.maps_on_states import require_order
from fsp.inference.parameters import derivatives, require_fixed_observables, require_unmoved_instruments
from fsp.inference.part import Part, Point
from fsp.inference.timed_events import taken_apart, written_into_rates
from fsp.inference.timed_space import TimedLaws
from fsp.model.expression import depends_on_time

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution.counts import Counts
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.instruments import Instrument
    from fsp.inference.priors import Prior
    from fsp.inference.problem import Limits
    from fsp.inference.timed_events import Setting
    from fsp.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The logarithm of likelihood times prior density, as a function of the logarithms of free parameters."""

    names: tuple[str, ...]
    priors: tuple[Prior, ...]
    parts: tuple[Part, ...]

    @classmethod
    def of(
        cls,
        model: Model,
        counts: Counts,
        names: Sequence[str],
        priors: Sequence[Prior],
        instrument: Instrument | Mapping[str, Instrument] | None,
        limits: Limits,
        start: str | None = None,
        extrinsic: Mapping[str, ParameterLaw] | None = None,
    ) -> Objective:
        """Make the parts of all conditions; `model` has values within the bounds."""
        parts: list[Part] = []
        check_start(start)
        counts.require_known_to(model)
        _require_fixed(model, counts.observed, names, extrinsic or {})
        given = dict(zip(counts.observed, instruments_of(instrument, counts.observed), strict=True))
        require_unmoved_instruments(model, list(given.values()))
        for condition in counts.groups:
            chosen = [given[name] for name in condition.counts.observed]
            fixed = [name for name in names if name in condition.settings]
            if fixed:
                raise ArgumentError(
                    f"`free` must not be what a condition sets, but '{condition.label}' sets '{fixed[0]}'."
                )
            given_model = condition.of(model)
            _require_within(given_model, condition.counts, chosen)
            if extrinsic is not None:
                changed = written_into_rates(given_model)
                parts.append(_mixed(changed, names, condition.counts, chosen, limits, extrinsic))
                continue
            changed, settings = taken_apart(given_model)
            if settings or changed.is_time_dependent or start is not None or starting(changed, names):
                laws: FreeLaws | TimedLaws = TimedLaws(_free(changed, names, chosen), start, settings)
                _require_derivatives(changed, laws.names, settings)
                ranges = {name: prior.range for name, prior in zip(names, priors, strict=True)}
                require_order(given_model, ranges, condition.counts.times)
            else:
                laws = FreeLaws.of(changed, _free(changed, names, chosen))
            standing = condition.counts.standing([i.at(changed.parameters) for i in chosen])
            parts.append(Part(changed, laws, names, standing, chosen, limits))
        return cls(tuple(names), tuple(priors), tuple(parts))

    def at(self, u: FloatArray, width: float, *, informed: bool = True) -> Point:
        """Return value and derivatives at logarithms of parameters (q,), with the information where it is asked for."""
        theta = np.exp(u)
        point = self.parts[0].at(theta, width / len(self.parts), informed=informed)
        for part in self.parts[1:]:
            point = point + part.at(theta, width / len(self.parts), informed=informed)
        return self._with_priors(point, u)

    @property
    def estimated(self) -> bool:
        """Whether values have an error that is estimated, and not bounded."""
        return any(part.estimated for part in self.parts)

    def require_curvature(self) -> None:
        """Refuse second derivatives where they are not known."""
        for part in self.parts:
            part.require_curvature()

    def observed(self, u: FloatArray, width: float) -> FloatArray:
        """Return minus the second derivatives, (q, q), at logarithms of parameters (q,)."""
        theta = np.exp(u)
        of_priors = [-prior.of(x).curvature for prior, x in zip(self.priors, u.tolist(), strict=True)]
        self.require_curvature()
        parts = [part.observed(theta, width / len(self.parts)) for part in self.parts]
        return np.asarray(np.sum(parts, axis=0) + np.diag(of_priors))

    def at_many(self, u: FloatArray, width: float, floor: float = -math.inf) -> tuple[FloatArray, FloatArray]:
        """Return log-likelihoods without priors, and how far they may be off, (P,) each, at many (P, q).

        What is known to be below `floor` need not be known any better.
        """
        theta = np.exp(u)
        values, gaps = np.zeros(len(u)), np.zeros(len(u))
        for part in self.parts:
            value, gap = part.at_many(theta, width / len(self.parts), floor)
            values, gaps = values + value, gaps + gap
        return values, gaps

    def prior_at(self, u: FloatArray) -> float:
        """Return the logarithm of the prior density."""
        return math.fsum(prior.of(x).value for prior, x in zip(self.priors, u.tolist(), strict=True))

    def _with_priors(self, point: Point, u: FloatArray) -> Point:
        if not math.isfinite(point.value):
            return point
        values = [prior.of(x) for prior, x in zip(self.priors, u.tolist(), strict=True)]
        gradient = point.gradient + np.array([of_prior.slope for of_prior in values])
        curvature = np.array([max(0.0, -of_prior.curvature) for of_prior in values])
        return replace(
            point,
            value=point.value + self.prior_at(u),
            gradient=gradient,
            information=point.information + np.diag(curvature),
        )


def _require_fixed(model: Model, observed: Sequence[str], names: Sequence[str], differing: Collection[str]) -> None:
    """Refuse to search where what is counted changes with time, or with a parameter that is free or differs."""
    for text in observed:
        if depends_on_time(read_formula(text, model.species, model.observables, 0.0)):
            raise ArgumentError(
                f"`counts` must be of what does not change with time where parameters are free, but '{text}' does; "
                f"name a formula of the species alone."
            )
    require_fixed_observables(model, names, observed, "`free`", "what is counted")
    require_fixed_observables(model, tuple(differing), observed, "`extrinsic`", "what is counted")


def _require_within(model: Model, counts: Counts, instruments: Sequence[Instrument]) -> None:
    """Refuse counts above the largest that a species can have, by what the network conserves, before a search."""
    if model.events or len(model.initial_states) > 1:  # laws of the start are cut off
        return
    largest = dict(zip(model.species, model.species_bounds.tolist(), strict=True))
    for i, (name, instrument) in enumerate(zip(counts.observed, instruments, strict=True)):
        for t, values in zip(counts.times.tolist(), counts.values, strict=True):
            seen = int(values[:, i].max())
            if isinstance(instrument, Exact) and seen > largest.get(name, seen):
                raise ArgumentError(
                    f"`counts` must be possible under the model, but a cell with {name} = {seen} at t = {t:g} is not, "
                    f"as there are at most {largest[name]:g} of it; leave it out, or give an `instrument` by which it "
                    f"may be seen."
                )


def _mixed(
    model: Model,
    names: Sequence[str],
    counts: Counts,
    instruments: Sequence[Instrument],
    limits: Limits,
    extrinsic: Mapping[str, ParameterLaw],
) -> Part:
    """Return the part of cells that differ; numbers of laws and of instruments may be free."""
    told = InstrumentNumbers(model, names, instruments).names
    told |= {name for law in extrinsic.values() for name in law.depends}
    idle = [name for name in names if name in extrinsic and name not in told]
    if idle:
        raise ArgumentError(
            f"`free` must not be a parameter whose law says all of its values, but one is '{idle[0]}'; name it in the "
            f"law, as in fsp.Gamma('{idle[0]}', 0.3), so that its mean is free."
        )
    free = [name for name in names if name not in extrinsic and (name not in told or _in_rates(model, name))]
    laws = FreeLaws.of(model, [*free, *extrinsic])
    standing = counts.standing([instrument.at(model.parameters) for instrument in instruments])
    return Part(model, laws, names, standing, instruments, limits, extrinsic)


def _require_derivatives(model: Model, names: Sequence[str], settings: Sequence[Setting]) -> None:
    """Refuse parameters that nothing, or what events set counts to, depends on."""
    if names:
        derivatives(model, names, log=True, elsewhere=names_in(model, settings, names))
        count_maps(model, settings, names)


def _free(model: Model, names: Sequence[str], instruments: Sequence[Instrument]) -> tuple[str, ...]:
    """Return the free parameters but for those that instruments alone have."""
    told = InstrumentNumbers(model, names, instruments).names
    return tuple(name for name in names if name not in told or _in_rates(model, name))


def _in_rates(model: Model, name: str) -> bool:
    """Return whether a propensity, or the start, depends on a parameter that an instrument has too."""
    try:
        derivatives(model, [name], log=True)
    except ArgumentError:
        return False
    return True
