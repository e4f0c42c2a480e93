"""Sabotages of `fsp/command/`; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "longer-times-that-differ",
        "distribution/continuation.py",
        "return same and all(",
        "return same or all(",
        "stored",
        only="longer",
    ),
    mutant(
        "a-start-that-is-forgotten",
        "jobs/stopping.py",
        "start=start if begun is None else begun",
        "start=begun",
        "stored",
        only="starts",
    ),
    mutant(
        "pictures-asked-for-in-vain",
        "command/options.py",
        "if given and option is None:",
        "if given and option == '':",
        "stored",
        only="apply",
    ),
    mutant(
        "bounds-of-what-is-none-in-csv",
        "output/summaries.py",
        "[interval.lower if interval.certified else None for interval in intervals]",
        "[interval.lower for interval in intervals]",
        "stored",
        only="no_bound",
    ),
    mutant(
        "one-name-set-twice",
        "command/options.py",
        "        seen.add(name)",
        "        seen.add(text)",
        "arguments",
        only="words",
    ),
    mutant(
        "signal-without-its-status",
        "command/solve.py",
        "SystemExit(128 + (stop.signal or signal.SIGINT))",
        "SystemExit(1)",
        "resume",
        only="signal_ends",
    ),
    mutant(
        "every-rank-does-all",
        "command/exits.py",
        "or n_ranks_started() == 1:\n        return",
        "or n_ranks_started() > 0:\n        return",
        "mpi",
        only="one_process_is_refused",
    ),
    mutant(
        "finished-sweeps-replaced",
        "command/solve.py",
        'if kind == "sweep" or not there.complete:',
        "if not there.complete:",
        "cli",
        only="computed_again",
    ),
]
