"""Names of the array types that the package passes around."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ComplexArray = NDArray[np.complex128]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def rows_of(matrix: Any) -> tuple[IntArray, NDArray[np.int32]]:
    """Return where the rows of a CSR matrix (or columns, CSC) begin, 64 bits, and its indices, 32 bits, for kernels."""
    return matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False)
