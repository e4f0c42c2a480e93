"""Model files for `ci/simulators.py`: each uses something that files use, and has a number that is known by hand.

A row: what is in the file, the file, the output times, a question about the last time, and its exact answer, from a
closed form and not from `fsp`.  A question is the name of a species, for its mean, or a condition, for its probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, factorial

from written_sbml import (
    TIME,
    apply,
    assign,
    compartment,
    event,
    function,
    local,
    parameter,
    reaction,
    reference,
    rule,
    sbml,
    species,
)

UNITS = 'substanceUnits="item" extentUnits="item" timeUnits="second" volumeUnits="litre"'
TIMES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class File:
    """A model file, and what is true of it by hand."""

    uses: str
    text: str
    question: str
    answer: float


def in_items(attributes: str = "", **lists: list[str]) -> str:
    """Return a document that counts items."""
    text = sbml(attributes=f"{UNITS} {attributes}", **lists)
    return text.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>')  # GillesPy2 asks for it


def decay(law: str, start: str, size: str = "1", **more: list[str]) -> str:
    """Return a document in which A is lost."""
    lists = {"Parameters": [parameter("k", "1.2")], "Reactions": [reaction("lose", ["A"], [], law)], **more}
    return in_items(Compartments=[compartment(size=size)], Species=[start], **lists)


def two_steps(first: float, second: float) -> tuple[float, float]:
    """Return the probabilities that one step, and that both, were made by time 1, at these rates."""
    both = 1 - (first * exp(-second) - second * exp(-first)) / (first - second)
    return 1 - exp(-first), both


def meeting(number: int, start: int, law: str, **more: list[str]) -> str:
    """Return a document in which `number` molecules of A vanish together."""
    reactions = [reaction("meet", [reference("A", str(number))], [], law)]
    return in_items(Species=[species("A", start)], Parameters=[parameter("k", "0.1")], Reactions=reactions, **more)


PAIRS = apply("divide", apply("times", "k", "A", apply("minus", "A", "1")), "2")
TRIPLES = apply("divide", apply("times", "k", "A", apply("minus", "A", "1"), apply("minus", "A", "2")), "6")
SQUARE = apply("times", "k", "A", "A")
CONCENTRATION = species("A", 9, only="false", kind="initialConcentration")
REVERSIBLE = apply("minus", apply("times", "f", "A"), apply("times", "b", "B"))
PAIRED = two_steps(1.0, 0.3)  # k A (A - 1)/2 of 5 and of 3 molecules, k = 0.1
SQUARED = two_steps(1.6, 0.4)  # k A² of 4 and of 2
TRIPLED = two_steps(2.0, 0.1)  # k A (A - 1) (A - 2)/6 of 6 and of 3
ERLANG = 1 - exp(-3.0) * sum(3.0**n / factorial(n) for n in range(4))  # four births at rate 3 by time 1
FORTH = 0.8 + 1.0  # rates of both ways

FILES = {
    "decay": File(
        "amounts, a global parameter", decay(apply("times", "k", "A"), species("A", 40)), "A", 40 * exp(-1.2)
    ),
    "concentration": File(
        "a volume of 2, an initial concentration, law k A V",
        decay(apply("times", "k", "A", "cell"), CONCENTRATION, "2"), "A", 18 * exp(-1.2),
    ),
    "amount-in-volume": File(
        "a volume of 2, amounts alone, law k A",
        decay(apply("times", "k", "A"), species("A", 18), "2"), "A", 18 * exp(-1.2),
    ),
    "meeting-in-volume": File(
        "a volume of 5, concentrations, law k A B V of order 2",
        in_items(
            Compartments=[compartment(size="5")],
            Species=[species("A", 1, only="false"), species("B", 12, only="false"), species("C", 0, only="false")],
            Parameters=[parameter("k", "0.4")],
            Reactions=[reaction("join", ["A", "B"], ["C"], apply("times", "k", "A", "B", "cell"))],
        ), "A", exp(-0.4 * 12 / 5),
    ),
    "boundary": File(
        "a boundary species is a reactant",
        in_items(
            Species=[species("B", 5, boundary="true"), species("A", 0)], Parameters=[parameter("k", "1.2")],
            Reactions=[reaction("make", ["B"], ["A"], apply("times", "1.5", "B")),
                       reaction("lose", ["A"], [], apply("times", "k", "A"))],
        ), "A", 7.5 / 1.2 * (1 - exp(-1.2)),
    ),
    "constant": File(
        "a constant species is a reactant and a product",
        in_items(
            Species=[species("E", 3, constant="true", boundary="true"), species("A", 20)],
            Reactions=[reaction("cut", ["A", "E"], ["E"], apply("times", "0.3", "A", "E"))],
        ), "A", 20 * exp(-0.9),
    ),
    "local": File(
        "a local parameter has the name of a global one",
        in_items(
            Species=[species("A", 20)], Parameters=[parameter("k", "0.4")],
            Reactions=[reaction("lose", ["A"], [], apply("times", "k", "A"), local=local(k=1.1))],
        ), "A", 20 * exp(-1.1),
    ),
    "assignment-rule": File(
        "an assignment rule for the number that is lost",
        decay(apply("times", "k", "half"), species("A", 30), Parameters=[
            parameter("k", "1.2"), parameter("half", None, constant="false")],
            Rules=[rule("assignmentRule", "half", apply("divide", "A", "2"))],
        ), "A", 30 * exp(-0.6),
    ),
    "initial-assignments": File(
        "initial assignments of a species and of a parameter",
        decay(apply("times", "k", "A"), species("A", 5), Parameters=[parameter("k", "3"), parameter("n", "10")],
              InitialAssignments=[assign("A", apply("times", "2", "n")), assign("k", apply("divide", "9", "n"))],
              ), "A", 20 * exp(-0.9),
    ),
    "function": File(
        "a function definition",
        decay(apply("<ci>rate</ci>", "A", "k"), species("A", 30), FunctionDefinitions=[
            function("rate", ["x", "c"], apply("divide", apply("times", "c", "x"), "2"))],
        ), "A", 30 * exp(-0.6),
    ),
    "event-at-time": File(
        "an event at a known time adds 6",
        decay(apply("times", "k", "A"), species("A", 10), Events=[
            event(apply("geq", TIME, "0.6"), {"A": apply("plus", "A", "6")})],
        ), "A", 10 * exp(-1.2) + 6 * exp(-0.48),
    ),
    "event-at-state": File(
        "an event when a count gets to 4",
        in_items(
            Species=[species("N", 0), species("Y", 0)],
            Reactions=[reaction("birth", [], ["N"], "3")],
            Events=[event(apply("geq", "N", "4"), {"Y": apply("plus", "Y", "1")})],
        ), "Y", ERLANG,
    ),
    "reversible": File(
        "a reversible reaction with law f A - b B",
        in_items(
            Species=[species("A", 20), species("B", 0)], Parameters=[parameter("f", "0.8"), parameter("b", "1")],
            Reactions=[reaction("swap", ["A"], ["B"], REVERSIBLE, reversible="true")],
        ), "A", 20 * (1 - 0.8 / FORTH * (1 - exp(-FORTH))),
    ),
    "pairs": File("order 2, law k A (A - 1)/2", meeting(2, 5, PAIRS), "A", 5 - 2 * sum(PAIRED)),
    "squares": File(
        "order 2, law k A² where A > 1, which is the propensity",
        meeting(2, 4, f"<piecewise><piece>{SQUARE}{apply('gt', 'A', '1')}</piece><otherwise><cn>0</cn></otherwise>"
                "</piecewise>"), "A", 4 - 2 * sum(SQUARED),
    ),
    "triples": File("order 3, law k A (A - 1) (A - 2)/6", meeting(3, 6, TRIPLES), "A", 6 - 3 * sum(TRIPLED)),
    "listed-twice": File(
        "one species is listed twice as reactant",
        in_items(
            Species=[species("A", 5)], Parameters=[parameter("k", "0.1")],
            Reactions=[reaction("meet", ["A", "A"], [], PAIRS)],
        ), "A", 5 - 2 * sum(PAIRED),
    ),
    "bursts": File(
        "three products at once",
        decay(apply("times", "k", "A"), species("A", 0), Parameters=[parameter("k", "1.2")]).replace(
            "<listOfReactions>", "<listOfReactions>" + reaction("burst", [], [reference("A", "3")], "4")),
        "A", 12 / 1.2 * (1 - exp(-1.2)),
    ),
    "large": File(
        "10,000 molecules", decay(apply("times", "k", "A"), species("A", 10_000)), "A", 10_000 * exp(-1.2)
    ),
    "gene": File(
        "one molecule that is on or off",
        in_items(
            Species=[species("on", 0), species("off", 1)], Parameters=[parameter("f", "0.8"), parameter("b", "1")],
            Reactions=[reaction("open", ["off"], ["on"], apply("times", "f", "off")),
                       reaction("close", ["on"], ["off"], apply("times", "b", "on"))],
        ), "on", 0.8 / FORTH * (1 - exp(-FORTH)),
    ),
    "whole-numbers": File(
        "whole numbers in a fraction, law 10/(4 + A)",
        in_items(Species=[species("A", 0)], Reactions=[
            reaction("make", [], ["A"], apply("divide", "10", apply("plus", "4", "A")))]),
        "A <= 0", exp(-2.5),
    ),
}  # fmt: skip
"""What is in each file, the file, a question about time 1, and its answer by hand."""
