"""The simulators that are Python packages: how each is called, in a process of its own."""

from __future__ import annotations

import logging
import math
import os
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache, reduce
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.errors import BackendError
from fsp.sampling.required_counts import RequiredCounts

# module, and the package to install
PACKAGES = {
    "roadrunner": ("roadrunner", "libroadrunner"),
    "gillespy2": ("gillespy2", "gillespy2"),
    "gillespy2-tau": ("gillespy2", "gillespy2"),
    "copasi": ("basico", "copasi-basico"),
}
# what `open_simulator` takes for each
SIMULATOR_OPTIONS = {"copasi": ("method",), "gillespy2": ("method",), "gillespy2-tau": ("method", "tau_tol")}
TAU_TOLERANCE = 0.03  # the package's default
LONGEST_GRID = 10_000  # points of an even grid that holds the output times

_WHOLE_NUMBER = re.compile(r"(?<![\w.])(\d+)(?![\w.])")  # a number without a decimal point

Options = tuple[tuple[str, str], ...]
Made = tuple[IntArray, Counter[str]]  # the runs of a block, and what was warned of while they were made
Block = Callable[[Sequence[float], list[int]], FloatArray]  # times, seeds -> (runs, times, species)


def require(name: str) -> None:
    """Raise a BackendError unless the package of a simulator is installed."""
    module, package = PACKAGES[name]
    if find_spec(module) is None:
        raise BackendError(
            f"Simulator '{name}' must be installed, but the package '{package}' is not: pip install fsp-cme[verify]"
        )


def sample_block(
    name: str, options: Options, sbml: str, written: bool, wanted: RequiredCounts, times: tuple[float, ...],
    first: int, seeds: list[int],
) -> Made:  # fmt: skip
    """Return the runs of some seeds, (runs, times, species), and the warnings, whose texts are counted."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            values = _opened(name, options, sbml, written, wanted)(times, seeds)
    except BackendError:
        raise
    except Exception as error:
        kind, last = type(error).__name__, first + len(seeds) - 1
        raise BackendError(
            f"Simulator '{name}' must run the model, but failed in runs {first} to {last}: {kind}: {error}"
        ) from None
    return wanted.whole_counts(values, name, times, first), Counter(str(warning.message) for warning in said)


@lru_cache(maxsize=4)
def _opened(name: str, options: Options, sbml: str, written: bool, wanted: RequiredCounts) -> Block:
    if name == "roadrunner":
        return _roadrunner(sbml, wanted.species)
    if name == "copasi":
        return _copasi(sbml, wanted, dict(options).get("method", "directMethod"))
    return _gillespy2(sbml, written, wanted, name == "gillespy2-tau", dict(options))


def _roadrunner(sbml: str, species: tuple[str, ...]) -> Block:
    roadrunner = import_module("roadrunner")
    roadrunner.Logger.setLevel(roadrunner.Logger.LOG_ERROR)
    runner = roadrunner.RoadRunner(sbml)
    runner.setIntegrator("gillespie")
    runner.integrator.variable_step_size = False
    runner.timeCourseSelections = ["time", *species]  # names without brackets are amounts

    def block(times: Sequence[float], seeds: list[int]) -> FloatArray:
        grid = [0.0, *times] if times[0] > 0.0 else list(times)
        out = np.empty((len(seeds), len(times), len(species)))
        for i, seed in enumerate(seeds):
            runner.resetAll()
            runner.integrator.seed = seed
            if len(grid) == 1:
                out[i, 0] = [runner[name] for name in species]
                continue
            out[i] = np.asarray(runner.simulate(times=grid))[-len(times) :, 1:]
        return out

    return block


def _copasi(sbml: str, wanted: RequiredCounts, method: str) -> Block:
    basico = import_module("basico")
    model = basico.load_model_from_string(sbml)

    def block(times: Sequence[float], seeds: list[int]) -> FloatArray:
        grid = [0.0, *times] if times[0] > 0.0 else list(times)
        out = np.empty((len(seeds), len(times), len(wanted.species)))
        for i, seed in enumerate(seeds):
            with _logged("basico") as heard:
                table = basico.run_time_course(
                    values=grid, start_time=0.0, method=method, use_seed=True, seed=seed, use_numbers=True, model=model
                )
            if len(table) != len(grid):
                said = heard[-1] if heard else import_module("COPASI").CCopasiMessage.getAllMessageText()
                raise BackendError(f"Simulator 'copasi' must give {len(grid)} times, but gives {len(table)}: {said}")
            rows = table[-len(times) :]
            out[i] = wanted.gathered({name: rows[name].to_numpy() for name in rows.columns}, len(times))
        return out

    return block


@contextmanager
def _logged(name: str) -> Iterator[list[str]]:
    """Collect what a package logs as errors meanwhile, in place of printing it."""
    heard: list[str] = []
    handler, logger = logging.Handler(logging.ERROR), logging.getLogger(name)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield heard
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _gillespy2(sbml: str, written: bool, wanted: RequiredCounts, tau: bool, given: dict[str, str]) -> Block:
    gillespy2 = import_module("gillespy2")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.xml"
        file.write_text(sbml, encoding="utf-8")
        model, errors = gillespy2.import_SBML(str(file))
    if model is None:
        raise BackendError(f"GillesPy2 must read the model, but says {errors}.")
    for species in model.listOfSpecies.values():
        species.mode = "discrete"  # its reader marks all species as continuous
    if written:  # its C++ divides whole numbers as integers; the model's own numbers were parameters, or are real
        for reaction in model.listOfReactions.values():
            law = _WHOLE_NUMBER.sub(r"\1.0", reaction.propensity_function)
            reaction.propensity_function = reaction.ode_propensity_function = law
    kind = "TauLeaping" if tau else "SSA"
    names = {"c++": f"{kind}CSolver", "numpy": "TauLeapingSolver" if tau else "NumPySSASolver"}
    compiles = given.get("method", "c++" if which("g++") else "numpy") == "c++"
    if compiles:
        _show_scons()
    make = getattr(gillespy2, names["c++" if compiles else "numpy"])
    options = {"tau_tol": float(given.get("tau_tol", TAU_TOLERANCE))} if tau else {}
    solvers: dict[tuple[float, ...], Any] = {}

    def block(times: Sequence[float], seeds: list[int]) -> FloatArray:
        step, last = _even(times)
        if tuple(times) not in solvers:  # a solver belongs to a model with its times
            model.timespan(gillespy2.TimeSpan(np.arange(last + 1) * step))
            solvers[tuple(times)] = make(model=model)
        trajectories = solvers[tuple(times)].run(number_of_trajectories=len(seeds), seed=seeds[0], **options)
        rows = np.rint(np.array(times) / step).astype(int)
        return np.array([wanted.gathered({name: run[name][rows] for name in run}, len(times)) for run in trajectories])

    return block


def _show_scons() -> None:
    """Let GillesPy2 find its build tool: it calls the interpreter behind a virtual environment, which lacks it."""
    package = find_spec("SCons")
    if package is not None and package.origin is not None:
        home = str(Path(package.origin).parents[1])
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))


def _even(times: Sequence[float]) -> tuple[float, int]:
    """Return the step and number of steps of the coarsest even grid from 0 that holds all times."""
    exact = [Fraction(repr(float(t))) for t in times]
    step = reduce(
        lambda a, b: Fraction(math.gcd(a.numerator * b.denominator, b.numerator * a.denominator),
                              a.denominator * b.denominator), exact, Fraction(0)) or Fraction(1)  # fmt: skip
    if exact[-1] / step > LONGEST_GRID:
        raise BackendError(
            f"GillesPy2 must be given times on an even grid of at most {LONGEST_GRID:,} points, but the grid of "
            f"these {len(times)} has {int(exact[-1] / step):,}."
        )
    return float(step), int(exact[-1] / step)


def version(name: str) -> str:
    """Return the version of a simulator's package."""
    module: Any = import_module(PACKAGES[name][0])
    return str(module.__version__)
