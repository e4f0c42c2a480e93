"""Files in which every rule of SBML that `wrong_readers` drops means something."""

from __future__ import annotations

from written_sbml import (
    TIME,
    apply,
    assign,
    compartment,
    event,
    local,
    parameter,
    reaction,
    reference,
    rule,
    sbml,
    species,
)

TIMES = [0.4, 0.8, 1.2]

VOLUMES = sbml(
    Compartments=[compartment(size="2")],
    Species=[
        species("A", 9, only="false", kind="initialConcentration"),
        species("S", 14),
        species("B", 5, boundary="true"),
    ],
    Parameters=[parameter("k", "1.4"), parameter("q", "0.12")],
    Reactions=[
        reaction("lose", ["A"], [], apply("times", "k", "A"), local=local(k=2.2)),
        reaction("pair", ["S", "S"], ["A"], apply("times", "q", "S", apply("minus", "S", "1"))),
        reaction("make", ["B"], ["A"], apply("times", "1.5", "B")),
    ],
)
LISTS = sbml(
    Species=[species("A", 24), species("B", 3)],
    Reactions=[
        reaction("join", ["A", "A"], ["B"], apply("times", "0.04", "A", apply("minus", "A", "1"))),
        reaction("part", ["B"], ["A", "A"], apply("times", "0.6", "B")),
    ],
)
RULES = sbml(
    Species=[species("A", 12), species("B", 0), species("C", 6)],
    Parameters=[
        parameter("k", "0.3"),
        parameter("rate", None, constant="false"),
        parameter("twofold", "2"),
        parameter("start", "0.2"),
        parameter("p", "0.9"),
    ],
    InitialAssignments=[assign("start", apply("times", "k", "twofold"))],
    Rules=[rule("assignmentRule", "rate", apply("divide", "p", apply("plus", "1", "B")))],
    Reactions=[
        reaction("turn", ["A"], ["B"], apply("times", "rate", "A")),
        reaction("leave", ["B"], [], apply("times", "start", "B")),
        reaction(
            "double",
            [reference("C", "2")],
            [],
            apply("times", "0.11", "C", apply("minus", "C", "1")),
        ),
    ],
)
CHANNELS = sbml(
    Species=[species("A", 16), species("B", 0), species("E", 0)],
    Parameters=[parameter("k", "0.9", constant="false"), parameter("f", "2")],
    Reactions=[
        reaction(
            "swap",
            ["A"],
            ["B"],
            apply("minus", apply("times", "k", "A"), apply("times", "0.8", "B")),
            reversible="true",
        ),
        reaction("arrive", [], ["E"], "4.5"),
        reaction("depart", ["E"], [], apply("times", "0.4", "E")),
    ],
    Events=[event(apply("geq", TIME, "0.5"), {"E": apply("plus", "E", "6")})],
)
FACTORS = sbml(
    attributes='conversionFactor="f"',
    Species=[species("A", 0), species("D", 20)],
    Parameters=[parameter("f", "2")],
    Reactions=[
        reaction("make", [], ["A"], "6"),
        reaction("fall", ["D"], [], apply("times", "0.35", "D", apply("minus", "D", "1"), "0.1")),
        reaction("lose", ["A"], [], apply("times", "0.05", "A", apply("minus", "A", "1"))),
    ],
)
FILES = {"volumes": VOLUMES, "rules": RULES, "channels": CHANNELS, "factors": FACTORS, "lists": LISTS}
# the file in which each rule is dropped, and the keys of findings that name the mistake
CASES = {
    "boundary": ("volumes", {"boundary"}),
    "size": ("volumes", {"size"}),
    "concentration": ("volumes", {"concentration"}),
    "substance": ("volumes", {"substance"}),
    "amount": ("volumes", {"amount"}),
    "numbers": ("volumes", {"numbers", "size"}),
    "local": ("volumes", {"local"}),
    "twice": ("volumes", {"twice"}),
    "twice-anywhere": ("lists", {"twice-anywhere"}),
    "rule": ("rules", {"rule"}),
    "initial": ("rules", {"initial"}),
    "stoichiometry": ("rules", {"stoichiometry"}),
    "event": ("channels", {"event"}),
    "late": ("channels", {"late"}),
    "next-jump": ("channels", {"next-jump"}),
    "reversible": ("channels", {"reversible"}),
    "integer": ("channels", {"integer"}),
    "outputs": ("channels", {"index-before"}),
    "factor": ("factors", {"factor"}),
}
