"""The doors: public functions that choose the backend by its name and call it, the one file that knows both.

In one process that is `fsp.projection` and `fsp.equilibrium`, on many ranks `fsp.petsc`, imported when asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsp import defaults
from fsp.bars import shown
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.memory import limited
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times
from fsp.projection.backend import SERIAL, Backend
from fsp.projection.growth import MAX_STATES, check_start
from fsp.projection.progress import ProgressCallback
from fsp.projection.start import begins, with_first_rates
from fsp.projection.transient import solve

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution, Solution
    from fsp.distribution.relaxation import Relaxation
    from fsp.model import Model
    from fsp.petsc.backend import Ranks
    from fsp.solvers import Solver
    from fsp.space import StateSpace

START_SHARE = 0.1  # of the tolerance, for a stationary start
BACKENDS = ("serial", "petsc")  # the first one is that of one process


def transient(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    tol: float = defaults.TOL,
    *,
    start: Solution | Distribution | str | None = None,
    space: StateSpace | None = None,
    solver: str | Solver = "auto",
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: ProgressCallback | bool | None = None,
    backend: str = "serial",
    comm: Any = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    save_every: float | None = None,
) -> Solution:
    """Solve the chemical master equation from the model's initial states, or from where an earlier solution ends.

    Parameters
    ----------
    model
        The reaction network.
    times
        Increasing times >= 0, in the model's unit of time; with `start`, not before it.
    tol
        Bound on the 1-norm error of the distribution at the last time; that of earlier ones is smaller.
    start
        A solution, whose last distribution is meant, or a distribution over the same species, to go on from in place
        of the initial states.  The model may have other parameters from there on.  A stationary distribution starts
        at t = 0.  Its error is part of the answer's, and of `tol`.  ``"stationary"``: from the stationary distribution
        of the rates at time zero.
    space
        A fixed state space; by default the space is chosen and grown to meet `tol`.
    solver
        ``"auto"``, a name of `fsp.solvers.SOLVERS`, or a solver value such as ``fsp.Krylov(dimension=60)``, whose own
        `tol` then limits the integration error as well.
    max_states, max_memory
        Limits on the number of states and on bytes; reaching one before `tol` is met is an error.  Without
        `max_states` the limit is ten million states, on each rank, and fewer where there are more than 64 species and
        reactions: those that take as much memory.
    max_work
        Multiply-adds that may lie ahead: where the end is farther away, at the pace that the run has, that is an error.
        Without it the limit is 5e13, several hours of one core, on each rank; ``math.inf`` for none.
    progress
        True for a bar, in a notebook and on a terminal; or a function that is called with a `Progress` now and then, on
        the first rank, and may raise KeyboardInterrupt.
    backend
        ``"serial"``, or ``"petsc"``: the same on many ranks, which all call this with the same arguments.  The answer
        is then spread over them, see `fsp.petsc`.
    comm
        The ranks, a communicator of mpi4py or petsc4py, with ``backend="petsc"``; None for all that were started.
    checkpoint, resume, save_every
        With ``backend="petsc"``: a folder for checkpoints; whether to go on from the one that is there, on any number
        of ranks; seconds between them, a minute by default.  The last two must come with the first.

    Returns
    -------
    Solution
        One distribution for each time, with its ledger.

    Raises
    ------
    ArgumentError
        If `times`, `tol`, `solver` or `backend` is not as above.
    BackendError
        If what `backend` needs is not installed, or the solver cannot treat the model there.
    ModelError
        If a propensity is negative, not finite, or leads to a negative count.
    StateSpaceError
        If the tolerance cannot be met within the limits, or `space` lacks an initial state or loses all probability.
    ConvergenceError
        If the solver cannot keep its tolerance, or not get to the end within `max_work`.
    Interrupted
        On Ctrl-C, or where `progress` raised a KeyboardInterrupt; its ``solution`` is what was reached, and a `start`
        to go on from.

    Warns
    -----
    ToleranceWarning
        If the bound on the error exceeds `tol`: a fixed `space` that is too small, or rounding.

    Examples
    --------
    >>> arrivals, decay = fsp.Reaction("0 -> X", rate="10"), fsp.Reaction("X -> 0", mass_action=1.0)
    >>> solution = fsp.transient(fsp.Model(species={"X": 0}, reactions=[arrivals, decay]), [1.0, 2.0], tol=1e-6)
    >>> print(f"{solution[-1].mean()['X']:.4f}", solution.error.total < 1e-6)  # 10 (1 - exp(-2))
    8.6466 True
    """
    limits: dict[str, Any] = {"max_states": max_states, "max_memory": max_memory, "max_work": max_work}
    check_call(model, space=space, **limits, progress=progress)
    check_start(model, max_memory)
    ranks = _ranks(backend, comm)
    parts: Backend = SERIAL if ranks is None else ranks
    parts.comm.together("fsp.transient")
    with parts.comm.agree():
        _check_checkpoints(ranks is None, checkpoint, start, resume, save_every)
        requested = checked_times(times).tolist()
    parts.comm.require_same((str(checkpoint), resume, save_every), "`checkpoint`, `resume` and `save_every`")
    given: dict[str, Any] = {"space": space, "solver": solver, **limits}
    begun = begins(start)
    if isinstance(start, str):
        start = named_start(model, start, tol, max_states=max_states, max_memory=max_memory, backend=backend, comm=comm)
    with limited(max_memory), shown(progress) as report:
        if checkpoint is None or ranks is None:
            given |= {"start": start, "begins": begun}
            solution = solve(model, requested, tol, progress=report, backend=parts, **given)
        else:
            from fsp.petsc.resuming import solve_with_checkpoints

            solution = solve_with_checkpoints(
                partial(solve, model, tol=tol, progress=report, backend=parts, **given),
                model,
                requested,
                tol,
                comm=ranks.comm,
                folder=checkpoint,
                resume=resume,
                every=save_every,
            )
    _warn_if_above(solution[-1], tol, space)
    return solution


def named_start(model: Model, name: str, tol: float, **options: Any) -> Distribution:
    """Return the stationary distribution of the rates at time zero, the only start with a name."""
    if name != "stationary":
        raise ArgumentError(f"`start` must be a Solution, a Distribution or 'stationary', but is '{name}'.")
    check_tolerance(tol)
    return stationary(with_first_rates(model), START_SHARE * tol, **options)


def stationary(
    model: Model,
    tol: float = defaults.TOL,
    *,
    space: StateSpace | None = None,
    method: str = "auto",
    lyapunov: str | None = None,
    backend: str = "serial",
    comm: Any = None,
    options: Mapping[str, Any] | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Distribution:
    """Return the stationary distribution that the network reaches from its initial states.

    Parameters
    ----------
    model
        The reaction network; its propensities must not depend on time.
    tol
        The bound of the 1-norm error to reach; the estimate of it where there is no bound.
    space
        A fixed state space, with a reflecting boundary; by default the space grows until the bound meets `tol`.
    method
        ``"auto"``, ``"gth"``, ``"direct"``, ``"iterative"``, ``"multilevel"`` or ``"local"``.  With ``"petsc"``
        ``"direct"``: inverse iteration with MUMPS, ``"iterative"``: GMRES with incomplete factors, ``"eigen"``: SLEPc's
        EPS; ``"auto"`` goes by the number of states, and to the next one where the checks fail.
    lyapunov
        A polynomial of the species, such as ``"U^2 + 3*V"``, whose mean drift is negative far out, which is checked; by
        default one is looked for.
    backend
        ``"serial"``, or ``"petsc"``: spread over ranks.
    comm, options
        With ``"petsc"``: the ranks, and options of PETSc and SLEPc, such as ``{"ksp_type": "bcgs"}``; those named
        ``-fsp_...`` on the command line of the program are added.
    max_states, max_memory
        Limits on the number of states and on bytes.
    progress
        True for a bar; or a function that is called with a `Progress` for every space solved.

    Returns
    -------
    Distribution
        With a bound of its error and of the probability of each state, `lower` and `upper`.  Where none can be proved
        ``error.certified`` is False, and ``notes`` say why.  Where several closed classes are reached they are weighted
        by their absorption probabilities and named in ``notes``.

    Raises
    ------
    StateSpaceError
        If nothing is proved within the limits, the estimate does not meet `tol` within them, or probability escapes
        to infinity.
    ArgumentError
        If an argument is wrong; `lyapunov` must grow with every species that has no largest count.
    ConvergenceError
        If a null vector cannot be computed, or the estimated error is 1 or more.
    BackendError
        If propensities depend on time.

    Examples
    --------
    >>> arrivals, decay = fsp.Reaction("0 -> X", rate="10"), fsp.Reaction("X -> 0", mass_action=1.0)
    >>> dist = fsp.stationary(fsp.Model(species={"X": 0}, reactions=[arrivals, decay]))
    >>> print(f"{dist.probability({'X': 10}).value:.6f}")  # 10^10 exp(-10)/10!
    0.125110
    """
    check_call(model, space=space, max_states=max_states, max_memory=max_memory, progress=progress)
    check_start(model, max_memory)
    limits: dict[str, Any] = {"max_states": max_states, "max_memory": max_memory}
    from fsp.equilibrium.bounded import known_in_part

    if _ranks(backend, comm) is not None:
        from fsp.petsc.stationary import stationary as on_ranks

        if lyapunov is not None:
            raise ArgumentError("`lyapunov` must come with backend='serial': on ranks nothing is certified yet.")
        given = {"space": space, "comm": comm, "options": options, **limits}
        with shown(progress) as report:
            return known_in_part(on_ranks(model, tol, method=method, progress=report, **given), fixed=space is not None)
    _require_serial(options=options)
    from fsp.equilibrium.stationary import stationary as in_one_process  # here, as its import costs as much as a solve

    given = {"space": space, "method": method, "lyapunov": lyapunov}
    with limited(max_memory), shown(progress) as report:
        return known_in_part(in_one_process(model, tol, progress=report, **given, **limits), fixed=space is not None)


def relaxation(
    model: Model,
    n_modes: int | None = None,
    tol: float = defaults.RELAXATION_TOL,
    *,
    space: StateSpace | None = None,
    method: str = "auto",
    backend: str = "serial",
    comm: Any = None,
    options: Mapping[str, Any] | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Relaxation:
    """Return the slowest modes of the chain that the network ends in, or of its decay into absorbing states.

    Parameters
    ----------
    model
        The reaction network; its propensities must not depend on time.
    n_modes
        Number of eigenvalues beside zero: those of greatest real part among some more of least modulus.  None for
        three, or as many as there are.
    tol
        Error of the stationary distribution whose states are taken first, if there is no `space`.
    space
        The states, with a reflecting boundary.
    method
        With ``backend="petsc"``: ``"direct"`` or ``"iterative"`` solution of shifted systems, ``"auto"`` by the number
        of states.
    backend
        ``"serial"``, or ``"petsc"``: right vectors are then spread over ranks, others are not computed, and chains that
        are absorbed are refused.
    comm, options
        With ``"petsc"``: the ranks, and options of PETSc and SLEPc, such as ``{"eps_ncv": 40}``.
    max_states, max_memory
        Limits on the number of states and on bytes; without `max_states` ten million states, on each rank.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Relaxation
        Eigenvalues, times and modes; `confirmed` says which are those of the network on all of its states, and `notes`
        why others may not be.

    Raises
    ------
    ArgumentError
        If `n_modes` is not a positive number, or too large for the number of states, or another argument is wrong.
    StateSpaceError
        If there is no stationary distribution, or several closed classes of more than one state: each relaxes on its
        own.
    ConvergenceError
        If modes are not found, or an eigenvalue has no digits in double precision.
    BackendError
        If propensities depend on time, or `backend` cannot treat the chain.

    Examples
    --------
    >>> arrivals, decay = fsp.Reaction("0 -> X", rate="10"), fsp.Reaction("X -> 0", mass_action=2.0)
    >>> found = fsp.relaxation(fsp.Model(species={"X": 0}, reactions=[arrivals, decay]), n_modes=2)
    >>> [f"{value.real:.6f}" for value in found.eigenvalues]  # multiples of the rate of decay
    ['-2.000000', '-4.000000']
    """
    check_call(model, space=space, max_states=max_states, max_memory=max_memory, progress=progress)
    check_start(model, max_memory)
    ranks = _ranks(backend, comm)
    limits: dict[str, Any] = {"max_memory": max_memory}
    if ranks is not None:
        from fsp.petsc.eigen import relaxation_of_model

        given: dict[str, Any] = {"space": space, "method": method, "comm": comm, "options": options}
        with shown(progress) as report:
            return relaxation_of_model(model, n_modes, tol, max_states=max_states, report=report, **given, **limits)
    _require_serial(options=options, method=None if isinstance(method, str) and method == "auto" else method)
    max_states = MAX_STATES if max_states is None else max_states
    from fsp.equilibrium.relaxation import relaxation as in_one_process  # here, as its import costs as much as a solve

    with limited(max_memory), shown(progress) as report:
        return in_one_process(model, n_modes, tol, space=space, max_states=max_states, report=report, **limits)


def ranks_named(name: str, comm: Any = None) -> Ranks:
    """Return the ranks that a backend other than the serial one works on; of all ranks where `comm` is None."""
    if not isinstance(name, str) or name not in BACKENDS[1:]:
        raise ArgumentError(f"`backend` must be one of {', '.join(BACKENDS)}, but is {name!r}.")
    from fsp.petsc.backend import Ranks

    return Ranks(comm)


def _ranks(backend: str, comm: Any) -> Ranks | None:
    """Return the ranks of a backend, None for the serial one."""
    if not isinstance(backend, str) or backend != BACKENDS[0]:
        return ranks_named(backend, comm)
    _require_serial(comm=comm)
    return None


def _require_serial(**options: Any) -> None:
    """Raise an ArgumentError if one of these, which only ranks understand, is given."""
    for name, value in options.items():
        if value is not None:
            raise ArgumentError(f"`{name}` must come with backend='petsc', but `backend` is 'serial'.")


def _check_checkpoints(
    serial: bool, checkpoint: str | Path | None, start: Any, resume: bool, save_every: float | None
) -> None:
    """Raise an ArgumentError where checkpoints are asked for in a way that would be ignored."""
    if checkpoint is None:
        for name, value in (("resume", None if resume is False else resume), ("save_every", save_every)):
            if value is not None:
                raise ArgumentError(
                    f"`{name}` must come with `checkpoint`, the folder that checkpoints are in, and backend='petsc', "
                    f"but is {value!r} without; in serial `save` writes what was reached, and `start` goes on from it."
                )
    elif serial or start is not None:
        raise ArgumentError(
            "`checkpoint` must come with backend='petsc' and without `start`; `save` writes what a serial run reached."
        )
    elif save_every is not None and not save_every >= 0.0:
        raise ArgumentError(f"`save_every` must be a number of seconds, 0 or more, but is {save_every!r}.")


def _warn_if_above(last: Distribution, tol: float, space: StateSpace | None) -> None:
    ledger = last.error
    if ledger.total <= tol:
        return
    way_out = "give a larger `space` or leave it out" if space is not None else "ask for a larger `tol`"
    if ledger.rounding > 0.5 * ledger.total:
        advice = "; ".join(last.notes) or "ask for a larger `tol`"
        advice = advice if ledger.rounding < 1.0 else "end earlier, or ask for `fsp.stationary`"
        way_out = f"rounding alone may reach {ledger.rounding:.1e}: {advice}"
    warnings.warn(
        f"The error bound {ledger.total:.1e} exceeds tol = {tol:.1e}; {way_out}.",
        ToleranceWarning,
        stacklevel=3,
    )
