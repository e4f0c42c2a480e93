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
]
