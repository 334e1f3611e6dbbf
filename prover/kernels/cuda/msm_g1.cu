// Sums of points of G1.
#include "curve.cuh"

typedef Fq Coordinate;
// 128 registers a thread: four warps on each of the four schedulers hide both arithmetic and memory latency.
constexpr int LEAST_BLOCKS = 4;

#include "msm_kernels.cuh"
