// CUDA's language for g++ and clang++, so that kernels run on a machine without a GPU.
//
// A launch runs block after block. The threads of a block are fibers of one operating-system thread, so __syncthreads,
// warp shuffles and votes work as on a GPU, results do not depend on timing, and a thread that never waits runs from
// start to end. Warps have 32 lanes. What a GPU leaves undefined is reported where that is cheap: barriers that not all
// threads reach, warp functions whose mask leaves out the caller or whose lanes never come. And blocks, the warps of a
// block and the lanes of a warp can be run in reverse or in random orders, and shared memory holds 0xA5 bytes when a
// block starts: a kernel that lacks a barrier, or whose blocks count on each other, then gives other results.
//
// Not provided, on purpose: __activemask, waiting for another block or warp in a loop, printf, floating point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__ __attribute__((visibility("default")))
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
// In a section of their own, so that all of them can be found. Declare them in kernels and in `static` functions: g++
// refuses a section that inline functions share with others, and ignores it in templates.
#define __shared__ static __attribute__((section("gelap_shared")))
#define __constant__ static
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __grid_constant__

struct uint2 {
  uint32_t x, y;
};
struct uint3 {
  uint32_t x, y, z;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(16) ulonglong2 {
  unsigned long long x, y;
};
struct dim3 {
  uint32_t x = 1, y = 1, z = 1;
};

inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline uint3 make_uint3(uint32_t x, uint32_t y, uint32_t z) { return {x, y, z}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
inline ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y) { return {x, y}; }

// Of the thread that runs now; the runtime sets them whenever it switches.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace gelap_shim {

extern unsigned char* dynamic_shared;

// What a lane hands in and what its warp handed in: slot i is lane i's, where bit i of `lanes` is set.
struct Exchange {
  const uint64_t* slots;
  uint32_t lanes;
  uint32_t self;
};

// Wait until every live lane of `mask` has come with a value.
Exchange exchange(uint32_t mask, uint64_t value, int line);

// Wait until every live thread of the block has come; returns how many came with a value other than zero.
uint32_t barrier(bool value, int line);

constexpr uint64_t POISON = 0xa5a5a5a5a5a5a5a5u;

template <class T>
inline T read(const Exchange& exchanged, uint32_t lane) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
  const uint64_t bits = (exchanged.lanes >> lane) & 1 ? exchanged.slots[lane] : POISON;
  T value;
  memcpy(&value, &bits, sizeof(T));
  return value;
}

template <class T>
inline Exchange exchange_value(uint32_t mask, T value, int line) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  return exchange(mask, bits, line);
}

template <class T>
inline T shuffle(int line, uint32_t mask, T value, int source, int width = warpSize) {
  const Exchange exchanged = exchange_value(mask, value, line);
  return read<T>(exchanged, (exchanged.self & ~(width - 1)) | (source & (width - 1)));
}

template <class T>
inline T shuffle_up(int line, uint32_t mask, T value, uint32_t delta, int width = warpSize) {
  const Exchange exchanged = exchange_value(mask, value, line);
  const uint32_t within = exchanged.self & (width - 1);
  return read<T>(exchanged, within < delta ? exchanged.self : exchanged.self - delta);
}

template <class T>
inline T shuffle_down(int line, uint32_t mask, T value, uint32_t delta, int width = warpSize) {
  const Exchange exchanged = exchange_value(mask, value, line);
  const uint32_t within = exchanged.self & (width - 1);
  return read<T>(exchanged, within + delta >= (uint32_t)width ? exchanged.self : exchanged.self + delta);
}

template <class T>
inline T shuffle_xor(int line, uint32_t mask, T value, int lane_mask, int width = warpSize) {
  const Exchange exchanged = exchange_value(mask, value, line);
  const uint32_t source = exchanged.self ^ lane_mask;
  return read<T>(exchanged, source > (exchanged.self | (width - 1)) ? exchanged.self : source);
}

inline uint32_t ballot(int line, uint32_t mask, int predicate) {
  const Exchange exchanged = exchange(mask, predicate != 0, line);
  uint32_t votes = 0;
  for (uint32_t lane = 0; lane < 32; lane++)
    if ((exchanged.lanes >> lane) & 1 && exchanged.slots[lane]) votes |= 1u << lane;
  return votes;
}

inline int all(int line, uint32_t mask, int predicate) { return ballot(line, mask, predicate == 0) == 0; }
inline int any(int line, uint32_t mask, int predicate) { return ballot(line, mask, predicate) != 0; }

template <class T>
inline uint32_t match_any(int line, uint32_t mask, T value) {
  const Exchange exchanged = exchange_value(mask, value, line);
  uint32_t same = 0;
  for (uint32_t lane = 0; lane < 32; lane++)
    if ((exchanged.lanes >> lane) & 1 && exchanged.slots[lane] == exchanged.slots[exchanged.self]) same |= 1u << lane;
  return same;
}

template <class T, class Operation>
inline T reduce(int line, uint32_t mask, T value, Operation combine) {
  const Exchange exchanged = exchange_value(mask, value, line);
  bool first = true;
  T result = value;
  for (uint32_t lane = 0; lane < 32; lane++)
    if ((exchanged.lanes >> lane) & 1) {
      const T other = read<T>(exchanged, lane);
      result = first ? other : combine(result, other);
      first = false;
    }
  return result;
}

}  // namespace gelap_shim

#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(gelap_shim::dynamic_shared)

#define __syncthreads() ((void)gelap_shim::barrier(false, __LINE__))
#define __syncthreads_count(predicate) ((int)gelap_shim::barrier((predicate) != 0, __LINE__))
#define __syncthreads_or(predicate) ((int)(gelap_shim::barrier((predicate) != 0, __LINE__) != 0))
#define __syncthreads_and(predicate) ((int)(gelap_shim::barrier((predicate) == 0, __LINE__) == 0))
#define GELAP_SHIM_ARGUMENT(mask, ...) mask
#define __syncwarp(...) ((void)gelap_shim::exchange(GELAP_SHIM_ARGUMENT(__VA_ARGS__ __VA_OPT__(,) 0xffffffffu), 0, __LINE__))
#define __shfl_sync(...) gelap_shim::shuffle(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) gelap_shim::shuffle_up(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) gelap_shim::shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) gelap_shim::shuffle_xor(__LINE__, __VA_ARGS__)
#define __ballot_sync(...) gelap_shim::ballot(__LINE__, __VA_ARGS__)
#define __all_sync(...) gelap_shim::all(__LINE__, __VA_ARGS__)
#define __any_sync(...) gelap_shim::any(__LINE__, __VA_ARGS__)
#define __match_any_sync(...) gelap_shim::match_any(__LINE__, __VA_ARGS__)
#define GELAP_SHIM_REDUCE(mask, value, expression) \
  gelap_shim::reduce(__LINE__, mask, value, [](auto a, auto b) { return expression; })
#define __reduce_add_sync(mask, value) GELAP_SHIM_REDUCE(mask, value, a + b)
#define __reduce_min_sync(mask, value) GELAP_SHIM_REDUCE(mask, value, (a < b ? a : b))
#define __reduce_max_sync(mask, value) GELAP_SHIM_REDUCE(mask, value, (a < b ? b : a))
#define __reduce_and_sync(mask, value) GELAP_SHIM_REDUCE(mask, value, a & b)
#define __reduce_or_sync(mask, value) GELAP_SHIM_REDUCE(mask, value, a | b)
#define __reduce_xor_sync(mask, value) GELAP_SHIM_REDUCE(mask, value, a ^ b)

inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
inline T __ldg(const T* address) {
  return *address;
}
template <class T>
inline T __ldcg(const T* address) {
  return *address;
}
template <class T>
inline T __ldcs(const T* address) {
  return *address;
}
template <class T>
inline void __stcs(T* address, T value) {
  *address = value;
}

// Only one thread runs at a time, so an atomic operation is a plain one. The second argument converts as in CUDA.
template <class T>
struct gelap_shim_identity {
  typedef T type;
};
template <class T>
using gelap_shim_value = typename gelap_shim_identity<T>::type;

#define GELAP_SHIM_ATOMIC(name, expression)                       \
  template <class T>                                              \
  inline T name(T* address, gelap_shim_value<T> value) {          \
    const T old = *address;                                       \
    *address = expression;                                        \
    return old;                                                   \
  }
GELAP_SHIM_ATOMIC(atomicAdd, old + value)
GELAP_SHIM_ATOMIC(atomicSub, old - value)
GELAP_SHIM_ATOMIC(atomicMax, old > value ? old : value)
GELAP_SHIM_ATOMIC(atomicMin, old < value ? old : value)
GELAP_SHIM_ATOMIC(atomicAnd, old& value)
GELAP_SHIM_ATOMIC(atomicOr, old | value)
GELAP_SHIM_ATOMIC(atomicXor, old ^ value)
GELAP_SHIM_ATOMIC(atomicExch, value)
GELAP_SHIM_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
GELAP_SHIM_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)
#undef GELAP_SHIM_ATOMIC

template <class T>
inline T atomicCAS(T* address, gelap_shim_value<T> expected, gelap_shim_value<T> value) {
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}

inline int __clz(int a) { return a == 0 ? 32 : __builtin_clz(a); }
inline int __clzll(long long a) { return a == 0 ? 64 : __builtin_clzll(a); }
inline int __popc(uint32_t a) { return __builtin_popcount(a); }
inline int __popcll(uint64_t a) { return __builtin_popcountll(a); }
inline int __ffs(int a) { return __builtin_ffs(a); }
inline int __ffsll(long long a) { return __builtin_ffsll(a); }
inline uint32_t __umulhi(uint32_t a, uint32_t b) { return (uint32_t)(((uint64_t)a * b) >> 32); }
inline uint64_t __umul64hi(uint64_t a, uint64_t b) { return (uint64_t)(((unsigned __int128)a * b) >> 64); }
inline uint32_t __brev(uint32_t a) {
  a = (a >> 1 & 0x55555555) | (a & 0x55555555) << 1;
  a = (a >> 2 & 0x33333333) | (a & 0x33333333) << 2;
  a = (a >> 4 & 0x0f0f0f0f) | (a & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(a);
}
inline uint64_t __brevll(uint64_t a) { return (uint64_t)__brev((uint32_t)a) << 32 | __brev((uint32_t)(a >> 32)); }
inline uint32_t __funnelshift_l(uint32_t low, uint32_t high, uint32_t shift) {
  return (uint32_t)((((uint64_t)high << 32 | low) << (shift & 31)) >> 32);
}
inline uint32_t __funnelshift_r(uint32_t low, uint32_t high, uint32_t shift) {
  return (uint32_t)(((uint64_t)high << 32 | low) >> (shift & 31));
}
inline uint32_t __funnelshift_rc(uint32_t low, uint32_t high, uint32_t shift) {
  return (uint32_t)(((uint64_t)high << 32 | low) >> (shift < 32 ? shift : 32));
}
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = (uint64_t)b << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; i++) {
    const uint32_t choice = selector >> (4 * i) & 15;
    uint32_t byte = bytes >> (8 * (choice & 7)) & 255;
    if (choice & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}

template <class A, class B>
inline auto min(A a, B b) -> decltype(a + b) {
  typedef decltype(a + b) T;
  return (T)a < (T)b ? (T)a : (T)b;
}
template <class A, class B>
inline auto max(A a, B b) -> decltype(a + b) {
  typedef decltype(a + b) T;
  return (T)a < (T)b ? (T)b : (T)a;
}
