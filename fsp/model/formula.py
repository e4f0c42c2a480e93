"""Read rate formulas into trees: plain arithmetic by `fsp.model.plain`, all else and MathML with libsbml.

Its Level 3 parser compares names with regard to case, so that species may be called ``S``, ``E``, ``Pi`` or
``Time``; units on numbers, vectors and the ambiguous ``log(x)`` are off.  User-defined functions are
inlined.  libsbml drops characters that it does not know outside ASCII, so they are refused here.
"""

from __future__ import annotations

import graphlib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from fsp.errors import ModelError
from fsp.model.functions import FUNCTIONS
from fsp.model.libraries import one_at_a_time
from fsp.model.literals import beyond_doubles
from fsp.model.plain import CONSTANTS, read
from fsp.model.size import bounded
from fsp.model.tree import Expression, Number, Symbol, Time, call, joined, substitute, symbols

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SIGNATURE = re.compile(r"\s*([A-Za-z_]\w*)\s*\(([\w\s,]*)\)\s*", re.ASCII)
_LONGEST_QUOTE = 200  # characters of a formula in a message
_STRANGE = re.compile(r"[^\w\s+\-*/^%()<>=!&|,.]", re.ASCII)

_REFUSED = {
    "FUNCTION_DELAY": "a delay, which is no Markov process",
    "FUNCTION_RATE_OF": "a rate of change (rateOf), which a jump process does not have",
    "LAMBDA": "a lambda, which belongs in a function definition",
}
_RANDOM = ("BERNOULLI", "BINOMIAL", "CAUCHY", "CHISQUARE", "EXPONENTIAL", "GAMMA", "LAPLACE", "LOGNORMAL", "NORMAL",
           "POISSON", "RAYLEIGH", "UNIFORM")  # fmt: skip
_REFUSED |= {
    f"DISTRIB_FUNCTION_{name}": f"a random number ({name.lower()}); binomial, bernoulli, poisson and geometric may "
    "stand alone where molecules are counted, at the start and in events at known times"
    for name in _RANDOM
}


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """A user-defined function, whose body holds its arguments and the time only."""

    arguments: tuple[str, ...]
    body: Expression


def is_name(text: object) -> bool:
    """Return whether a value is an identifier of the formula language."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def in_ascii(text: object) -> str:
    """Return what to do about a name with letters of other alphabets, for the end of a message."""
    return "" if str(text).isascii() else "; write names in ASCII letters, as beta for β"


@one_at_a_time
def parse(
    text: str,
    *,
    what: str,
    functions: Mapping[str, FunctionDefinition] | None = None,
    names: Collection[str] = (),
) -> Expression:
    """Read a formula."""
    known = functions or {}
    outside = beyond_doubles(text) if isinstance(text, str) else None
    if outside is not None:
        raise ModelError(f"{_quoted(what, text)} must hold numbers in the range of doubles, but holds {outside}.")

    def defined(name: str, arguments: list[Expression]) -> Expression | None:
        return _inlined(name, arguments, _quoted(what, text), known) if name in known else None

    tree = read(text, defined) if isinstance(text, str) else None
    if tree is not None:
        return bounded(tree, _quoted(what, text))
    return from_ast(_ast(text, what, names), what=_quoted(what, text), functions=functions)


def _quoted(what: str, text: str) -> str:
    shown = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
    return f"{what}, '{shown}',"


def _ast(text: str, what: str, names: Collection[str]) -> Any:
    """Return libsbml's tree of a text."""
    import libsbml

    if not isinstance(text, str) or not text.strip():
        raise ModelError(f"{what} must be a formula, but is {text!r}.")
    document, settings = libsbml.SBMLDocument(3, 2), libsbml.L3ParserSettings()
    settings.setComparisonCaseSensitivity(True)
    settings.setParseUnits(False)
    settings.setParseCollapseMinus(False)
    settings.setParseLog(libsbml.L3P_PARSE_LOG_AS_ERROR)
    named = sorted(set(names) & set(CONSTANTS))
    if named:
        model = document.createModel()  # names of a model come before constants; the document owns it
        for name in named:
            model.createParameter().setId(name)
        settings.setModel(model)
    node = libsbml.parseL3FormulaWithSettings(text, settings)
    strange = _STRANGE.search(text)
    if node is not None and strange is None:
        return node
    reason = _reason(text) if node is None else ""
    if not reason:
        reason = f"holds {strange.group()!r}" if strange else "cannot be read"
    raise ModelError(f"{_quoted(what, text)} must be an arithmetic formula, but {reason}.")


def _reason(text: str) -> str:
    """Return why libsbml could not read a text, and the way out of the common mistakes."""
    import libsbml

    if "**" in text:
        return "holds '**'; write a power as x^y"
    if re.search(r"\blog\s*\([^,]*\)", text):
        return "holds log(x), which is ambiguous; write ln(x), log10(x) or log(base, x)"
    if re.search(r"\w\s+(and|or|not|xor)\s+\w|\bnot\s+\w", text):
        return "holds a logical word between operands; write a && b, a || b, !a"
    if not text.isascii():
        return f"holds {next(letter for letter in text if not letter.isascii())!r}{in_ascii(text)}"
    message = " ".join(libsbml.getLastParseL3Error().split()).rstrip(".")
    if len(text) > _LONGEST_QUOTE:  # which libsbml repeats
        message = message[message.rfind("at position") :]
    return f"libsbml says: {message}" if message else ""


@cache
def _function_names() -> dict[int, str]:
    """Return the name in `FUNCTIONS` for each node type of libsbml."""
    import libsbml

    return {getattr(libsbml, f"AST_{key}"): name for name, row in FUNCTIONS.items() for key in row.ast}


@cache
def _refused_types() -> dict[int, str]:
    import libsbml

    return {getattr(libsbml, f"AST_{key}"): why for key, why in _REFUSED.items()}


def from_ast(
    node: Any,
    *,
    what: str,
    functions: Mapping[str, FunctionDefinition] | None = None,
) -> Expression:
    """Turn libsbml's tree, of a formula or of MathML, into ours."""
    pending: list[tuple[Any, list[int] | None]] = [(node, None)]
    made: list[Expression] = []
    while pending:
        node, sizes = pending.pop()
        if sizes is None and not node.getNumChildren():
            sizes = []
        if sizes is None:
            children = _operands(node)
            pending.append((node, [len(group) for group in children]))
            pending.extend((child, None) for group in reversed(children) for child in reversed(group))
            continue
        start = len(made) - sum(sizes)
        operands = iter(made[start:])
        groups = [list(islice(operands, size)) for size in sizes]
        made[start:] = [_converted(node, groups or [[]], what, functions or {})]
    return bounded(made[0], what)


@one_at_a_time
def applied_at_top(
    value: object,
    what: str,
    known: Collection[str],
    functions: Mapping[str, FunctionDefinition],
    names: Collection[str],
) -> tuple[str, list[Expression]] | None:
    """Return a function that a text, or libsbml's tree, applies to all the rest, and its arguments.

    None where it is none of those that are `known`, or one that is defined.
    """
    if value is None or isinstance(value, Expression | int | float) or callable(value):
        return None
    if isinstance(value, str) and not any(name in value for name in known):
        return None
    node: Any = _ast(value, what, names) if isinstance(value, str) else value
    name = node.getName() if hasattr(node, "getName") else None
    if name not in known or name in functions:
        return None
    return str(name), [from_ast(node.getChild(k), what=what, functions=functions) for k in range(node.getNumChildren())]


def _operands(node: Any) -> list[list[Any]]:
    """Return the children of a node; of ((a + b) + c) + d, however long, those of each sum in turn."""
    import libsbml

    kind, groups = node.getType(), []
    while (
        kind in (libsbml.AST_PLUS, libsbml.AST_TIMES, libsbml.AST_LOGICAL_AND, libsbml.AST_LOGICAL_OR)
        and node.getNumChildren()
        and node.getChild(0).getType() == kind
    ):
        groups.append([node.getChild(k) for k in range(1, node.getNumChildren())])
        node = node.getChild(0)
    groups.append([node.getChild(k) for k in range(node.getNumChildren())])
    return groups[::-1]


def _converted(
    node: Any, groups: list[list[Expression]], what: str, functions: Mapping[str, FunctionDefinition]
) -> Expression:
    """Return the tree of a node whose operands are converted."""
    import libsbml

    kind = node.getType()
    if kind == libsbml.AST_NAME:
        return Symbol(node.getName())
    if kind == libsbml.AST_NAME_TIME:
        return Time()
    if node.isNumber() or node.isConstant() or kind == libsbml.AST_NAME_AVOGADRO:
        return _number(node, what)
    if kind == libsbml.AST_FUNCTION:
        return bounded(_inlined(node.getName(), groups[0], what, functions), what)
    if kind not in _function_names():
        why = _refused_types().get(kind, f"'{node.getName() or libsbml.formulaToL3String(node)}'")
        raise ModelError(f"{what} must be arithmetic, but holds {why}.")
    name = _function_names()[kind]
    return _built(name, groups[0], what) if len(groups) == 1 else joined(name, groups)


def _number(node: Any, what: str) -> Number:
    import libsbml

    kind = node.getType()
    constants = {  # libsbml's own value of e has nine digits
        libsbml.AST_CONSTANT_TRUE: 1.0,
        libsbml.AST_CONSTANT_FALSE: 0.0,
        libsbml.AST_CONSTANT_E: math.e,
        libsbml.AST_CONSTANT_PI: math.pi,
        libsbml.AST_NAME_AVOGADRO: 6.02214179e23,  # SBML Level 3 Version 1, section 3.4.6
    }
    value = constants.get(kind, float(node.getValue()))
    if kind == libsbml.AST_REAL_E:  # libsbml multiplies by a power of ten, which rounds twice
        value = float(f"{node.getMantissa()!r}e{node.getExponent()}")
    if not math.isfinite(value):
        raise ModelError(f"{what} must hold finite numbers, but holds {value}.")
    return Number(value)


def _built(name: str, arguments: list[Expression], what: str) -> Expression:
    """Return the call of a built-in function in the one form that our trees have for it."""
    if name == "-" and len(arguments) == 1:
        name = "neg"
    if name in ("root", "log") and len(arguments) == 1:  # MathML without <degree> or <logbase>
        arguments = [Number(2.0 if name == "root" else 10.0), *arguments]
    if name == "root" and arguments[0] == Number(2.0) and len(arguments) == 2:
        name, arguments = "sqrt", arguments[1:]
    if name == "log" and arguments[0] == Number(10.0) and len(arguments) == 2:
        name, arguments = "log10", arguments[1:]
    if not FUNCTIONS[name].fewest <= len(arguments) <= FUNCTIONS[name].limit:
        raise ModelError(f"{what} must give each function its arguments, but gives {len(arguments)} to '{name}'.")
    return call(name, *arguments)


def _inlined(
    name: str, arguments: list[Expression], what: str, functions: Mapping[str, FunctionDefinition]
) -> Expression:
    if name not in functions:
        known = ", ".join(sorted(functions))
        defined = f"; those defined are {known}" if known else ""
        raise ModelError(f"{what} must use known functions, but uses '{name}'{defined}.")
    definition = functions[name]
    if len(arguments) != len(definition.arguments):
        raise ModelError(
            f"{what} must give {len(definition.arguments)} arguments to '{name}', but gives {len(arguments)}."
        )
    return substitute(definition.body, dict(zip(definition.arguments, arguments, strict=True)))


@one_at_a_time
def parse_functions(definitions: Mapping[str, str]) -> dict[str, FunctionDefinition]:
    """Read user-defined functions such as ``{"hill(x, K, n)": "x^n/(K^n + x^n)"}``."""
    asts: dict[str, tuple[tuple[str, ...], Any]] = {}
    for signature, body in definitions.items():
        match = _SIGNATURE.fullmatch(signature)
        if match is None:
            raise ModelError(f"Function must be given as 'name(x, y)', but is '{signature}'.")
        name, inside = match.groups()
        arguments = tuple(part.strip() for part in inside.split(",")) if inside.strip() else ()
        if name in asts or not _is_free(name):
            raise ModelError(f"Function '{name}' must have a name of its own, but that name is taken.")
        asts[name] = (arguments, _ast(body, f"Function '{name}'", arguments))
    return define_functions(asts)


def _is_free(name: str) -> bool:
    """Return whether the formula language has no function of this name."""
    import libsbml

    node = libsbml.parseL3Formula(f"{name}(x)")
    return node is not None and node.getType() == libsbml.AST_FUNCTION


def define_functions(asts: Mapping[str, tuple[tuple[str, ...], Any]]) -> dict[str, FunctionDefinition]:
    """Turn the argument names and libsbml tree of each function into definitions, inlined in each other."""
    order = graphlib.TopologicalSorter({name: _called(body) & set(asts) for name, (_, body) in asts.items()})
    try:
        names = list(order.static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ModelError(f"Functions must not call themselves, but {circle} is a circle.") from None
    functions: dict[str, FunctionDefinition] = {}
    for name in names:
        arguments, ast = asts[name]
        body = from_ast(ast, what=f"Function '{name}'", functions=functions)
        outside = sorted(symbols(body) - set(arguments))
        if outside or len(set(arguments)) != len(arguments) or not all(map(is_name, arguments)):
            problem = f"uses '{outside[0]}'" if outside else f"has the arguments ({', '.join(arguments)})"
            raise ModelError(
                f"Function '{name}' must use its own arguments, each with a name of its own, but {problem}."
            )
        functions[name] = FunctionDefinition(arguments, body)
    return functions


def _called(node: Any) -> set[str]:
    """Return the names of the user-defined functions that a libsbml tree calls."""
    import libsbml

    names, pending = set(), [node]
    while pending:
        node = pending.pop()
        if node.getType() == libsbml.AST_FUNCTION:
            names.add(node.getName())
        pending.extend(node.getChild(k) for k in range(node.getNumChildren()))
    return names
