"""Field and curve arithmetic for CPUs, compiled by Numba.

`kernel` declares a compiled function: cached on disk and free of the GIL, so a thread pool runs kernels in parallel.
"""

from prover.kernels import cache as _cache  # noqa: F401  (first: it sets Numba's cache folder)

from numba import njit  # isort: skip

kernel = njit(cache=True, nogil=True, error_model="numpy")
