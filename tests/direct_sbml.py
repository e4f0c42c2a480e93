"""What an SBML document says, read directly from its XML by the Level 3 specification, without libsbml or fsp.

The symbol of a species is its amount where it has only substance units, else its amount over the size of its
compartment (section 4.6.5); local parameters hide all else (4.11.5); what an assignment rule determines follows the
state (4.9.3), and what an initial assignment determines is that at time zero (4.8); conversion factors turn extents
into amounts (4.11.7).
"""

from __future__ import annotations

import math
from xml.etree import ElementTree

OPERATORS = {
    "plus": lambda *a: math.fsum(a),
    "minus": lambda a, *b: a - b[0] if b else -a,
    "times": lambda *a: math.prod(a),
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "min": min,
    "max": max,
    "exp": math.exp,
    "lt": lambda a, b: float(a < b),
    "geq": lambda a, b: float(a >= b),
}


def tag(element):
    return element.tag.rpartition("}")[2]


def truth(element, name):
    return element.get(name) == "true"


class Document:
    """A model of one document: `start()`, `changes()` and `rates(amounts)` of what reactions may change."""

    def __init__(self, text):
        self.model = ElementTree.fromstring(text)[0]
        self.functions = {e.get("id"): e[0][0] for e in self.each("functionDefinition")}  # the lambda within math
        self.compartments = {e.get("id"): e for e in self.each("compartment")}
        self.species = {e.get("id"): e for e in self.each("species")}
        self.parameters = {e.get("id"): e for e in self.each("parameter")}
        self.rules = {e.get("variable"): e[0][0] for e in self.each("assignmentRule")}
        self.assignments = {e.get("symbol"): e[0][0] for e in self.each("initialAssignment")}
        self.reactions = {e.get("id"): e for e in self.each("reaction")}
        self.references = {e.get("id"): e for e in self.each("speciesReference") if e.get("id")}

    def each(self, name):
        return [e for e in self.model.iter() if tag(e) == name]

    def start(self):
        """Return the amount of each species at time zero that no rule determines."""
        return {name: self.first(name) for name in self.species if name not in self.rules}

    def first(self, name):
        element = self.species[name]
        size = self.value(element.get("compartment"), None)
        if name in self.assignments:
            given = self.evaluate(self.assignments[name], None)
            return given if truth(element, "hasOnlySubstanceUnits") else given * size
        if element.get("initialAmount") is not None:
            return float(element.get("initialAmount"))
        return float(element.get("initialConcentration")) * size

    def value(self, name, amounts):
        """Return what a symbol stands for; `amounts` is None at time zero."""
        if name in self.rules:
            return self.evaluate(self.rules[name], amounts)
        if name in self.species:
            element = self.species[name]
            amount = self.first(name) if amounts is None or name not in amounts else amounts[name]
            only = truth(element, "hasOnlySubstanceUnits")
            return amount if only else amount / self.value(element.get("compartment"), amounts)
        if name in self.assignments:
            return self.evaluate(self.assignments[name], None)
        if name in self.reactions:
            return self.rate(name, amounts)
        if name in self.references:
            return float(self.references[name].get("stoichiometry"))
        given = self.parameters[name].get("value") if name in self.parameters else self.compartments[name].get("size")
        return float(given)

    def evaluate(self, node, amounts, local=()):
        kind = tag(node)
        if kind == "cn":
            return float(node.text)
        if kind == "ci":
            name = node.text.strip()
            return local[name] if name in local else self.value(name, amounts)
        if kind == "piecewise":
            for piece in node:
                if tag(piece) == "otherwise" or self.evaluate(piece[1], amounts, local):
                    return self.evaluate(piece[0], amounts, local)
        arguments = [self.evaluate(a, amounts, local) for a in node[1:]]
        if tag(node[0]) != "ci":
            return OPERATORS[tag(node[0])](*arguments)
        *bound, body = self.functions[node[0].text.strip()]
        return self.evaluate(body, amounts, dict(zip([b[0].text for b in bound], arguments, strict=True)))

    def rate(self, name, amounts):
        law = next(e for e in self.reactions[name] if tag(e) == "kineticLaw")
        local = {e.get("id"): float(e.get("value")) for e in law.iter() if tag(e) == "localParameter"}
        return self.evaluate(law[0][0], amounts, local)

    def rates(self, amounts):
        return [self.rate(name, amounts) for name in self.reactions]

    def changes(self):
        """Return the change of each species by each reaction, in amounts."""
        return [self.change(element) for element in self.reactions.values()]

    def consumed(self, name):
        """Return the stoichiometry of each reactant of a reaction."""
        sides = [side for side in self.reactions[name] if tag(side) == "listOfReactants"]
        return {e.get("species"): float(e.get("stoichiometry")) for side in sides for e in side}

    def change(self, reaction):
        found = dict.fromkeys(self.start(), 0.0)
        for side in reaction:
            sign = {"listOfReactants": -1.0, "listOfProducts": 1.0}.get(tag(side), 0.0)
            for reference in side if sign else ():
                element = self.species[reference.get("species")]
                factor = element.get("conversionFactor") or self.model.get("conversionFactor")
                if not truth(element, "boundaryCondition"):
                    each = self.value(factor, None) if factor else 1.0
                    found[element.get("id")] += sign * float(reference.get("stoichiometry")) * each
        return found
