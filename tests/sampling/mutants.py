"""Sabotages of `fsp/sampling/`; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "negative-rates-are-none",
        "sampling/sampler.py",
        "clocks[w, c] = constants.coefficients[0] + constants.remainder",
        "clocks[w, c] = max(0.0, constants.coefficients[0] + constants.remainder)",
        "sampler",
        only="becomes_negative",
    ),
    mutant(
        "negative-factors-have-no-bound",
        "sampling/sampler.py",
        "if any(enclosure(factor, {})[0] < 0.0 for factor in factors):",
        "if any(enclosure(factor, {})[0] < -np.inf for factor in factors):",
        "sampler",
        only="both_negative",
    ),
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
    mutant(
        "conditions-are-written-as-numbers",
        "formats/sbml_writer.py",
        "    if is_truth == truth:",
        "    if is_truth >= truth:",
        "simulators",
        only="valid_and_the_same",
    ),
    mutant(
        "what-is-written-is-not-read-back",
        "formats/sbml_writer.py",
        "    if differing:",
        "    if differing is None:",
        "simulators",
        only="loses_something",
    ),
    mutant(
        "formulas-of-what-events-assign-are-frozen",
        "model/compiled.py",
        "    if not variables:",
        "    if True:",
        "simulators",
        only="follows_it",
    ),
    mutant(
        "boundary-species-must-be-in-the-output",
        "sampling/required_counts.py",
        "if name not in has and name not in counts]",
        "if name not in has]",
        "simulators",
        only="left_out",
    ),
    mutant(
        "what-a-package-logs-is-not-collected",
        "sampling/packages.py",
        "logger.addHandler(handler)",
        "logger.addHandler(logging.NullHandler())",
        "simulators",
        only="logs_as_errors",
    ),
]
