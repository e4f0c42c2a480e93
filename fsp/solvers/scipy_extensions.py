"""LAPACK and SuperLU, the compiled parts of scipy, without the packages around them.

`scipy.linalg` and `scipy.sparse.linalg` import much that nothing here needs, which takes longer than a small stiff
network: 0.1 s.  Where scipy holds these parts elsewhere, its packages are imported.
"""

from __future__ import annotations

import functools
import importlib
import sys
from importlib import machinery, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fsp.arrays import ComplexArray, FloatArray

SUPERLU, LAPACK = "scipy.sparse.linalg._dsolve._superlu", "scipy.linalg._flapack"
# For matrices that are diagonally dominant by columns, as those made of generators are: no pivoting is needed, and a
# symmetric ordering has less fill-in.
WITHOUT_PIVOTING: dict[str, Any] = {"ColPerm": "MMD_AT_PLUS_A", "DiagPivotThresh": 0.0, "SymmetricMode": True}


def factorise(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any]
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the solver of a matrix (n, n), of CSC arrays with ascending rows: for b (n,) or (n, m), by SuperLU."""
    n = len(indptr) - 1
    places = indices.astype(np.intc, copy=False), indptr.astype(np.intc, copy=False)
    solve: Callable[[NDArray[Any]], NDArray[Any]]
    try:
        extension = _alone(SUPERLU)
        factors = extension.gstrf(
            n, len(data), data, *places, csc_construct_func=None, ilu=False, options=WITHOUT_PIVOTING
        )
    except (ImportError, AttributeError, TypeError):  # scipy of another make
        from scipy import sparse
        from scipy.sparse import linalg

        factors = linalg.splu(sparse.csc_array((data, *places), shape=(n, n)), options=WITHOUT_PIVOTING)
    solve = factors.solve
    return solve


def schur(H: FloatArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return T, its inverse and Q of ``H = Q T Qᴴ``, T triangular; a LinAlgError where there are none."""
    extension = lapack()
    A = H.astype(np.complex128)
    size = int(extension.zgees(lambda _: None, A, lwork=-1)[-2][0].real)
    T, _, _, Q, _, failed = extension.zgees(lambda _: None, A, lwork=size)
    inverse, singular = extension.ztrtri(T)
    if failed or singular:
        raise np.linalg.LinAlgError("A small matrix has no Schur form, or no inverse.")
    return T, inverse, Q


def lapack() -> Any:
    """Return LAPACK's functions, by their names, as `scipy.linalg.lapack` has them."""
    try:
        return _alone(LAPACK)
    except ImportError:  # scipy of another make
        return importlib.import_module("scipy.linalg.lapack")


@functools.cache
def _alone(name: str) -> Any:
    """Import a compiled module of scipy without the packages that it lies in, which are left as they were."""
    if name in sys.modules:
        return sys.modules[name]
    import scipy  # finds the libraries that its compiled modules are linked with

    folder = Path(scipy.__file__).parent.joinpath(*name.split(".")[1:-1])
    finder = machinery.FileFinder(str(folder), (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES))
    spec = finder.find_spec(name)
    if spec is None or spec.loader is None:
        return importlib.import_module(name)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop(name, None)
    return module
