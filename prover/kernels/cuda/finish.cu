// The end of a Groth16 proof: from the sums over the key's bases to the three points of the proof.
//
//     A = sum_a        B = sum_b2        C = sum_c + s A + r B1
//
// The sums hold the blinding already: the key's constant points and delta are bases like any other. What is left is two
// products of a point and a scalar for each proof. With the endomorphism (x, y) -> (beta x, y) each is two products with
// scalars of half the length, so four lanes a proof do 128 doublings and about 43 additions each.
#include "curve.cuh"

constexpr int HALF_LIMBS = 5;
// Limbs of one half: its magnitude, then its sign in limb HALF_SIGN.
constexpr int HALF_STRIDE = 8;
constexpr int HALF_SIGN = 7;
constexpr uint32_t HALVES = 4;

// beta, a cube root of one in Fq, in Montgomery form.
struct Beta {
  LIMB_CONSTANT(limb, 0xd782e155, 0x71930c11, 0xffbe3323, 0xa6bb947c, 0xd4741444, 0xaa303344, 0x26594943, 0x2c3b3f0d)
};

INLINE Fq beta() {
  Fq value;
#pragma unroll
  for (int i = 0; i < LIMBS; i++) value.limb[i] = Beta::limb(i);
  return value;
}

// Calls, not inlined copies: these lanes wait for one multiplication after another, and the code stays small.
NOINLINE Xyzz<Fq> doubled_point(const Xyzz<Fq>& a) { return double_point(a); }
NOINLINE Xyzz<Fq> sum_of(const Xyzz<Fq>& a, const Xyzz<Fq>& b) { return add(a, b); }

// k P for a magnitude k < 2^128 + 2^127, by its non-adjacent form: the digit of 2^i is bit i + 1 of 3k less that of k.
INLINE Xyzz<Fq> multiply_short(const Xyzz<Fq>& point, const uint32_t* magnitude) {
  uint32_t triple[HALF_LIMBS];
  uint64_t carry = 0;
  for (int i = 0; i < HALF_LIMBS; i++) {
    carry += 3 * (uint64_t)magnitude[i];
    triple[i] = (uint32_t)carry;
    carry >>= 32;
  }
  const Xyzz<Fq> opposite = negate(point);
  Xyzz<Fq> sum = Xyzz<Fq>::infinity();
#pragma unroll 1
  for (int bit = 32 * HALF_LIMBS - 1; bit > 0; bit--) {
    const uint32_t of_triple = triple[bit / 32] >> (bit % 32) & 1, of_once = magnitude[bit / 32] >> (bit % 32) & 1;
    if (!is_infinity(sum)) sum = doubled_point(sum);
    if (of_triple != of_once) sum = sum_of(sum, of_triple ? point : opposite);
  }
  return sum;
}

// Lane 4 i + k: half k of proof i: s1 A, s2 (lambda A), r1 B1, r2 (lambda B1). halves: (batch, 4, 8), s1 s2 r1 r2.
// sums and products: (batch) and (batch, 4) points in XYZZ coordinates.
extern "C" __global__ void blinding_products(const void* sum_a, const void* sum_b1, const uint32_t* halves,
                                             void* products, uint32_t batch) {
  const uint32_t lane = blockIdx.x * blockDim.x + threadIdx.x;
  if (lane >= HALVES * batch) return;
  const uint32_t proof = lane / HALVES, half = lane % HALVES;
  Xyzz<Fq> point = load<Xyzz<Fq>>(half < 2 ? sum_a : sum_b1, proof);
  if (half & 1) point.x = mul(point.x, beta());
  const uint32_t* scalar = halves + (size_t)HALF_STRIDE * lane;
  if (scalar[HALF_SIGN]) point = negate(point);
  store(products, lane, multiply_short(point, scalar));
}

// Points of a proof in memory: A (2 elements of Fq), B (4), C (2).
constexpr uint32_t PROOF_ELEMENTS = 8;

// Block row 0 writes A, block row 1 writes C. proofs: (batch, 8, 8), affine, Montgomery form.
extern "C" __global__ void finish_g1(const void* sum_a, const void* sum_c, const void* products, void* proofs,
                                     uint32_t batch) {
  const uint32_t proof = blockIdx.x * blockDim.x + threadIdx.x;
  if (proof >= batch) return;
  const bool is_c = blockIdx.y == 1;
  Xyzz<Fq> sum = load<Xyzz<Fq>>(is_c ? sum_c : sum_a, proof);
  if (is_c) {
#pragma unroll 1
    for (uint32_t half = 0; half < HALVES; half++) sum = sum_of(sum, load<Xyzz<Fq>>(products, HALVES * proof + half));
  }
  // In units of points of G1: A is the first of a proof's four, B takes two, C is the last.
  store(proofs, (size_t)(PROOF_ELEMENTS / 2) * proof + (is_c ? 3 : 0), to_affine(sum));
}

// Writes B. In units of Fq2: A is the first of a proof's four, B the next two, C the last.
extern "C" __global__ void finish_g2(const void* sum_b2, void* proofs, uint32_t batch) {
  const uint32_t proof = blockIdx.x * blockDim.x + threadIdx.x;
  if (proof >= batch) return;
  const Affine<Fq2> b = to_affine(load<Xyzz<Fq2>>(sum_b2, proof));
  const size_t first = (size_t)(PROOF_ELEMENTS / 2) * proof + 1;
  store<Fq2>(proofs, first, b.x);
  store<Fq2>(proofs, first + 1, b.y);
}
