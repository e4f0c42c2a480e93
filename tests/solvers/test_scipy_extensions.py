"""LAPACK and SuperLU solve alike with and without the packages around them, and leave those as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fsp.solvers import scipy_extensions

MODELS = Path(__file__).parents[1] / "models"


def of_another_make(name):
    raise ImportError(name)


@pytest.fixture(params=["alone", "in packages"])
def where(request, monkeypatch):
    if request.param == "in packages":
        monkeypatch.setattr(scipy_extensions, "_alone", of_another_make)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("shape", [(30,), (30, 4)])
def test_systems_are_solved_as_dense_ones_are(where, dtype, shape):
    rng = np.random.default_rng(3)
    dense = np.where(rng.random((30, 30)) < 0.1, -rng.random((30, 30)), 0.0).astype(dtype)
    dense += np.diag(1.0 + np.abs(dense).sum(axis=0) + (0.5j if dtype is complex else 0.0))
    columns = sparse.csc_array(dense)
    x = rng.normal(size=shape).astype(dtype)
    solved = scipy_extensions.factorise(columns.data, columns.indices.astype(np.int64), columns.indptr)(dense @ x)
    np.testing.assert_allclose(solved, x, rtol=0.0, atol=1e-13 * np.abs(x).max())


def test_a_schur_form_is_one(where):
    H = np.triu(np.random.default_rng(4).normal(size=(12, 12)), -1)
    T, inverse, Q = scipy_extensions.schur(H)
    scale = np.abs(H).sum()
    np.testing.assert_allclose(Q @ T @ Q.conj().T, H, rtol=0.0, atol=1e-14 * scale)
    np.testing.assert_allclose(Q @ Q.conj().T, np.eye(12), rtol=0.0, atol=1e-13)
    np.testing.assert_array_equal(np.tril(T, -1), 0.0)
    np.testing.assert_array_equal(np.tril(inverse, -1), 0.0)
    np.testing.assert_allclose(T @ inverse, np.eye(12), rtol=0.0, atol=1e-13 * np.abs(inverse).sum())


def test_a_matrix_without_an_inverse_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="no inverse"):
        scipy_extensions.schur(np.diag([1.0, 0.0]))


def test_a_stiff_network_imports_no_package_of_scipy():
    program = (
        "import sys, fsp\n"
        f"fsp.transient(fsp.load({str(MODELS / 'michaelis_menten.ant')!r}), [1.0], tol=1e-4)\n"
        "assert fsp.solvers.scipy_extensions.lapack().zgees\n"
        "assert not {'scipy.sparse', 'scipy.linalg'} & set(sys.modules)\n"
        "from scipy import linalg, sparse\n"
        "from scipy.sparse.linalg import splu\n"
        "assert splu(2.0 * sparse.eye_array(3, format='csc')).solve(sparse.eye_array(3).toarray())[1, 1] == 0.5\n"
        "assert linalg.schur([[2.0]])[0] == 2.0\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
