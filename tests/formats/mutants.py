"""Sabotages of `fsp/formats/`; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "contradictions-are-read",
        "formats/sbml.py",
        "    _check_consistency(document, source)  # last",
        "    _document(text, source)  # last",
        "sbml_refusals",
        only="two_things",
    ),
    mutant(
        "libsbml-checks-nothing-beside-an-error",
        "formats/sbml.py",
        "    document.getErrorLog().clearLog()",
        "    document.getErrorLog()",
        "sbml_refusals",
        only="two_things",
    ),
    mutant(
        "comments-nest",
        "formats/sbml.py",
        'plain = _UNREAD.sub("", text)',
        "plain = text",
        "sbml_refusals",
        only="within_each_other",
    ),
    mutant(
        "propensities-in-the-units-of-the-file",
        "formats/counts.py",
        'return call("*", substitute(given, amounts), scale)',
        "return substitute(given, amounts)",
        "counts",
        only="same_concentrations",
    ),
    mutant(
        "pairs-in-any-volume-at-one-rate",
        "formats/powers.py",
        "Number(1.0 - term.order)",
        "Number(0.0)",
        "counts",
        only="same_concentrations",
    ),
    mutant(
        "powers-stay-powers-in-counts",
        "formats/readers.py",
        "scaled=bool(counted.conversion.steps)",
        "scaled=False",
        "counts",
        only="same_concentrations or avogadro",
    ),
    mutant(
        "missing-reactants-pass",
        "formats/laws.py",
        "    for count in range(n):",
        "    for count in range(0):",
        "laws",
        only="without_their_reactants or any_start",
    ),
    mutant(
        "minus-signs-are-lost",
        "formats/laws.py",
        "for term in (plus, minus)[sign < 0]]",
        "for term in (plus, minus)[0]]",
        "laws",
        only="difference",
    ),
    mutant(
        "units-without-a-word",
        "formats/counts.py",
        'assumptions = ("; ".join(said),) if units.are_moles else ()',
        "assumptions = ()",
        "counts",
        only="not_followed",
    ),
]
