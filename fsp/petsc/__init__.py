"""The same answers on PETSc and SLEPc, spread over ranks: mirrors the names of the serial package.

The only home of petsc4py, slepc4py and mpi4py, which are imported when they are first needed.
"""

from fsp.petsc.comm import Communicator
from fsp.petsc.distribution import Distribution
from fsp.petsc.eigen import relaxation
from fsp.petsc.generator import Generator
from fsp.petsc.mfn import MFN
from fsp.petsc.space import StateSpace
from fsp.petsc.ts import TS

__all__ = ["MFN", "TS", "Communicator", "Distribution", "Generator", "StateSpace", "relaxation"]
