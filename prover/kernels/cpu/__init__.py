"""Field and curve arithmetic for CPUs, compiled by Numba.

`kernel` declares a compiled function: cached on disk and free of the GIL, so a thread pool runs kernels in parallel.
`intrinsic` declares a function whose LLVM code is emitted by hand. Kernels index uint64 arrays without bounds checks:
the Python functions around them check shapes. Nothing here runs in constant time.
"""

from typing import Any

from prover.kernels import cache as _cache  # noqa: F401  (first: it sets Numba's cache folder)

import numba.extending  # isort: skip

kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy")
intrinsic: Any = numba.extending.intrinsic
