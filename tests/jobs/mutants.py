"""Sabotages of `fsp/jobs/`; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "stationary-points-of-one-model",
        "jobs/workers.py",
        "found = stationary(self.at(values), self.tol",
        "found = stationary(self.model, self.tol",
        "sweep",
        only="without_times",
    ),
    mutant(
        "sweep-out-of-order",
        "jobs/sweep.py",
        "self._solutions[outcome.index] = outcome.found",
        "self._solutions[self.done] = outcome.found",
        "sweep",
        only="single_run",
    ),
    mutant(
        "workers-are-not-told-to-end",
        "jobs/workers.py",
        "                chain.pop()\n        self._terminate()\n",
        "                chain.pop()\n",
        "batch",
        only="signal_stops_all",
    ),
    mutant(
        "a-file-of-another-tolerance-kept",
        "jobs/batch.py",
        "head.asked == row.job.asked(plan.model(number))",
        "head.asked.model == row.job.asked(plan.model(number)).model",
        "batch",
        only="another_computation",
    ),
    mutant(
        "a-file-of-another-model-kept",
        "jobs/batch.py",
        "head.asked == row.job.asked(plan.model(number))",
        "head.asked.tol == row.job.asked(plan.model(number)).tol",
        "batch",
        only="model_file_that_changed",
    ),
    mutant(
        "a-partial-file-kept",
        "jobs/batch.py",
        "head is not None and head.complete and head.asked",
        "head is not None and head.asked",
        "batch",
        only="signal",
    ),
    mutant(
        "a-job-claimed-twice",
        "jobs/batch.py",
        "os.O_CREAT | os.O_EXCL | os.O_WRONLY",
        "os.O_CREAT | os.O_WRONLY",
        "batch",
        only="claimed_twice",
    ),
    mutant(
        "broken-job-of-a-batch-begun-anew",
        "jobs/ranks.py",
        "goes_on = resume and can_go_on(",
        "goes_on = False and can_go_on(",
        "mpi",
        only="test_batch and 1",
    ),
    mutant(
        "chains-of-a-sweep-begin-anew-in-workers",
        "jobs/workers.py",
        "hint = self.begun.get(tuple(values)) if hint is None else hint",
        "hint = None if parent_process() and hint is None else self.begun.get(tuple(values)) if hint is None else hint",
        "sweep",
        only="two_processes",
    ),
]
