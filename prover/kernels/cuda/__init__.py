"""Field and curve arithmetic in CUDA C++, how it is compiled, and the devices that run it.

Headers (`.cuh`) hold the arithmetic, translation units (`.cu`, here called units) the kernels. `compile` makes machine
code of a unit with NVRTC; `shim_device` builds the same unit with a C++ compiler for machines without a GPU. Both run
it behind `device.Device`, the only thing that the code around kernels knows.
"""
