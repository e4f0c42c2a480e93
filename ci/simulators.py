"""Verify released simulators on model files, and write the tables of `docs/simulators.md`.

    PYTHONPATH=tests python ci/simulators.py [--runs 400] [--seed 1] [--only NAME ...] [--files NAME ...] [--write]

Needs `pip install -e .[verify]` and, for bngsim, `pip install bngsim`; simulators that are not installed are passed
over.  Each gets the files of `ci/simulator_files.py` as they stand; a line says what is true by hand, what was sampled,
the verdict of `fsp.verify`, and the cause that it names.  With --write the tables of the simulators that ran take the
place of theirs in `docs/simulators.md`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import process_time

import numpy as np
from simulator_files import FILES, TIMES

import fsp
from fsp.errors import BackendError
from fsp.sampling.required_counts import RequiredCounts
from fsp.sampling.simulators import Adapter, open_simulator, seeds_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "simulators.md"
# the module and the package of each simulator
SIMULATORS = {
    "roadrunner": ("roadrunner", "libroadrunner"),
    "copasi": ("basico", "copasi-basico"),
    "gillespy2": ("gillespy2", "gillespy2"),
    "bngsim": ("bngsim", "bngsim"),
}


class Bngsim(Adapter):
    """bngsim's direct method; it writes concentrations, which are multiplied by the sizes of the file."""

    name = "bngsim"

    def _sample(self, job):
        bngsim, libsbml = import_module("bngsim"), import_module("libsbml")
        text = self.document(job.model, job.file, float(job.times[-1])).text
        document = libsbml.readSBMLFromString(text)  # which owns its model
        network = document.getModel()
        sizes = {
            element.getId(): network.getCompartment(element.getCompartment()).getSize()
            for element in network.getListOfSpecies()
        }
        wanted = RequiredCounts(job.model.species, tuple(job.fixed.items()))
        begins = float(job.times[0]) > 0.0
        grid = [0.0, *job.times.tolist()] if begins else job.times.tolist()
        counts = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = bngsim.Model.from_sbml_string(text)
                for seed in seeds_of(job.seed, job.runs, job.first):
                    model.reset()
                    result = bngsim.Simulator(model, method="ssa").run(sample_times=grid, seed=seed)
                    rows = np.asarray(result.species)[int(begins) :]
                    names = result.species_names
                    has = {name: rows[:, i] * sizes.get(name, 1.0) for i, name in enumerate(names)}
                    counts.append(wanted.gathered(has, len(job.times)))
        except bngsim.BngsimError as error:
            raise BackendError(f"Simulator 'bngsim' must run the model, but says: {error}") from None
        return wanted.whole(np.array(counts), self.name, job.times.tolist(), job.first)


def opened(name):
    """Return a simulator, None where it is not installed."""
    if find_spec(SIMULATORS[name][0]) is None:
        return None
    return Bngsim() if name == "bngsim" else open_simulator(name, processes=1, block=1000)


def sampled(report, question, species):
    """Return the answer of the samples, with its standard error."""
    counts = report.samples.counts[:, -1]
    if question in species:
        values = counts[:, species.index(question)].astype(float)
    else:
        name, limit = question.split(" <= ")
        values = (counts[:, species.index(name)] <= int(limit)).astype(float)
    return f"{values.mean():.4g} ± {values.std() / np.sqrt(len(values)):.2g}"


def named(report):
    """Return what the report names as cause."""
    laws = [finding for finding in report.explanations if finding.name != "reader"]
    cause = (
        " or ".join(finding.text for finding in laws[:2])
        if laws
        else "none of the mistakes that it knows"
        if report.verdict == "fail"
        else ""
    )
    return cause + ("; its reader is wrong" if "reader" in [finding.name for finding in report.explanations] else "")


def row(simulator, name, folder, given):
    """Return the cells of a file, and whether it passes."""
    file = FILES[name]
    path = folder / f"{name}.xml"
    path.write_text(file.text, encoding="utf-8")
    species = fsp.load(path).species
    head = f"| {name} | {file.uses} | {file.answer:.4g} "
    try:
        report = fsp.verify(path, simulator=simulator, times=TIMES, runs=given.runs, seed=given.seed, power=None)
    except fsp.FSPError as error:
        said = re.sub(r"\s+", " ", str(error)).replace("|", "/").replace(str(folder), "")
        return f"{head}| | not run | {said[:300]} |", "not run"
    rewritten = "" if report.given.startswith("the file") else f" ({report.given.split(':')[0].split(',')[0]})"
    answer = sampled(report, file.question, species)
    return f"{head}| {answer} | {report.verdict}{rewritten} | {named(report)} |", report.verdict


def table(name, folder, given):
    """Return the section of a simulator."""
    simulator = opened(name)
    package = SIMULATORS[name][1]
    begin = process_time()
    rows = [row(simulator, file, folder, given) for file in given.files]
    counts = {word: sum(verdict == word for _, verdict in rows) for word in ("pass", "fail", "undecided", "not run")}
    day = datetime.now(UTC).date().isoformat()
    lines = [
        f"**{package} {version(package)}**, {day}, {given.runs:,} runs for each file, seed {given.seed}: "
        + ", ".join(f"{number} {word}" for word, number in counts.items() if number)
        + ".",
        "",
        "| file | what it uses | by hand | sampled | verdict | named cause, or why it did not run |",
        "|---|---|---|---|---|---|",
        *(cells for cells, _ in rows),
    ]
    print("\n".join(lines), f"\n{process_time() - begin:.1f} s CPU of this process\n", flush=True)
    return "\n".join(lines)


def main():
    """Print the tables; exit with 1 where a simulator that was asked for is not installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=list(SIMULATORS))
    parser.add_argument("--files", nargs="*", default=list(FILES))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    missing = [name for name in given.only if opened(name) is None]
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only:
            if name in missing:
                print(f"{name} is not installed: pip install {SIMULATORS[name][1]}")
                continue
            text = table(name, Path(folder), given)
            if given.write:
                mark = f"<!-- table {name} -->"
                head, _, rest = PAGE.read_text(encoding="utf-8").partition(mark)
                _, end, tail = rest.partition("<!-- end -->")
                PAGE.write_text(f"{head}{mark}\n\n{text}\n\n{end}{tail}", encoding="utf-8")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
