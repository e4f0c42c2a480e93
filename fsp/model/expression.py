"""Rate laws as trees: what the rest of the package uses of them.

`parse` (in `fsp.model.formula`) makes trees from text; here are their nodes, their evaluation on whole
arrays, substitution, factorisation by species, and their text.
"""

from __future__ import annotations

from fsp.model.factors import Product, factorise, split_number, tabulated
from fsp.model.functions import FUNCTIONS
from fsp.model.infix import to_text
from fsp.model.program import compiled, evaluate
from fsp.model.tree import (
    ONE,
    Call,
    Expression,
    Number,
    Symbol,
    Time,
    at_time,
    call,
    depends_on_time,
    substitute,
    symbols,
    walk,
)

__all__ = [
    "FUNCTIONS",
    "ONE",
    "Call",
    "Expression",
    "Number",
    "Product",
    "Symbol",
    "Time",
    "at_time",
    "call",
    "compiled",
    "depends_on_time",
    "evaluate",
    "factorise",
    "split_number",
    "substitute",
    "symbols",
    "tabulated",
    "to_text",
    "walk",
]
