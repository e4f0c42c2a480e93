"""The one place where petsc4py, slepc4py and mpi4py are imported, when they are first needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fsp.errors import BackendError

OLDEST = (3, 18)  # of PETSc and SLEPc: that of Debian 12, on which the tests run
HOW_TO_INSTALL = """\
Debian, Ubuntu:      apt-get install python3-petsc4py python3-slepc4py python3-mpi4py openmpi-bin, and an environment
                     made by ci/mpi, whose numpy is older than 2
conda-forge:         conda install -c conda-forge petsc4py slepc4py mpi4py
a cluster's PETSc:   export PETSC_DIR=... PETSC_ARCH=... SLEPC_DIR=...
                     pip install --no-build-isolation mpi4py petsc4py==<its version> slepc4py==<its version>"""


@dataclass(frozen=True, slots=True)
class Environment:
    """PETSc, SLEPc and MPI as they are installed here."""

    PETSc: Any  # the modules
    SLEPc: Any
    MPI: Any
    index_type: type[np.signedinteger[Any]]  # type of PETSc's indices, int32 or int64

    @property
    def largest_index(self) -> int:
        """Largest number of states or entries that PETSc can count to, which for itself it counts one further."""
        return int(np.iinfo(self.index_type).max) - 1


@cache
def load() -> Environment:
    """Import what is installed; a BackendError says what is missing, too old, or made for complex numbers."""
    modules = _imported()
    PETSc, SLEPc, MPI = modules
    for name, version in (("PETSc", PETSc.Sys.getVersion()), ("SLEPc", SLEPc.Sys.getVersion())):
        if tuple(version[:2]) < OLDEST:
            raise BackendError(
                f"{name} must have version {OLDEST[0]}.{OLDEST[1]} or newer, but has "
                f"{'.'.join(map(str, version))}.\n{HOW_TO_INSTALL}"
            )
    if np.dtype(PETSc.ScalarType) != np.float64:
        raise BackendError(
            f"PETSc must be made for real numbers of double precision, but its numbers are "
            f"{np.dtype(PETSc.ScalarType).name}; choose another PETSC_ARCH (on Debian: a folder that ends in -real)."
        )
    return Environment(PETSc, SLEPc, MPI, np.dtype(PETSc.IntType).type)


def _imported() -> tuple[Any, Any, Any]:
    try:
        import petsc4py
        import slepc4py
        from mpi4py import MPI

        # PETSc's own handler of signals would print a page for each rank and end the job its own way.
        petsc4py.init(["fsp", "-no_signal_handler"])
        slepc4py.init(["fsp", "-no_signal_handler"])
        from petsc4py import PETSc
        from slepc4py import SLEPc
    except (ImportError, ValueError) as error:  # ValueError: numpy has another binary interface
        raise BackendError(
            f"`backend='petsc'` must have petsc4py, slepc4py and mpi4py, but importing them says: {error}.\n"
            f"{HOW_TO_INSTALL}"
        ) from error
    return PETSc, SLEPc, MPI
