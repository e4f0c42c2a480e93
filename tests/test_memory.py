"""`max_memory` is a limit: what is about to pass it is refused before it is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import fsp
from fsp.chains.elimination import analyse
from fsp.chains.transient_modes import transient_modes
from fsp.command.main import main
from fsp.memory import Room, affords, check_memory, keep, left, limited
from fsp.solvers.linear import Band, ShiftedSystem

OVERHEAD = 200e6  # bytes: of libraries and kernels that are loaded on the way

CASCADE = fsp.Model(
    species={"A": 0, "B": 0, "C": 0},
    reactions=[
        fsp.Reaction("0 -> A", rate="50"),
        fsp.Reaction("A -> B", mass_action=1.0),
        fsp.Reaction("B -> C", mass_action=1.0),
        fsp.Reaction("C -> 0", mass_action=1.0),
    ],
)
DECAY = fsp.Model(species={"X": 30}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])


def test_limits_nest_and_end():
    assert left(10) == 10
    assert affords(1e30, 0)
    with limited(10_000):
        keep(4_000)
        with limited(None):  # no limit but that of around
            assert left(10_000) == 6_000
            assert not affords(7_000, 0)
        with limited(100):
            assert left(100) == 100
        with pytest.raises(fsp.StateSpaceError, match=r"A table must fit into 6,000 bytes.*10,000.*needs about 7,000"):
            check_memory("A table", 7_000, 0, "do without")
    assert affords(1e30, 0)


def test_a_room_is_given_back():
    with limited(10_000):
        room = Room("A table", 6_000, 0, "do without")
        with pytest.raises(fsp.StateSpaceError):
            Room("Another", 6_000, 0, "do without")
        del room
        assert left(10_000) == 10_000


def test_distributions_that_stay_are_counted():
    space = fsp.StateSpace.box(DECAY, upper=1_000)
    limit = 1_300_000
    assert len(fsp.transient(DECAY, [0.5], space=space, max_memory=limit)) == 1
    with pytest.raises(fsp.StateSpaceError, match=r"`max_memory`.*ask for fewer times"):
        fsp.transient(DECAY, np.linspace(0.1, 1, 200), space=space, max_memory=limit)


@pytest.mark.parametrize("solve", [fsp.stationary, fsp.relaxation, lambda m, **more: fsp.transient(m, 1.0, **more)])
def test_a_space_that_is_given_must_fit(solve):
    space = fsp.StateSpace.box(DECAY, upper=1_000)
    with pytest.raises(fsp.StateSpaceError, match=r"`space` must fit into 100,000 bytes \(`max_memory`\)"):
        solve(DECAY, space=space, max_memory=100_000)


def test_a_start_in_many_states_must_fit():
    model = fsp.Model(species={"X": "poisson(40)", "Y": "poisson(40)"}, reactions=[fsp.Reaction("X -> Y", rate="X")])
    with pytest.raises(fsp.StateSpaceError, match=r"starts in must fit into 1,000,000 bytes \(`max_memory`\)"):
        fsp.transient(model, 1.0, max_memory=10**6)


def test_a_basis_that_does_not_fit_is_refused():
    with pytest.raises(fsp.StateSpaceError, match=r"A basis of 201 vectors.*`max_memory`.*lower `dimension`"):
        fsp.transient(CASCADE, 5.0, solver=fsp.Krylov(dimension=200), max_memory=10**7)


def test_factors_are_counted_as_long_as_they_live():
    matrix = fsp.Generator(CASCADE, fsp.StateSpace.box(CASCADE, upper=9)).to_csr()
    with limited(10**7):
        system = ShiftedSystem(matrix, 0.5, Band.of(matrix))
        taken = 10**7 - left(10**7)
        assert taken > 8 * matrix.nnz
        del system
        assert left(10**7) == 10**7
    with limited(taken), pytest.raises(fsp.StateSpaceError, match="Factors of a shifted generator"):
        ShiftedSystem(matrix, 0.5, Band.of(matrix))


def test_the_fill_of_a_factorisation_is_known_before_it_is_made():
    """Columns below the diagonal are counted by the elimination that has the same order."""
    from scipy import sparse

    from fsp.chains.elimination import BYTES_OF_ENTRY, factorised

    line = sparse.diags_array([1.0, 2.0], offsets=[-1, 1], shape=(12, 12))
    plane = sparse.kronsum(line, line)
    jumps = sparse.csc_array(sparse.kronsum(plane, line))  # of three species
    shifted = (sparse.diags_array(1.0 + jumps.sum(axis=0)) - jumps).tocsc()
    off = sparse.csr_array(shifted - sparse.diags_array(shifted.diagonal()))
    off.eliminate_zeros()
    below = analyse(off.indptr.astype(np.int64), off.indices.astype(np.int64)).counts.sum()
    factors = factorised(shifted)
    assert factors.L.nnz + factors.U.nnz <= 2 * (below + len(off.indptr))
    with limited(BYTES_OF_ENTRY * int(below)), pytest.raises(fsp.StateSpaceError, match="A factorisation must fit"):
        factorised(shifted)


CHILD = """
import json, warnings
import fsp
from test_memory import CASCADE, DECAY
warnings.simplefilter("ignore")
status = lambda key: int(next(l for l in open("/proc/self/status") if l.startswith(key)).split()[1]) * 1024
fsp.stationary(DECAY); fsp.transient(DECAY, 1.0, tol=1e-3, solver="rational")
before = status("VmRSS")
try:
    {call}
    said = ""
except fsp.StateSpaceError as error:
    said = str(error)
print(json.dumps([status("VmHWM") - before, said]))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak is read from /proc")
@pytest.mark.parametrize(
    "call",
    [
        "fsp.transient(CASCADE, 10.0, solver='rational', max_memory={limit})",
        "fsp.stationary(CASCADE, method='direct', max_memory={limit})",
        "fsp.relaxation(CASCADE, max_memory={limit})",
    ],
)
def test_the_process_grows_by_no_more(call):
    limit = 20_000_000
    child = CHILD.format(call=call.format(limit=limit))
    path = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", child],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    grown, said = json.loads(done.stdout.splitlines()[-1])
    assert "max_memory" in said
    assert grown <= limit + OVERHEAD


# ---------------------------------------------------------------------- samples, and what they are held against


def test_samples_that_do_not_fit_are_refused_before_a_jump():
    """Counts are numbers of 8 bytes, with a copy."""
    with pytest.raises(fsp.StateSpaceError, match=r"Counts of 1,001 runs at 2 .* about 32,032; .* fewer runs or times"):
        fsp.ssa(DECAY, [1.0, 2.0], 1001, max_memory=32_000)
    assert fsp.ssa(DECAY, [1.0, 2.0], 1000, seed=1, max_memory=32_000).shape == (1000, 2, 1)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"simulator": "fsp", "runs": 10**4}, r"Counts of 10,000 runs"),
        ({"samples": np.full((9, 1, 1), 30)}, r"`max_memory`"),
    ],
)
def test_a_verification_has_a_limit(given, what):
    with pytest.raises(fsp.StateSpaceError, match=what):
        fsp.verify(DECAY, times=[5.0], max_memory=1_000, **given)


def test_the_command_passes_the_limit_on(tmp_path):
    file = tmp_path / "m.ant"
    file.write_text("model m; compartment c=1; substanceOnly species X in c; X=30; die: X => ; X; end")
    asked = ["verify", str(file), "--simulator", "fsp", "--times", "1", "--runs", "100000", "--quiet"]
    refused = CliRunner().invoke(main, [*asked, "--max-memory", "1MB"])
    assert refused.exit_code == 4
    assert "Counts of 100,000 runs" in refused.stderr
    planned = CliRunner().invoke(main, [*asked[:2], "--plan", "--times", "1", "--quiet", "--max-memory", "100"])
    assert "--max-memory" in planned.stderr


def test_what_solutions_within_a_limit_keep_is_forgotten():
    """A limit for many solutions one after another is that of each."""
    space = fsp.StateSpace.box(DECAY, upper=1_000)
    with limited(1_300_000):
        for _ in range(120):
            fsp.transient(DECAY, [0.5], space=space)
        with pytest.raises(fsp.StateSpaceError):
            fsp.transient(DECAY, np.linspace(0.1, 1, 200), space=space)


@pytest.mark.parametrize("n", [20, 60])
def test_factors_for_modes_of_several_classes_must_fit(n):
    """What lies downstream of a class is factorised; without a limit nothing is refused."""
    model = fsp.Model(
        species={"A": n, "B": 0, "C": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1.0), fsp.Reaction("B -> C", mass_action=0.3),
                   fsp.Reaction("C -> B", mass_action=0.2), fsp.Reaction("C -> 0", mass_action=0.1)],
    )  # fmt: skip
    space = fsp.StateSpace.reachable(model)
    rates = fsp.Generator(model, space).to_csr().tocsr()
    kept = np.flatnonzero(space.states.any(axis=1))
    inner = rates[kept][:, kept].tocsr()
    kills = np.maximum(0.0, -np.asarray(inner.sum(axis=0)).ravel())
    modes = transient_modes(inner, kills, 1)
    assert modes.values[0].real == pytest.approx(-0.3 + np.sqrt(0.09 - 0.03), abs=1e-9)
    with limited(1_000 * n), pytest.raises(fsp.StateSpaceError, match="A factorisation must fit"):
        transient_modes(inner, kills, 1)
