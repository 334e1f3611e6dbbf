// The PTX instructions that field arithmetic is made of: additions and multiply-adds that hand on a carry flag.
//
// A `_cc` instruction writes the flag, an `addc`/`subc`/`madc` reads it. The statements are volatile, so the compiler
// keeps their order; nothing it emits itself touches the flag. ptxas joins a mad.lo/madc.hi pair on the same factors
// into one IMAD.WIDE, the instruction whose rate bounds everything here.
//
// Under the shim the flag is a variable, which lets a CPU run the very chains that a GPU runs.
#pragma once
#include "types.cuh"

namespace ptx {

#ifdef __CUDA_ARCH__

#define GELAP_PTX_2(name, instruction)                                             \
  INLINE uint32_t name(uint32_t a, uint32_t b) {                                   \
    uint32_t r;                                                                    \
    asm volatile(instruction " %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));           \
    return r;                                                                      \
  }
#define GELAP_PTX_3(name, instruction)                                             \
  INLINE uint32_t name(uint32_t a, uint32_t b, uint32_t c) {                       \
    uint32_t r;                                                                    \
    asm volatile(instruction " %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)); \
    return r;                                                                      \
  }

GELAP_PTX_2(add_cc, "add.cc.u32")
GELAP_PTX_2(addc_cc, "addc.cc.u32")
GELAP_PTX_2(addc, "addc.u32")
GELAP_PTX_2(sub_cc, "sub.cc.u32")
GELAP_PTX_2(subc_cc, "subc.cc.u32")
GELAP_PTX_2(subc, "subc.u32")
GELAP_PTX_2(mul_lo, "mul.lo.u32")
GELAP_PTX_2(mul_hi, "mul.hi.u32")
GELAP_PTX_3(mad_lo_cc, "mad.lo.cc.u32")
GELAP_PTX_3(madc_lo_cc, "madc.lo.cc.u32")
GELAP_PTX_3(madc_hi_cc, "madc.hi.cc.u32")
GELAP_PTX_3(madc_hi, "madc.hi.u32")

#undef GELAP_PTX_2
#undef GELAP_PTX_3

#else

static uint32_t carry_flag;

INLINE uint32_t low_and_carry(uint64_t sum) {
  carry_flag = (uint32_t)(sum >> 32) & 1;
  return (uint32_t)sum;
}
INLINE uint32_t add_cc(uint32_t a, uint32_t b) { return low_and_carry((uint64_t)a + b); }
INLINE uint32_t addc_cc(uint32_t a, uint32_t b) { return low_and_carry((uint64_t)a + b + carry_flag); }
INLINE uint32_t addc(uint32_t a, uint32_t b) { return a + b + carry_flag; }
INLINE uint32_t sub_cc(uint32_t a, uint32_t b) { return low_and_carry((uint64_t)a - b); }
INLINE uint32_t subc_cc(uint32_t a, uint32_t b) { return low_and_carry((uint64_t)a - b - carry_flag); }
INLINE uint32_t subc(uint32_t a, uint32_t b) { return a - b - carry_flag; }
INLINE uint32_t mul_lo(uint32_t a, uint32_t b) { return a * b; }
INLINE uint32_t mul_hi(uint32_t a, uint32_t b) { return (uint32_t)(((uint64_t)a * b) >> 32); }
INLINE uint32_t mad_lo_cc(uint32_t a, uint32_t b, uint32_t c) { return add_cc(mul_lo(a, b), c); }
INLINE uint32_t madc_lo_cc(uint32_t a, uint32_t b, uint32_t c) { return addc_cc(mul_lo(a, b), c); }
INLINE uint32_t madc_hi_cc(uint32_t a, uint32_t b, uint32_t c) { return addc_cc(mul_hi(a, b), c); }
INLINE uint32_t madc_hi(uint32_t a, uint32_t b, uint32_t c) { return addc(mul_hi(a, b), c); }

#endif

}  // namespace ptx
