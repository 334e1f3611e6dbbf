"""The device that proofs are made on: which one (`choice`), whose (`ownership`), how much of it (`budget`).

Nothing here imports CuPy or Numba before a GPU is asked for.
"""
