// Sums of points of G2.
#include "curve.cuh"

typedef Fq2 Coordinate;
// A running sum and a point alone take 96 registers.
constexpr int LEAST_BLOCKS = 2;

#include "msm_kernels.cuh"
