"""By what a log-likelihood of cells that differ is differentiated: parameters of rates, and numbers of laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.errors import ArgumentError
from fsp.inference.affine_rates import AffineRates
from fsp.inference.free_laws import depends_on
from fsp.inference.parameters import Derivatives, derivatives
from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.expression import evaluate
from fsp.model.tree import ZERO, Number, symbols

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.model import Model
    from fsp.space import StateSpace

SHIFTED = 1.0 + 1e-6  # above products of a few numbers, to first order in the rounding of nodes


class MixedParameters(NamedTuple):
    """By what a log-likelihood is differentiated: what changes rates, and what changes laws."""

    names: tuple[str, ...]  # in the order that was asked for
    of_rates: tuple[str, ...]
    of_laws: Mapping[str, Sequence[tuple[str, int]]]  # mixed parameter, and 0 for its mean or 1 for its variation


def slopes_of(model: Model, parameters: Sequence[str], laws: Mapping[str, ParameterLaw]) -> MixedParameters:
    """Say what each parameter changes; refuse those that have no value in a cell, or nothing depends on."""
    names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
    of_laws: dict[str, list[tuple[str, int]]] = {}
    for mixed, law in laws.items():
        for place, given in enumerate((law.mean, law.cv)):
            if isinstance(given, str):
                _require_plain(model, given, names)
                of_laws.setdefault(given, []).append((mixed, place))
    for name in names:
        if name in laws and name not in of_laws:
            raise ArgumentError(
                f"`parameters` must have one value in all cells, but '{name}' differs among them; let a parameter be "
                f"the mean of its law, as in extrinsic={{'{name}': fsp.Gamma('{name}', 0.3)}}."
            )
    fixed = model.with_parameters({name: law.at(model.parameters).numbers[0] for name, law in laws.items()})
    told = [name for name in names if name not in laws and (name not in of_laws or depends_on(fixed, name))]
    AffineRates.of(model, tuple(laws))  # refuses what is no multiple
    if told:
        derivatives(fixed, told, log=True)  # refuses what has no derivative
    return MixedParameters(names, tuple(told), {name: of_laws[name] for name in names if name in of_laws})


def _require_plain(model: Model, given: str, names: Sequence[str]) -> None:
    """Refuse derivatives by what is in the formula of a law's parameter."""
    parameters = model.definition.parameters
    if isinstance(parameters[given], Number):
        return
    others = resolve({name: tree for name, tree in parameters.items() if name == given or name not in names})
    if given in names or symbols(others[given]):
        raise ArgumentError(
            f"A law of `extrinsic` must be given by numbers or plain parameters where derivatives are asked for, but "
            f"'{given}' is a formula; give it the value, or name what is in it."
        )


def rate_slopes(model: Model, names: Sequence[str]) -> Derivatives:
    """Return the derivatives of rates by the logarithms of parameters, which may be none."""
    return derivatives(model, names, log=True) if names else Derivatives((), (), True, ())


class SlopeShifts:
    """By how much derivatives of rates are off at nodes that are rounded: what these multiply moves, and no rest."""

    def __init__(self, model: Model, laws: Mapping[str, ParameterLaw], names: Sequence[str]) -> None:
        affine = AffineRates.of(model, tuple(laws), names)
        self._given = {name: model.parameters[name] for name in names}
        self._trees = [
            (k, r, mixed, derivative(tree, name))
            for k, name in enumerate(names)
            for mixed, trees in affine.slopes.items()
            for r, tree in enumerate(trees)
        ]
        self._trees = [part for part in self._trees if part[-1] != ZERO]

    def at(self, values: Mapping[str, float], off: Mapping[str, float], space: StateSpace) -> dict[int, FloatArray]:
        """Return what derivatives are off where values are off by a part of themselves: (q, n) by reaction."""
        numbers = {name: np.float64(value) for name, value in {**self._given, **values}.items()}
        counts = {name: space.states[:, i].astype(np.float64) for i, name in enumerate(space.species)}
        shifts: dict[int, FloatArray] = {}
        for k, r, mixed, tree in self._trees:
            scale = off[mixed] * values[mixed] * list(self._given.values())[k]
            table = shifts.setdefault(r, np.zeros((len(self._given), len(space))))
            table[k] += SHIFTED * abs(scale) * np.abs(evaluate(tree, {**counts, **numbers}))
        return shifts
