"""Sabotages of `fsp/sampling/`; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "thinning-accepts-all",
        "sampling/kernels.py",
        "if _uniform(counter, key, words, place) * a[chosen] >= rate:",
        "if _uniform(counter, key, words, place) * a[chosen] >= 2.0 * a[chosen]:",
        "sampler",
        only="thinned",
    ),
    mutant(
        "sampler-reports-the-state-after-the-jump-late",
        "sampling/kernels.py",
        "while o < n and times[o] < until:",
        "while o < n and times[o] < t:",
        "sampler",
        only="absorbed",
    ),
]
