"""What a GPU does: correctness first, then times by device events, read against the multiply ceiling.

    python -m bench.gpu            everything in one run of a few minutes; needs no installed project, only Python 3.11,
                                   NumPy, Numba and CuPy, and the project's folder on PYTHONPATH
    gelap bench msm|ntt|prove|batch --device cuda      one part, with all options

`--device shim` runs the same code on a CPU, on tiny sizes: it shows that a command works, and its times mean nothing.
"""
