"""Names of all solvers, chains and shorthands that tests of several solvers share."""

from __future__ import annotations

import numpy as np
import solver_contract
from scipy import sparse

import fsp
from fsp.solvers import SOLVERS

box, reachable = fsp.StateSpace.box, fsp.StateSpace.reachable
NAMES = list(SOLVERS.values())
bind = solver_contract.Binder()


def random_generator(rng, n):
    A = sparse.lil_array(np.where(rng.random((n, n)) < 0.2, rng.random((n, n)), 0.0))
    A.setdiag(0.0)
    A = A.tocsr()
    A = (A - sparse.diags_array(A.sum(axis=0))).tocsr()
    A.sort_indices()
    return A
