"""One compiled product for both forms of the closed chain: loops over products are written once, over `multiply`."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba.extending import overload

from fsp.generator.row_kernels import product_rows
from fsp.generator.run_kernels import product_runs, product_sinks
from fsp.generator.slices import Slices


class Rows(NamedTuple):
    """The matrix of the closed chain as CSR arrays."""

    indptr: Any
    indices: Any
    values: Any


def multiply(A, form, v, u, w, total, alpha, beta, gamma, weight_v, weight_w):
    """Compute ``A v`` for `Rows` or `Slices`, and what a form makes of it: see `fsp.generator.run_kernels`."""
    raise NotImplementedError


@overload(multiply, jit_options={"forceinline": True})
def _multiply(A, form, v, u, w, total, alpha, beta, gamma, weight_v, weight_w):
    def of_rows(A, form, v, u, w, total, alpha, beta, gamma, weight_v, weight_w):
        factors = (alpha, beta, gamma, weight_v, weight_w)
        return product_rows(A.indptr, A.indices, A.values, 0, len(v), form, v, v, u, w, total, *factors)

    def of_slices(A, form, v, u, w, total, alpha, beta, gamma, weight_v, weight_w):
        factors = (alpha, beta, gamma, weight_v, weight_w)
        x, y, z = product_runs(A, 0, len(A.starts) - 1, form, v, v, u, w, total, *factors, 0)
        a, b, c = product_sinks(A, A.starts[-1], form, v, u, w, total, *factors)
        return x + a, y + b, z + c

    return of_slices if A.instance_class is Slices else of_rows
