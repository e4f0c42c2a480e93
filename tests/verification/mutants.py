"""Sabotages of `fsp/verification/`; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "agreement-by-the-estimate-alone",
        "verification/suite.py",
        "farthest.append(max(abs(one.upper - value), abs(one.lower - value)) / unit)",
        "farthest.append(abs(one.value - value) / unit)",
        "suite",
        only="no_interval_decides",
    ),
    mutant(
        "reference-above-one-taken-for-one",
        "verification/slack.py",
        "up, down = half_sums(error, 1.0 - mass, SUM_ROUNDING * max(mass, 1.0))",
        "up, down = half_sums(error, max(1.0 - mass, 0.0), SUM_ROUNDING * max(mass, 1.0))",
        "verify",
        only="slack",
    ),
    mutant(
        "largest-law-without-slack",
        "verification/slack.py",
        "np.cumsum(weights[::-1])[::-1] + slack.up",
        "np.cumsum(weights[::-1])[::-1]",
        "verify",
        only="largest_law",
    ),
    mutant(
        "splits-tested-without-the-error-of-the-reference",
        "verification/cells.py",
        "low, high = slack.interval(expected)",
        "low, high = expected, expected",
        "verify",
        only="raises_no_alarm",
    ),
    mutant(
        "tail-of-a-mean-as-if-normal",
        "verification/statistics.py",
        " + 2 * BERRY_ESSEEN * skew / sqrt(n)",
        "",
        "verify",
        only="tail_of_a_mean",
    ),
    mutant(
        "holm-without-the-number-of-tests",
        "verification/statistics.py",
        "np.arange(len(p), 0, -1)",
        "1",
        "verify",
        only="holm",
    ),
    mutant(
        "one-sided-binomial",
        "verification/statistics.py",
        "2 * np.minimum(at_most(",
        "np.minimum(at_most(",
        "verify",
        only="binomial_p_values",
    ),
]
