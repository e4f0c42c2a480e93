"""Sabotages of `fsp/distribution/`; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "texts-as-copy-numbers",
        "distribution/intervals.py",
        "if isinstance(count, bool) or not isinstance(count, int | np.integer):",
        "if isinstance(count, bool):",
        "arguments",
        only="event",
    ),
    mutant(
        "ledger-without-rounding",
        "distribution/ledger.py",
        "math.fsum((self.truncation, self.integration, self.pruning, self.rounding))",
        "math.fsum((self.truncation, self.integration, self.pruning))",
        "distribution",
    ),
    mutant(
        "certified-by-one-of-two",
        "distribution/ledger.py",
        "certified=self.certified and other.certified",
        "certified=self.certified or other.certified",
        "distribution",
    ),
    mutant(
        "tail-forgotten-in-a-mean",
        "distribution/bounds.py",
        "upper = centre + _tail(above, moments, gained)",
        "upper = centre",
        "moments",
        "moment_equations",
        only="without",
    ),
    mutant(
        "marginal-keeps-bounds-of-other-species",
        "distribution/distribution.py",
        "self.moments.select(columns)",
        "self.moments",
        "moments",
        only="bottleneck",
    ),
    mutant(
        "extra-time-kept-as-asked-for",
        "distribution/solution.py",
        "[one for one in self if one.t in self.asked and one.t != begin]",
        "[one for one in self if one.t != begin]",
        "resume",
        only="stopped_run",
    ),
    mutant(
        "another-tolerance-resumed",
        "distribution/continuation.py",
        "self.tol == begun.tol",
        "True",
        "sweep",
        only="stopped_sweep_keeps and 1",
    ),
    mutant(
        "another-model-resumed",
        "distribution/continuation.py",
        "self.model == begun.model",
        "True",
        "resume",
        only="signal_ends",
    ),
    mutant(
        "a-count-is-certain-whatever-the-error",
        "distribution/intervals.py",
        "self.error.certified and self.error.total == 0.0 and",
        "self.error.certified and",
        "distribution",
        only="only_where_nothing",
    ),
]
