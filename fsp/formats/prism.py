"""Write a model for PRISM and Storm, whose languages for Markov chains are one.

Species are bounded variables.  Where a bound cuts the chain off, what would leave goes to a state `lost`: its
probability at time t bounds the error of the truncation, as the sink of a finite state projection does.

References
----------
M. Kwiatkowska, G. Norman, D. Parker, CAV 2011, LNCS 6806, 585, doi:10.1007/978-3-642-22110-1_47.
B. Munsky, M. Khammash, J. Chem. Phys. 124 (2006) 044104, doi:10.1063/1.2145882.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fsp.checks import LARGEST_WHOLE
from fsp.errors import ModelError
from fsp.model.formula import parse
from fsp.model.functions import FUNCTIONS
from fsp.model.tree import Call, Expression, Number, Symbol, Time, depends_on_time, symbols

if TYPE_CHECKING:
    from fsp.arrays import IntArray
    from fsp.model.network import Network

_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "A bool clock const ctmc C double dtmc E endinit endinvariant endmodule endobservables endrewards "
        "endsystem false formula filter func F global G init invariant I int label lost max mdp min module X "
        "network nondeterministic observable observables of Pmax Pmin P pomdp popta probabilistic prob pta "
        "rate rewards Rmax Rmin R S stochastic system true U W mod pow floor ceil round log multi",
    )
)

# How arithmetic is written, with the texts of its operands; integers of PRISM have 32 bits, so numbers are doubles.
_FORMS = {
    "neg": "(-{0})", "^": "pow({0}, {1})", "sqrt": "pow({0}, 0.5)", "exp": f"pow({math.e!r}, {{0}})",
    "ln": f"log({{0}}, {math.e!r})", "log10": "log({0}, 10.0)", "log": "log({1}, {0})", "floor": "floor({0})",
    "ceil": "ceil({0})", "abs": "max({0}, -{0})",
}  # fmt: skip
_SIGNS = {"==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def write_prism(model: Network, upper: Mapping[str, int] | None = None) -> str:
    """Return a model as a CTMC in PRISM's language.

    Parameters
    ----------
    model
        The network; events that its state triggers are written as reactions.
    upper
        The largest count of species, by name, where the stoichiometry bounds none or a smaller one is wanted.

    Returns
    -------
    str
        The text of a `.sm` file: one module with a variable for each species.  With bounds that cut the chain off, it
        has a label "lost", and ``P=? [ F<=t "lost" ]`` bounds the error at time t, in the 1-norm.

    Raises
    ------
    ModelError
        If a species has no bound, a rate is a callable, depends on time or needs a function that PRISM lacks, events
        happen at known times, or the start is a distribution.

    Examples
    --------
    >>> import fsp
    >>> from fsp.formats.prism import write_prism
    >>> network = fsp.Model(species={"S": 4}, reactions=[fsp.Reaction("S -> 0", mass_action=0.5)])
    >>> print(write_prism(network))
    ctmc
    // model: species S is S_
    const int MAX_S_ = 4;
    module network
      S_ : [0..MAX_S_] init 4;
      // r1: S -> 0
      [] S_ >= 1 -> (0.5*S_) : (S_'=S_-1);
    endmodule
    """
    model.require_untimed("What is written for PRISM")
    if len(model.initial_states) != 1:
        raise ModelError(f"'{model.name}' must start in one state to be written for PRISM, but starts in several.")
    names = _names(model.species)
    largest, cut = _bounds(model, upper or {})
    renamed = [f"species {name} is {prism_name}" for name, prism_name in names.items() if prism_name != name]
    lines = ["ctmc", f"// {model.name}: {', '.join(renamed)}" if renamed else f"// {model.name}"]
    lines += [
        f"const int MAX_{prism_name} = {largest_count};"
        for prism_name, largest_count in zip(names.values(), largest, strict=True)
    ]
    lines += ["module network"]
    lines += [
        f"  {prism_name} : [0..MAX_{prism_name}] init {start};"
        for prism_name, start in zip(names.values(), model.initial_states[0].tolist(), strict=True)
    ]
    lines += ["  lost : bool init false;"] if any(cut) else []
    for k, change in enumerate(model.change):
        rate = _value(_law(model, k), names)
        lines += [f"  // {model.reactions[k].name}: {model.reactions[k].equation}"]
        lines += [
            f"  [] {guard} -> {rate} : {update};" for guard, update in _commands(change, list(names.values()), cut)
        ]
    return "\n".join([*lines, "endmodule", *(['label "lost" = lost;'] if any(cut) else [])])


def write_properties(model: Network, condition: str, times: Sequence[float] = ()) -> str:
    """Return the questions of a passage in the property language of PRISM and Storm.

    Parameters
    ----------
    model
        The network, as `write_prism` writes it.
    condition
        A formula of species, such as ``"V > U"``.
    times
        Times >= 0 of the law.

    Returns
    -------
    str
        The text of a `.props` file: the probability that the condition holds by each time, and ever; the mean time
        until then, in Storm's words; the share of the time in which it holds in the long run.

    Raises
    ------
    ModelError
        If the condition cannot be read, is a number, or needs a function that PRISM lacks, or a time is negative.

    Examples
    --------
    >>> import fsp
    >>> from fsp.formats.prism import write_properties
    >>> network = fsp.Model(species={"S": 4}, reactions=[fsp.Reaction("S -> 0", mass_action=0.5)])
    >>> print(write_properties(network, "S == 0", [2.0]))
    P=? [ F<=2.0 (S_ = 0.0) ]
    P=? [ F (S_ = 0.0) ]
    T=? [ F (S_ = 0.0) ]
    S=? [ (S_ = 0.0) ]
    """
    tree = parse(condition, what="condition")
    unknown = sorted(symbols(tree) - set(model.species))
    if unknown or depends_on_time(tree):
        raise ModelError(f"`condition` must be a formula of {', '.join(model.species)}, but is '{condition}'.")
    if not isinstance(tree, Call) or not FUNCTIONS[tree.function].truth:
        raise ModelError(f"`condition` must be a condition, such as 'X >= 10', but '{condition}' is a number.")
    wrong = next((t for t in times if not 0.0 <= t < math.inf), None)
    if wrong is not None:
        raise ModelError(f"`times` must be finite and not negative, but one is {wrong!r}.")
    holds = _condition(tree, _names(model.species))
    laws = [f"P=? [ F<={float(t)!r} {holds} ]" for t in times]
    return "\n".join([*laws, f"P=? [ F {holds} ]", f"T=? [ F {holds} ]", f"S=? [ {holds} ]"])


def _names(species: tuple[str, ...]) -> dict[str, str]:
    """Return a name that is no keyword for each species."""
    names: dict[str, str] = {}
    for name in species:
        prism_name = name
        while prism_name in _KEYWORDS or prism_name in names.values() or (prism_name != name and prism_name in species):
            prism_name += "_"
        names[name] = prism_name
    return names


def _bounds(model: Network, upper: Mapping[str, int]) -> tuple[list[int], list[bool]]:
    """Return the largest count of each species, and whether the chain goes further."""
    unknown = next((name for name in upper if name not in model.species), None)
    if unknown is not None:
        raise ModelError(f"`upper` must name species, but has '{unknown}'; they are {', '.join(model.species)}.")
    limits = model.species_bounds
    asked = [upper.get(name, np.inf) for name in model.species]
    largest = np.minimum(limits, [max(count, -1) if count < LARGEST_WHOLE else np.inf for count in asked])
    for name, largest_count, start in zip(model.species, largest, model.initial_states[0], strict=True):
        if not start <= largest_count < 2**31:
            way = f"give its largest count in `upper`, such as {name}=100"
            way = way if largest_count > start else f"it starts at {start}"
            raise ModelError(
                f"Species '{name}' must have a bound below 2^31 for PRISM, but has {largest_count:g}; {way}."
            )
    return [int(largest_count) for largest_count in largest], (largest < limits).tolist()


def _law(model: Network, k: int) -> Expression:
    law = model.rate_expressions[k]
    if law is None or depends_on_time(law):
        what = "is a callable" if law is None else "depends on time"
        raise ModelError(f"Rate of '{model.reactions[k].name}' must be a formula of species for PRISM, but {what}.")
    return law


def _commands(change: IntArray, names: list[str], cut: list[bool]) -> Iterator[tuple[str, str]]:
    """Yield guards and updates: of the jump within the bounds, and of the one that is lost."""
    here = [*(["!lost"] if any(cut) else [])]
    here += [f"{name} >= {-n}" for name, n in zip(names, change.tolist(), strict=True) if n < 0]
    above = [
        f"{name} > MAX_{name} - {n}" for name, n, c in zip(names, change.tolist(), cut, strict=True) if c and n > 0
    ]
    update = " & ".join(f"({name}'={name}{n:+d})" for name, n in zip(names, change.tolist(), strict=True) if n)
    yield " & ".join([*here, *(f"!({condition})" for condition in above)]) or "true", update or "true"
    if above:
        yield " & ".join([*here, f"({' | '.join(above)})"]), "(lost'=true)"


# ---------------------------------------------------------------------- formulas


def _value(expr: Expression, names: Mapping[str, str]) -> str:
    """Return a number as PRISM writes it."""
    if isinstance(expr, Number):
        return repr(expr.value) if expr.value >= 0 else f"({expr.value!r})"
    if isinstance(expr, Symbol):
        return names[expr.name]
    if isinstance(expr, Time) or FUNCTIONS[expr.function].truth:
        return f"({_condition(expr, names)} ? 1.0 : 0.0)"
    if expr.function == "piecewise":
        return _piecewise(expr, names)
    operands = [_value(a, names) for a in expr.arguments]
    if expr.function in ("+", "-", "*", "/"):
        return f"({expr.function.join(operands)})"
    if expr.function in ("min", "max"):
        return f"{expr.function}({', '.join(operands)})"
    if expr.function not in _FORMS:
        raise _unknown(expr.function)
    return _FORMS[expr.function].format(*operands)


def _unknown(function: str) -> ModelError:
    return ModelError(f"Rates must be of functions that PRISM has, but one uses '{function}'; write it by others.")


def _piecewise(expr: Call, names: Mapping[str, str]) -> str:
    arguments = expr.arguments
    if len(arguments) % 2 == 0:
        raise ModelError("Pieces of a rate must have one for all other states in PRISM, but a rate has none.")
    text = _value(arguments[-1], names)
    for k in range(len(arguments) - 3, -1, -2):
        text = f"({_condition(arguments[k + 1], names)} ? {_value(arguments[k], names)} : {text})"
    return text


def _condition(expr: Expression, names: Mapping[str, str]) -> str:
    """Return a truth value as PRISM writes it."""
    if not isinstance(expr, Call) or not FUNCTIONS[expr.function].truth:
        return f"({_value(expr, names)} != 0)"
    if expr.function in ("&&", "||"):
        return f"({f' {expr.function[0]} '.join(_condition(a, names) for a in expr.arguments)})"
    if expr.function == "!":
        return f"!{_condition(expr.arguments[0], names)}"
    sign = _SIGNS.get(expr.function)
    if sign is None:
        raise _unknown(expr.function)
    operands = [_value(a, names) for a in expr.arguments]
    return f"({' & '.join(f'{a} {sign} {b}' for a, b in pairwise(operands))})"
