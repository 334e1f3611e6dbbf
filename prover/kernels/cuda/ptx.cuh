// The PTX instructions that field arithmetic is made of: additions and multiply-adds that hand on a carry flag.
//
// A `_cc` instruction writes the flag, an `addc`/`subc`/`madc` reads it. The statements are volatile, so the compiler
// keeps their order; nothing it emits itself touches the flag. ptxas joins a mad.lo/madc.hi pair on the same factors
// into one IMAD.WIDE, the instruction whose rate bounds everything here. What multiplications consist of is written as
// whole chains, one statement each, which halves the time that the compiler takes. Their operands are "+&r": a chain
// writes some before it has read others.
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

// acc[0 .. 2N-1] += sum of a[2j] b 2^(64 j); the carry out is added to `top`.
template <int N>
INLINE void add_products(uint32_t* acc, const uint32_t* a, uint32_t b, uint32_t& top) {
  if constexpr (N == 4) {
    asm volatile("mad.lo.cc.u32 %0, %9, %13, %0;"
        "madc.hi.cc.u32 %1, %9, %13, %1;"
        "madc.lo.cc.u32 %2, %10, %13, %2;"
        "madc.hi.cc.u32 %3, %10, %13, %3;"
        "madc.lo.cc.u32 %4, %11, %13, %4;"
        "madc.hi.cc.u32 %5, %11, %13, %5;"
        "madc.lo.cc.u32 %6, %12, %13, %6;"
        "madc.hi.cc.u32 %7, %12, %13, %7;"
        "addc.u32 %8, %8, 0;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(acc[6]), "+&r"(acc[7]), "+&r"(top)
        : "r"(a[0]), "r"(a[2]), "r"(a[4]), "r"(a[6]), "r"(b));
  } else if constexpr (N == 3) {
    asm volatile("mad.lo.cc.u32 %0, %7, %10, %0;"
        "madc.hi.cc.u32 %1, %7, %10, %1;"
        "madc.lo.cc.u32 %2, %8, %10, %2;"
        "madc.hi.cc.u32 %3, %8, %10, %3;"
        "madc.lo.cc.u32 %4, %9, %10, %4;"
        "madc.hi.cc.u32 %5, %9, %10, %5;"
        "addc.u32 %6, %6, 0;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(top)
        : "r"(a[0]), "r"(a[2]), "r"(a[4]), "r"(b));
  } else if constexpr (N == 2) {
    asm volatile("mad.lo.cc.u32 %0, %5, %7, %0;"
        "madc.hi.cc.u32 %1, %5, %7, %1;"
        "madc.lo.cc.u32 %2, %6, %7, %2;"
        "madc.hi.cc.u32 %3, %6, %7, %3;"
        "addc.u32 %4, %4, 0;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(top)
        : "r"(a[0]), "r"(a[2]), "r"(b));
  } else {
    asm volatile("mad.lo.cc.u32 %0, %3, %4, %0;"
        "madc.hi.cc.u32 %1, %3, %4, %1;"
        "addc.u32 %2, %2, 0;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(top)
        : "r"(a[0]), "r"(b));
  }
}

// The same where there is no carry out.
template <int N>
INLINE void add_products(uint32_t* acc, const uint32_t* a, uint32_t b) {
  if constexpr (N == 4) {
    asm volatile("mad.lo.cc.u32 %0, %8, %12, %0;"
        "madc.hi.cc.u32 %1, %8, %12, %1;"
        "madc.lo.cc.u32 %2, %9, %12, %2;"
        "madc.hi.cc.u32 %3, %9, %12, %3;"
        "madc.lo.cc.u32 %4, %10, %12, %4;"
        "madc.hi.cc.u32 %5, %10, %12, %5;"
        "madc.lo.cc.u32 %6, %11, %12, %6;"
        "madc.hi.u32 %7, %11, %12, %7;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(acc[6]), "+&r"(acc[7])
        : "r"(a[0]), "r"(a[2]), "r"(a[4]), "r"(a[6]), "r"(b));
  } else if constexpr (N == 3) {
    asm volatile("mad.lo.cc.u32 %0, %6, %9, %0;"
        "madc.hi.cc.u32 %1, %6, %9, %1;"
        "madc.lo.cc.u32 %2, %7, %9, %2;"
        "madc.hi.cc.u32 %3, %7, %9, %3;"
        "madc.lo.cc.u32 %4, %8, %9, %4;"
        "madc.hi.u32 %5, %8, %9, %5;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5])
        : "r"(a[0]), "r"(a[2]), "r"(a[4]), "r"(b));
  } else if constexpr (N == 2) {
    asm volatile("mad.lo.cc.u32 %0, %4, %6, %0;"
        "madc.hi.cc.u32 %1, %4, %6, %1;"
        "madc.lo.cc.u32 %2, %5, %6, %2;"
        "madc.hi.u32 %3, %5, %6, %3;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3])
        : "r"(a[0]), "r"(a[2]), "r"(b));
  } else {
    asm volatile("mad.lo.cc.u32 %0, %2, %3, %0;"
        "madc.hi.u32 %1, %2, %3, %1;"
        : "+&r"(acc[0]), "+&r"(acc[1])
        : "r"(a[0]), "r"(b));
  }
}

// even[0] += odd[1], then odd / 2^64 + the products of a's odd limbs by b, with the carry of the former.
INLINE void shift_and_add_products(uint32_t* even, uint32_t* odd, const uint32_t* a, uint32_t b) {
  asm volatile("add.cc.u32 %0, %0, %2;"
      "madc.lo.cc.u32 %1, %9, %13, %3;"
      "madc.hi.cc.u32 %2, %9, %13, %4;"
      "madc.lo.cc.u32 %3, %10, %13, %5;"
      "madc.hi.cc.u32 %4, %10, %13, %6;"
      "madc.lo.cc.u32 %5, %11, %13, %7;"
      "madc.hi.cc.u32 %6, %11, %13, %8;"
      "madc.lo.cc.u32 %7, %12, %13, 0;"
      "madc.hi.u32 %8, %12, %13, 0;"
      : "+&r"(even[0]), "+&r"(odd[0]), "+&r"(odd[1]), "+&r"(odd[2]), "+&r"(odd[3]), "+&r"(odd[4]), "+&r"(odd[5]),
        "+&r"(odd[6]), "+&r"(odd[7])
      : "r"(a[1]), "r"(a[3]), "r"(a[5]), "r"(a[7]), "r"(b));
}

// The same with b = even[0] negative_inverse, taken after the first addition; returns b.
INLINE uint32_t shift_and_add_quotient(uint32_t* even, uint32_t* odd, const uint32_t* a, uint32_t negative_inverse) {
  uint32_t b;
  asm volatile("add.cc.u32 %0, %0, %2;"
      "mul.lo.u32 %9, %0, %14;"
      "madc.lo.cc.u32 %1, %10, %9, %3;"
      "madc.hi.cc.u32 %2, %10, %9, %4;"
      "madc.lo.cc.u32 %3, %11, %9, %5;"
      "madc.hi.cc.u32 %4, %11, %9, %6;"
      "madc.lo.cc.u32 %5, %12, %9, %7;"
      "madc.hi.cc.u32 %6, %12, %9, %8;"
      "madc.lo.cc.u32 %7, %13, %9, 0;"
      "madc.hi.u32 %8, %13, %9, 0;"
      : "+&r"(even[0]), "+&r"(odd[0]), "+&r"(odd[1]), "+&r"(odd[2]), "+&r"(odd[3]), "+&r"(odd[4]), "+&r"(odd[5]),
        "+&r"(odd[6]), "+&r"(odd[7]), "=&r"(b)
      : "r"(a[1]), "r"(a[3]), "r"(a[5]), "r"(a[7]), "r"(negative_inverse));
  return b;
}

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

template <int N>
INLINE void add_products(uint32_t* acc, const uint32_t* a, uint32_t b, uint32_t& top) {
  for (int j = 0; j < 2 * N; j += 2) {
    acc[j] = j == 0 ? mad_lo_cc(a[j], b, acc[j]) : madc_lo_cc(a[j], b, acc[j]);
    acc[j + 1] = madc_hi_cc(a[j], b, acc[j + 1]);
  }
  top = addc(top, 0);
}

template <int N>
INLINE void add_products(uint32_t* acc, const uint32_t* a, uint32_t b) {
  uint32_t none = 0;
  add_products<N>(acc, a, b, none);
}

INLINE void shift_and_add_products(uint32_t* even, uint32_t* odd, const uint32_t* a, uint32_t b) {
  even[0] = add_cc(even[0], odd[1]);
  for (int j = 0; j < 8; j += 2) {
    odd[j] = madc_lo_cc(a[j + 1], b, j < 6 ? odd[j + 2] : 0);
    odd[j + 1] = madc_hi_cc(a[j + 1], b, j < 6 ? odd[j + 3] : 0);
  }
}

INLINE uint32_t shift_and_add_quotient(uint32_t* even, uint32_t* odd, const uint32_t* a, uint32_t negative_inverse) {
  const uint32_t b = mul_lo(even[0] + odd[1], negative_inverse);
  shift_and_add_products(even, odd, a, b);
  return b;
}

#endif

}  // namespace ptx
