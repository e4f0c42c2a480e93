"""One compiled product for both forms of the closed chain: loops over products are written once, over `multiply`."""

from __future__ import annotations

from fsp.compilation.kernel import F8, I8, Floats, kernel
from fsp.generator.kernels import Slices
from fsp.generator.run_kernels import product_runs, product_sinks


@kernel(forceinline=True)  # a call with all slices costs as much as 100 states
def multiply(A: Slices, form: I8, v: Floats, u: Floats, w: Floats, total: Floats, alpha: F8, beta: F8, gamma: F8,
             weight_v: F8, weight_w: F8):  # fmt: skip
    """Compute ``A v``, and what a form makes of it: see `fsp.generator.run_kernels.product_runs`."""
    factors = (alpha, beta, gamma, weight_v, weight_w)
    n_runs = len(A.starts) - 1
    if n_runs == 0:  # all states are rows
        return product_sinks(A, 0, form, v, u, w, total, *factors)
    x, y, z = product_runs(A, 0, n_runs, form, v, v, u, w, total, *factors, 0)
    if len(A.sink_starts) == 1:
        return x, y, z
    a, b, c = product_sinks(A, A.starts[-1], form, v, u, w, total, *factors)
    return x + a, y + b, z + c
