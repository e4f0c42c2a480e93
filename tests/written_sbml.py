"""Short ways to write SBML documents."""

from __future__ import annotations

import numpy as np

L3 = 'xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"'

L2 = 'xmlns="http://www.sbml.org/sbml/level2/version4" level="2" version="4"'

MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'
TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>'


def math(content):
    return f"<math {MATH}>{content}</math>"


def apply(function, *arguments):
    head = function if function.startswith("<") else f"<{function}/>"
    return f"<apply>{head}{''.join(map(term, arguments))}</apply>"


def term(value):
    text = str(value)
    if text.startswith("<"):
        return text
    return f"<ci>{text}</ci>" if text[0].isalpha() else f"<cn>{text}</cn>"


def of(kind, *elements):
    return f"<listOf{kind}>{''.join(elements)}</listOf{kind}>" if elements else ""


def compartment(name="cell", size="1", extra='constant="true"'):
    shown = "" if size is None else f'size="{size}"'
    return f'<compartment id="{name}" {shown} spatialDimensions="3" {extra}/>'


def species(
    name,
    amount="0",
    *,
    only="true",
    boundary="false",
    constant="false",
    kind="initialAmount",
    extra="",
    home="cell",
):
    start = "" if amount is None else f'{kind}="{amount}"'
    return (
        f'<species id="{name}" compartment="{home}" {start} hasOnlySubstanceUnits="{only}" '
        f'boundaryCondition="{boundary}" constant="{constant}" {extra}/>'
    )


def parameter(name, value="1", constant="true"):
    shown = "" if value is None else f'value="{value}"'
    return f'<parameter id="{name}" {shown} constant="{constant}"/>'


def reference(name, n="1", extra="", inside=""):
    shown = "" if n is None else f'stoichiometry="{n}"'
    return f'<speciesReference species="{name}" {shown} constant="true" {extra}>{inside}</speciesReference>'


def reaction(name, reactants=(), products=(), law="1", *, local="", reversible="false", modifiers=()):
    kinetic = "" if law is None else f"<kineticLaw>{math(term(law))}{local}</kineticLaw>"
    changed = [f'<modifierSpeciesReference species="{m}"/>' for m in modifiers]
    return (
        f'<reaction id="{name}" reversible="{reversible}">{of("Reactants", *map(side, reactants))}'
        f"{of('Products', *map(side, products))}{of('Modifiers', *changed)}{kinetic}</reaction>"
    )


def side(entry):
    return entry if entry.startswith("<") else reference(entry)


def rule(kind, variable, content):
    target = f'variable="{variable}"' if variable else 'metaid="m1"'
    return f"<{kind} {target}>{math(term(content))}</{kind}>"


def assign(symbol, content):
    return f'<initialAssignment symbol="{symbol}">{math(term(content))}</initialAssignment>'


def local(**values):
    inside = "".join(f'<localParameter id="{name}" value="{value!r}"/>' for name, value in values.items())
    return f"<listOfLocalParameters>{inside}</listOfLocalParameters>" if values else ""


def function(name, arguments, body):
    bound = "".join(f"<bvar><ci>{argument}</ci></bvar>" for argument in arguments)
    return f'<functionDefinition id="{name}">{math(f"<lambda>{bound}{term(body)}</lambda>")}</functionDefinition>'


def unit(name, kind, scale=0, multiplier=1):
    inside = f'<unit kind="{kind}" exponent="1" scale="{scale}" multiplier="{multiplier}"/>'
    return f'<unitDefinition id="{name}"><listOfUnits>{inside}</listOfUnits></unitDefinition>'


ORDER = [
    "FunctionDefinitions",
    "UnitDefinitions",
    "Compartments",
    "Species",
    "Parameters",
    "InitialAssignments",
    "Rules",
    "Constraints",
    "Reactions",
    "Events",
]


def event(trigger, assigned, *, name="E0", flags='initialValue="true" persistent="true"', more="", values="true"):
    inside = "".join(
        f'<eventAssignment variable="{variable}">{math(term(value))}</eventAssignment>'
        for variable, value in assigned.items()
    )
    return (
        f'<event id="{name}" useValuesFromTriggerTime="{values}"><trigger {flags}>{math(trigger)}</trigger>{more}'
        f"<listOfEventAssignments>{inside}</listOfEventAssignments></event>"
    )


def sbml(level=L3, attributes="", **lists):
    content = {"Compartments": [compartment()], **lists}
    body = "".join(of(kind, *content[kind]) for kind in ORDER if kind in content)
    text = f'<?xml version="1.0"?><sbml {level}><model id="m" {attributes}>{body}</model></sbml>'
    if 'level="2"' in level:  # Level 2 has no constant on references
        text = text.replace('constant="true" ></speciesReference>', "></speciesReference>")
    return text


def rates(model, *states, t=0.0):
    return model.propensities(np.array(states), t).T.tolist()


GOOD = {"Species": [species("X", 1)], "Reactions": [reaction("r", ["X"], [], "X")]}
ANTIMONY = """
model decay()
  compartment cell = 1;
  substanceOnly species X in cell;
  death: X => ; k*X;
  X = 7; k = 2;
end
"""
