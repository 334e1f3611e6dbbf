// The kernels of msm_points.cuh for one group: a unit defines `Coordinate`, and how many blocks should fit on a
// multiprocessor, before it includes this. Each is explained there.
#pragma once
#include "msm_points.cuh"

constexpr int MSM_THREADS = 128;
typedef Xyzz<Coordinate> Sum;

extern "C" __global__ void __launch_bounds__(MSM_THREADS, LEAST_BLOCKS)
    msm_accumulate(const void* table, const uint32_t* sorted, const uint32_t* starts, uint32_t buckets, uint32_t limit,
                   const uint32_t* order, const uint64_t* large_total, const uint32_t* large_buckets,
                   const uint32_t* large_pieces, uint32_t keep, void* sums, void* partial_sums) {
  accumulate<Coordinate>(table, sorted, starts, buckets, limit, order, *large_total, large_buckets, large_pieces, keep,
                         sums, partial_sums);
}

extern "C" __global__ void __launch_bounds__(MSM_THREADS)
    msm_join_pieces(const uint32_t* starts, uint32_t limit, const uint64_t* large_total, const uint32_t* large_buckets,
                    const uint32_t* large_pieces, uint32_t keep, const void* partial_sums, void* sums) {
  DYNAMIC_SHARED(Sum, shared);
  join_pieces<Coordinate>(starts, limit, *large_total, large_buckets, large_pieces, keep, partial_sums, sums, shared);
}

extern "C" __global__ void __launch_bounds__(MSM_THREADS, LEAST_BLOCKS)
    msm_line_sums(const void* sums, uint32_t sets, uint32_t row_bits, uint32_t column_bits, uint32_t width,
                  void* lines) {
  DYNAMIC_SHARED(Sum, shared);
  line_sums<Coordinate>(sums, sets, row_bits, column_bits, width, lines, shared);
}

extern "C" __global__ void __launch_bounds__(MSM_THREADS)
    msm_bit_sums(const void* lines, uint32_t row_bits, uint32_t column_bits, uint32_t window_bits, void* bits) {
  DYNAMIC_SHARED(Sum, shared);
  bit_sums<Coordinate>(lines, row_bits, column_bits, window_bits, bits, shared);
}

extern "C" __global__ void __launch_bounds__(MSM_THREADS)
    msm_set_sums(const void* bits, uint32_t sets, uint32_t window_bits, void* sums) {
  DYNAMIC_SHARED(Sum, shared);
  set_sums<Coordinate>(bits, sets, window_bits, sums, shared);
}

extern "C" __global__ void __launch_bounds__(MSM_THREADS)
    msm_finish(const void* set_sums, uint32_t proofs, uint32_t sets, uint32_t window_bits, uint32_t affine,
               void* results) {
  finish<Coordinate>(set_sums, proofs, sets, window_bits, affine, results);
}

extern "C" __global__ void __launch_bounds__(MSM_THREADS)
    msm_next_table(const void* from, void* to, uint32_t count, uint32_t doublings, void* scratch) {
  next_table<Coordinate>(from, to, count, doublings, scratch);
}
