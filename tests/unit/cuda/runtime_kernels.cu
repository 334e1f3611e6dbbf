// Small kernels that use every part of CUDA that the shim provides; test_shim_runtime.py says what they must give.
#include "types.cuh"

namespace {
INLINE uint32_t global_thread() {
  return ((blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x) * (blockDim.x * blockDim.y * blockDim.z) +
         (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
}
}  // namespace

extern "C" __global__ void indices(uint32_t* out) {
  uint32_t* row = out + 7 * global_thread();
  row[0] = blockIdx.x, row[1] = blockIdx.y, row[2] = blockIdx.z;
  row[3] = threadIdx.x, row[4] = threadIdx.y, row[5] = threadIdx.z;
  row[6] = blockDim.x * 10000 + gridDim.x;
}

extern "C" __global__ void arguments(uint64_t* out, int32_t a, uint32_t b, int64_t c, uint64_t d, const uint32_t* e,
                                     uint32_t f, uint32_t g, uint64_t h, uint32_t i) {
  if (threadIdx.x != 0) return;
  const uint64_t values[] = {(uint64_t)(int64_t)a, b, (uint64_t)c, d, e[1], f, g, h, i};
  for (int k = 0; k < 9; k++) out[k] = values[k];
}

// Sums a block's values by halves in static shared memory.
extern "C" __global__ void block_sums(uint32_t* out, const uint32_t* values) {
  __shared__ uint32_t partial[1024];
  const uint32_t i = threadIdx.x;
  partial[i] = values[blockIdx.x * blockDim.x + i];
  for (uint32_t half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (i < half) partial[i] += partial[i + half];
  }
  if (i == 0) out[blockIdx.x] = partial[0];
}

// Reverses a block's values through dynamic shared memory.
extern "C" __global__ void reverse(uint64_t* values) {
  DYNAMIC_SHARED(uint64_t, shared);
  const uint32_t i = threadIdx.x;
  shared[i] = values[blockIdx.x * blockDim.x + i];
  __syncthreads();
  values[blockIdx.x * blockDim.x + i] = shared[blockDim.x - 1 - i];
}

// What is in dynamic shared memory before anything is written.
extern "C" __global__ void untouched(uint32_t* out) {
  DYNAMIC_SHARED(uint32_t, shared);
  out[blockIdx.x * blockDim.x + threadIdx.x] = shared[threadIdx.x];
  __syncthreads();
  shared[threadIdx.x] = 7;
}

extern "C" __global__ void warp_functions(uint32_t* out, const uint32_t* values) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t v = values[i];
  const uint32_t wide = v * 0x10001u;
  uint32_t* row = out + 16 * i;
  row[0] = __shfl_sync(FULL_MASK, v, 5);
  row[1] = __shfl_up_sync(FULL_MASK, v, 3);
  row[2] = __shfl_down_sync(FULL_MASK, v, 4);
  row[3] = __shfl_xor_sync(FULL_MASK, v, 9);
  row[4] = __shfl_sync(FULL_MASK, v, 2, 8);
  row[5] = __shfl_up_sync(FULL_MASK, v, 2, 16);
  row[6] = __shfl_down_sync(FULL_MASK, v, 3, 8);
  row[7] = __ballot_sync(FULL_MASK, v & 1);
  row[8] = __any_sync(FULL_MASK, v == 3) + 2 * __all_sync(FULL_MASK, v < 1000);
  row[9] = __match_any_sync(FULL_MASK, v % 5);
  row[10] = __reduce_add_sync(FULL_MASK, v);
  row[11] = __reduce_max_sync(FULL_MASK, v) - __reduce_min_sync(FULL_MASK, v);
  row[12] = __reduce_or_sync(FULL_MASK, v) ^ __reduce_and_sync(FULL_MASK, v);
  row[13] = (uint32_t)(__shfl_sync(FULL_MASK, (uint64_t)wide << 32 | v, 31) >> 32);
  // A long chain of exchanges: every lane must see the values of its own step.
  uint32_t sum = v;
  for (int step = 1; step < 32; step *= 2) {
    const uint32_t other = __shfl_up_sync(FULL_MASK, sum, step);
    if (threadIdx.x % 32 >= step) sum += other;
  }
  row[14] = sum;
  __syncwarp();
  row[15] = 0;
}

// Even and odd lanes exchange apart, different numbers of times, and meet again.
extern "C" __global__ void halves(uint32_t* out) {
  const uint32_t lane = threadIdx.x % 32;
  uint32_t value = lane;
  if (lane % 2 == 0) {
    for (int i = 0; i < 3; i++) value = __shfl_sync(0x55555555u, value, (lane + 2) % 32);
  } else {
    for (int i = 0; i < 5; i++) value = __shfl_sync(0xaaaaaaaau, value, (lane + 2) % 32);
  }
  __syncwarp();
  out[threadIdx.x] = __shfl_sync(FULL_MASK, value, lane ^ 1);
}

// Threads that have left do not hold up a barrier, nor lanes a warp.
extern "C" __global__ void early_exit(uint32_t* out, uint32_t live) {
  if (threadIdx.x >= live) return;
  __shared__ uint32_t shared[1024];
  shared[threadIdx.x] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = shared[live - 1 - threadIdx.x];
}

extern "C" __global__ void block_votes(uint32_t* out, const uint32_t* values) {
  const uint32_t v = values[threadIdx.x];
  out[4 * threadIdx.x] = __syncthreads_count(v > 10);
  out[4 * threadIdx.x + 1] = __syncthreads_or(v == 77);
  out[4 * threadIdx.x + 2] = __syncthreads_and(v < 1000);
  out[4 * threadIdx.x + 3] = __syncthreads_and(v > 10);
}

// out: 0 add, 1 max, 2 min, 3 or, 4 xor, 5 and, 6 sub, 7 times that compare-and-swap succeeded; wide: 0 add, 1 max.
extern "C" __global__ void atomics(uint32_t* out, uint64_t* wide, uint32_t* slots, const uint32_t* values) {
  const uint32_t v = values[blockIdx.x * blockDim.x + threadIdx.x];
  atomicAdd(&out[0], v);
  atomicMax(&out[1], v);
  atomicMin(&out[2], v);
  atomicOr(&out[3], v);
  atomicXor(&out[4], v);
  atomicAnd(&out[5], v);
  atomicSub(&out[6], 1);
  if (atomicCAS(&out[8], 0u, v) == 0) atomicAdd(&out[7], 1);
  atomicAdd(&wide[0], (uint64_t)v << 32);
  atomicMax(&wide[1], (uint64_t)v << 8);
  // Each thread draws a ticket of its own.
  slots[atomicAdd(&out[9], 1)] = v;
}

extern "C" __global__ void intrinsics(uint64_t* out, const uint64_t* values) {
  const uint32_t i = threadIdx.x;
  const uint64_t wide = values[i];
  const uint32_t a = (uint32_t)wide, b = (uint32_t)(wide >> 32);
  uint64_t* row = out + 16 * i;
  row[0] = __clz(a), row[1] = __clzll(wide), row[2] = __popc(a), row[3] = __popcll(wide);
  row[4] = __ffs(a), row[5] = __ffsll(wide), row[6] = __brev(a), row[7] = __brevll(wide);
  row[8] = __umulhi(a, b), row[9] = __umul64hi(wide, ~wide);
  row[10] = __funnelshift_l(a, b, 7), row[11] = __funnelshift_r(a, b, 7);
  row[12] = __byte_perm(a, b, 0x5140), row[13] = min(a, b), row[14] = max(a, b);
  row[15] = __funnelshift_rc(a, b, 32);
}

// Wrong on purpose.
extern "C" __global__ void parted_barriers(uint32_t* out) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
    out[0] = 1;
  } else {
    __syncthreads();
    out[1] = 1;
  }
}

extern "C" __global__ void barrier_against_warp(uint32_t* out) {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    out[0] = __shfl_sync(FULL_MASK, threadIdx.x, 0);
}

extern "C" __global__ void caller_not_in_mask(uint32_t* out) { out[threadIdx.x] = __shfl_sync(1u, threadIdx.x, 0); }

extern "C" __global__ void beyond_the_end(uint32_t* out, uint32_t length) {
  if (threadIdx.x == 0) out[length] = 1;
}

extern "C" __global__ void beyond_shared(uint32_t* out, uint32_t index) {
  DYNAMIC_SHARED(uint32_t, shared);
  shared[index] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = shared[index];
}

// Every lane waits for lanes that a block of fewer threads does have, but that wait with another mask.
extern "C" __global__ void parted_masks(uint32_t* out) {
  const uint32_t mask = threadIdx.x < 16 ? FULL_MASK : 0xffff0000u | 1u;
  out[threadIdx.x] = __shfl_sync(mask, threadIdx.x, 0);
}

// Wrong in another way: right only in some orders of threads or blocks. What is in shared[i] when it is read?
extern "C" __global__ void missing_barrier(uint32_t* out, uint32_t distance) {
  __shared__ uint32_t shared[128];
  const uint32_t i = threadIdx.x, other = (i + distance) % blockDim.x;
  shared[i] = i;
  out[i] = shared[other] == other;
}

extern "C" __global__ void missing_warp_barrier(uint32_t* out) {
  __shared__ uint32_t shared[32];
  const uint32_t i = threadIdx.x;
  shared[i] = i;
  __syncwarp();
  // Every lane overwrites what its neighbour may not have read yet.
  const uint32_t value = shared[(i + 1) % 32];
  shared[i] = 100;
  out[i] = value;
}

extern "C" __global__ void blocks_in_turn(uint32_t* out) {
  if (threadIdx.x == 0) out[blockIdx.x] = blockIdx.x == 0 ? 0 : out[blockIdx.x - 1] + 1;
}

// What is in static shared memory before anything is written.
extern "C" __global__ void untouched_static(uint32_t* out) {
  __shared__ uint32_t shared[32];
  out[blockIdx.x * blockDim.x + threadIdx.x] = shared[threadIdx.x];
  __syncthreads();
  shared[threadIdx.x] = 7;
}
