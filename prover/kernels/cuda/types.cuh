// Integer types and the few words that kernels share, for NVRTC (which has no C++ library) and for the shim (shim/shim.h).
#pragma once

#ifdef GELAP_SHIM

#include "shim.h"

#else

#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif

// DYNAMIC_SHARED(T, name) declares `T* name`, the block's dynamic shared memory (`shared_bytes` of the launch). Every
// kernel of a unit sees the same memory; 16-byte aligned.
#define DYNAMIC_SHARED(type, name)                                      \
  extern __shared__ __align__(16) unsigned char gelap_dynamic_shared[]; \
  type* name = reinterpret_cast<type*>(gelap_dynamic_shared)

#endif

// Functions of these headers are compiled into their caller; NOINLINE ones stay functions of their own.
#define INLINE __device__ __forceinline__
#define NOINLINE __device__ __noinline__

constexpr uint32_t WARP = 32;
constexpr uint32_t FULL_MASK = 0xffffffffu;
