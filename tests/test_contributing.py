"""What CONTRIBUTING.md says is enough is enough."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import solver_contract

import fsp
from fsp import solvers
from fsp.solvers import SOLVERS
from fsp.solvers.stepping import Propagator, Solver

PAGE = Path(fsp.__file__).parents[1] / "CONTRIBUTING.md"
NAME = "fsp.solvers.midpoint"


def forget():
    """Drop what the package keeps of the solver: of this one, or of an exercise that was done in the sources."""
    vars(fsp).pop("Midpoint", None)
    solvers._class_of.cache_clear()


@pytest.fixture(scope="module")
def midpoint():
    """Add the solver of the exercise: its file, and its row."""
    file, row = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType(NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, NAME, module)
        forget()
        exec(compile(file, NAME, "exec"), module.__dict__)
        for kind, home in ast.literal_eval(f"{{{row}}}").items():
            patch.setitem(solvers.METHODS, kind, home)
        yield SOLVERS["midpoint"]
    forget()


def test_the_new_solver_has_a_name_everywhere(midpoint):
    assert fsp.Midpoint is midpoint
    model = fsp.Model(species={"A": 10}, reactions=[fsp.Reaction("A -> 0", mass_action=1.0)])
    solution = fsp.transient(model, [1.0], 1e-3, solver="midpoint")
    assert solution.solver.startswith("Midpoint(tol=")
    assert not solution[-1].error.certified
    assert solution[-1].mean()["A"] == pytest.approx(3.6788, abs=1e-2)
    with pytest.raises(fsp.ArgumentError, match="midpoint"):
        fsp.transient(model, [1.0], solver="endpoint")
    assert "midpoint" not in fsp.transient(model, [1.0], 1e-2).solver  # it promises nothing, and is not chosen


def test_the_new_solver_takes_what_the_seam_says(midpoint):
    propagators = vars(sys.modules[NAME])["_Midpoint"], Propagator
    for name, kinds in {"bind": (midpoint, Solver), "step": propagators, "lengthen": propagators}.items():
        new, seam = (inspect.getattr_static(kind, name).__annotations__ for kind in kinds)
        assert {key: new[key] for key in new if key != "return"} == {key: seam[key] for key in seam if key != "return"}
    assert (midpoint.certified, Solver.certified) == (False, True)


@pytest.mark.parametrize("chain", solver_contract.CHAINS)
def test_the_new_solver_keeps_the_contract(midpoint, chain):
    bind = solver_contract.Binder()
    for tol in solver_contract.tolerances(midpoint):
        solver_contract.true_error_is_within_the_reported_bound(bind, chain, midpoint(), tol)
    solver_contract.probabilities_are_not_negative_and_mass_is_kept(bind, chain, midpoint(), 1e-4)
    solver_contract.two_halves_are_the_whole(bind, chain, midpoint(), 1e-4)
    for limit in solver_contract.LIMITS if chain in solver_contract.LEAKY else ():
        solver_contract.the_loss_limit_is_kept_at_the_time_reached(bind, chain, midpoint(), limit, 1e-4)


@pytest.mark.parametrize("corner", solver_contract.CORNERS, ids=lambda corner: corner.__name__)
def test_the_new_solver_keeps_the_contract_in_corners(midpoint, corner):
    corner(solver_contract.Binder(), midpoint, solver_contract.tolerances(midpoint)[1])
