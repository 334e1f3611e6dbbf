"""Field arithmetic in eight lanes with AVX-512 IFMA, the 52-bit multiply-add of recent x86 CPUs.

A value of type `LANES` is eight field elements side by side: five vectors of eight 52-bit limbs. Kernels hold such
values in registers and write ordinary loops over them. Elements are in Montgomery form with R = 2^260 and below twice
the modulus, not canonical; in memory they are packed into four 64-bit limbs, so a point takes the same bytes as in the
portable kernels. On a CPU without the instructions these kernels cannot be compiled: `prover.kernels.paths` decides.
"""
