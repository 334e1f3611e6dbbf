// Multi-scalar multiplication, first half: which bases go into which bucket. Nothing here touches a point.
//
// Scalars are cut into signed digits; each digit that is not zero is an entry of one bucket. Entries are sorted by
// bucket with one counting pass (an atomic gives an entry its place within its bucket), a prefix sum over the buckets
// and one scattering pass. Buckets are then sorted by size, so that the lanes of a warp have like work; those above a
// limit are "large": they are cut into pieces, each as long as the limit at most.
//
// An entry is the index of a base in the table (`table * stride + base`), with the sign of the digit in bit 31. Bucket
// numbers count magnitudes within bucket sets within proofs: (proof * sets + set) * 2^(c-1) + |digit| - 1.
#include "field.cuh"

constexpr int RECODE_THREADS = 256;
constexpr int SCAN_THREADS = 256;
constexpr int SCAN_ITEMS = 8;
constexpr int SIZE_CLASSES = 1024;
constexpr uint32_t SIGN = 0x80000000u;

// Where the scalars of a proof lie: element row * row_stride + proof * proof_stride, plain or in Montgomery form.
// Neighbouring threads take neighbouring proofs where proofs are adjacent in memory, else neighbouring rows.
struct Place {
  uint32_t base, proof;
  bool inside;
};

INLINE Place place_of(uint32_t bases, uint32_t proofs, uint32_t proofs_inner) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread >= bases * proofs) return {0, 0, false};
  if (proofs_inner) return {thread / proofs, thread % proofs, true};
  return {thread % bases, thread / bases, true};
}

// A scalar as digits d_j in [-2^(c-1), 2^(c-1)], least significant first. The smaller of s and r - s is recoded, so that
// small negative numbers are short too. `offset` has half a window's range in every window but the last: the windows of
// |s| + offset are the digits plus that half, and no carry goes from window to window.
class Digits {
 public:
  INLINE Digits(const Fr& scalar, const uint32_t* offset, uint32_t window_bits, uint32_t windows)
      : window_bits_(window_bits), left_(windows) {
    const Fr opposite = neg(scalar);
    int64_t borrow = 0;
#pragma unroll
    for (int i = 0; i < LIMBS; i++) borrow = ((int64_t)opposite.limb[i] - scalar.limb[i] + borrow) >> 32;
    // Zero is its own opposite.
    negated_ = borrow < 0;
    uint64_t carry = 0;
#pragma unroll
    for (int i = 0; i < LIMBS; i++) {
      carry += (uint64_t)(negated_ ? opposite.limb[i] : scalar.limb[i]) + offset[i];
      words_[i] = (uint32_t)carry;
      carry >>= 32;
    }
  }

  // |d| of the next window; `sign` becomes bit 31 for a negative digit.
  INLINE uint32_t next(uint32_t& sign) {
    left_--;
    const int32_t half = left_ ? (int32_t)(1u << (window_bits_ - 1)) : 0;
    const int32_t digit = (int32_t)(words_[0] & ((1u << window_bits_) - 1)) - half;
#pragma unroll
    for (int i = 0; i < LIMBS - 1; i++) {
      words_[i] = (words_[i] >> window_bits_) | (words_[i + 1] << (32 - window_bits_));
    }
    words_[LIMBS - 1] >>= window_bits_;
    sign = (digit < 0) != negated_ ? SIGN : 0;
    return digit < 0 ? (uint32_t)-digit : (uint32_t)digit;
  }

 private:
  uint32_t words_[LIMBS];
  uint32_t window_bits_, left_;
  bool negated_;
};

INLINE Fr load_scalar(const void* scalars, uint64_t index, uint32_t montgomery) {
  const Fr scalar = load<Fr>(scalars, index);
  return montgomery ? from_montgomery(scalar) : scalar;
}

// counts[key]++ for every lane that is `active`; the count before. All lanes of a warp come here together. Lanes with
// the key of the first active one share one atomic: witnesses are full of equal scalars.
INLINE uint32_t count_one(uint32_t* counts, size_t key, bool active) {
  const uint32_t some = __ballot_sync(FULL_MASK, active);
  if (!some) return 0;
  const uint32_t lane = threadIdx.x % WARP;
  const int leader = __ffs(some) - 1;
  const uint32_t low = (uint32_t)key;
  const uint32_t shared_key = __shfl_sync(FULL_MASK, low, leader);
  const bool joins = active && low == shared_key;
  const uint32_t group = __ballot_sync(FULL_MASK, joins);
  uint32_t place = 0;
  if (joins ? lane == (uint32_t)leader : active) place = atomicAdd(&counts[key], joins ? __popc(group) : 1);
  const uint32_t first = __shfl_sync(FULL_MASK, place, leader);
  return joins ? first + __popc(group & ((1u << lane) - 1)) : place;
}

// counts[bucket] += the entries of `bases` bases for `proofs` proofs. ranks[window * slots + first_slot + thread] = the
// place of an entry within its bucket, where the digit is not zero. rows[i] - row_offset is the row of base i's scalar.
extern "C" __global__ void __launch_bounds__(RECODE_THREADS)
    msm_count(const void* scalars, uint32_t row_stride, uint32_t proof_stride, uint32_t montgomery,
              uint32_t proofs_inner, const uint32_t* rows, uint32_t row_offset, uint32_t bases, uint32_t first_proof,
              uint32_t proofs, const uint32_t* offset, uint32_t window_bits, uint32_t windows, uint32_t sets,
              uint32_t* counts, uint32_t* ranks, uint32_t slots, uint32_t first_slot) {
  const Place place = place_of(bases, proofs, proofs_inner);
  Fr scalar = Fr::zero();
  if (place.inside) {
    const uint64_t row = rows[place.base] - row_offset;
    scalar = load_scalar(scalars, row * row_stride + (uint64_t)(first_proof + place.proof) * proof_stride, montgomery);
  }
  Digits digits(scalar, offset, window_bits, windows);
  size_t rank = first_slot + blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t first_set = place.proof * sets;
  uint32_t set = 0;
  for (uint32_t window = 0; window < windows; window++) {
    uint32_t sign;
    const uint32_t magnitude = digits.next(sign);
    const uint32_t bucket = ((first_set + set) << (window_bits - 1)) + magnitude - 1;
    const uint32_t found = count_one(counts, bucket, magnitude != 0);
    if (magnitude) ranks[rank] = found;
    rank += slots;
    set = set + 1 == sets ? 0 : set + 1;
  }
}

// sorted[starts[bucket] + rank] = each entry, with the arguments and ranks of msm_count. `stride` is the length of a
// table; `first_base` is the place in it of base 0.
extern "C" __global__ void __launch_bounds__(RECODE_THREADS)
    msm_scatter(const void* scalars, uint32_t row_stride, uint32_t proof_stride, uint32_t montgomery,
                uint32_t proofs_inner, const uint32_t* rows, uint32_t row_offset, uint32_t bases, uint32_t first_proof,
                uint32_t proofs, const uint32_t* offset, uint32_t window_bits, uint32_t windows, uint32_t sets,
                const uint32_t* starts, const uint32_t* ranks, uint32_t slots, uint32_t first_slot, uint32_t stride,
                uint32_t first_base, uint32_t* sorted) {
  const Place place = place_of(bases, proofs, proofs_inner);
  if (!place.inside) return;
  const uint64_t row = rows[place.base] - row_offset;
  const Fr scalar =
      load_scalar(scalars, row * row_stride + (uint64_t)(first_proof + place.proof) * proof_stride, montgomery);
  Digits digits(scalar, offset, window_bits, windows);
  size_t rank = first_slot + blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t first_set = place.proof * sets;
  uint32_t set = 0, entry = first_base + place.base;
  for (uint32_t window = 0; window < windows; window++) {
    uint32_t sign;
    const uint32_t magnitude = digits.next(sign);
    if (magnitude) {
      const uint32_t bucket = ((first_set + set) << (window_bits - 1)) + magnitude - 1;
      sorted[starts[bucket] + ranks[rank]] = entry | sign;
    }
    rank += slots;
    if (++set == sets) {
      set = 0;
      entry += stride;
    }
  }
}

// The sum of the values of the threads before this one in its block; `total` becomes the sum of all.
INLINE static uint32_t scan_block(uint32_t value, uint32_t& total) {
  __shared__ uint32_t warp_sums[SCAN_THREADS / WARP];
  const uint32_t lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  uint32_t sum = value;
  for (uint32_t step = 1; step < WARP; step *= 2) {
    const uint32_t other = __shfl_up_sync(FULL_MASK, sum, step);
    if (lane >= step) sum += other;
  }
  // The last call's reads come before this one's writes.
  __syncthreads();
  if (lane == WARP - 1) warp_sums[warp] = sum;
  __syncthreads();
  uint32_t before = 0;
  total = 0;
  for (uint32_t i = 0; i < SCAN_THREADS / WARP; i++) {
    if (i < warp) before += warp_sums[i];
    total += warp_sums[i];
  }
  return before + sum - value;
}

// Replace SCAN_ITEMS values a thread, from `first` up to `count`, by the sums of those before them in the block, plus
// `carry`. Returns the sum of all.
INLINE uint32_t scan_items(const uint32_t* values, uint32_t* sums, uint64_t first, uint32_t count, uint32_t carry) {
  uint32_t items[SCAN_ITEMS];
  uint32_t own = 0, total;
#pragma unroll
  for (int i = 0; i < SCAN_ITEMS; i++) {
    items[i] = first + i < count ? values[first + i] : 0;
    own += items[i];
  }
  uint32_t before = carry + scan_block(own, total);
#pragma unroll
  for (int i = 0; i < SCAN_ITEMS; i++) {
    if (first + i < count) sums[first + i] = before;
    before += items[i];
  }
  return total;
}

// Prefix sums of `count` values in three steps; each block has SCAN_THREADS * SCAN_ITEMS of them. Step one: sums within
// a block, and the sum of each block.
extern "C" __global__ void __launch_bounds__(SCAN_THREADS)
    msm_scan_blocks(const uint32_t* values, uint32_t count, uint32_t* sums, uint32_t* block_sums) {
  const uint64_t first = ((uint64_t)blockIdx.x * SCAN_THREADS + threadIdx.x) * SCAN_ITEMS;
  const uint32_t total = scan_items(values, sums, first, count, 0);
  if (threadIdx.x == 0) block_sums[blockIdx.x] = total;
}

// Step two, one block: the sums of the blocks before each.
extern "C" __global__ void __launch_bounds__(SCAN_THREADS) msm_scan_sums(uint32_t* block_sums, uint32_t blocks) {
  uint32_t carry = 0;
  for (uint32_t start = 0; start < blocks; start += SCAN_THREADS * SCAN_ITEMS) {
    carry += scan_items(block_sums, block_sums, (uint64_t)start + threadIdx.x * SCAN_ITEMS, blocks, carry);
  }
}

// Step three, with the blocks of step one.
extern "C" __global__ void __launch_bounds__(SCAN_THREADS)
    msm_scan_add(uint32_t* sums, uint32_t count, const uint32_t* block_sums) {
  const uint32_t before = block_sums[blockIdx.x];
  const uint64_t first = (uint64_t)blockIdx.x * SCAN_THREADS * SCAN_ITEMS + threadIdx.x;
#pragma unroll
  for (int i = 0; i < SCAN_ITEMS; i++) {
    const uint64_t place = first + i * SCAN_THREADS;
    if (place < count) sums[place] += before;
  }
}

// How many buckets have each size up to `limit` < SIZE_CLASSES; those above it are listed as large, with the number of
// pieces before each. `large_total`: number of large buckets in the high half, number of their pieces in the low half.
extern "C" __global__ void msm_count_sizes(const uint32_t* starts, uint32_t buckets, uint32_t limit,
                                           uint32_t* class_counts, uint64_t* large_total, uint32_t* large_buckets,
                                           uint32_t* large_pieces) {
  __shared__ uint32_t own[SIZE_CLASSES];
  for (uint32_t i = threadIdx.x; i <= limit; i += blockDim.x) own[i] = 0;
  __syncthreads();
  for (uint32_t bucket = blockIdx.x * blockDim.x + threadIdx.x; bucket < buckets; bucket += gridDim.x * blockDim.x) {
    const uint32_t size = starts[bucket + 1] - starts[bucket];
    if (size <= limit) {
      atomicAdd(&own[size], 1u);
      continue;
    }
    const uint32_t pieces = (size + limit - 1) / limit;
    const uint64_t before = atomicAdd((unsigned long long*)large_total, 1ull << 32 | pieces);
    large_buckets[before >> 32] = bucket;
    large_pieces[before >> 32] = (uint32_t)before;
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i <= limit; i += blockDim.x) {
    if (own[i]) atomicAdd(&class_counts[i], own[i]);
  }
}

// One block: class_counts[size] becomes the number of buckets that are larger, up to `limit`.
extern "C" __global__ void __launch_bounds__(SCAN_THREADS) msm_start_sizes(uint32_t* class_counts, uint32_t limit) {
  constexpr uint32_t ITEMS = SIZE_CLASSES / SCAN_THREADS;
  uint32_t items[ITEMS];
  uint32_t own = 0, total;
#pragma unroll
  for (uint32_t i = 0; i < ITEMS; i++) {
    const uint32_t smaller = threadIdx.x * ITEMS + i;
    items[i] = smaller <= limit ? class_counts[limit - smaller] : 0;
    own += items[i];
  }
  uint32_t before = scan_block(own, total);
#pragma unroll
  for (uint32_t i = 0; i < ITEMS; i++) {
    const uint32_t smaller = threadIdx.x * ITEMS + i;
    if (smaller <= limit) class_counts[limit - smaller] = before;
    before += items[i];
  }
}

// order[0 ..] = the buckets that are not large, by falling size. A block takes `span` buckets and reserves room for
// those of a size at once; `cursors` is what msm_start_sizes left.
extern "C" __global__ void msm_order(const uint32_t* starts, uint32_t buckets, uint32_t limit, uint32_t span,
                                     uint32_t* cursors, uint32_t* order) {
  __shared__ uint32_t own[SIZE_CLASSES];
  __shared__ uint32_t places[SIZE_CLASSES];
  const uint32_t first = blockIdx.x * span;
  const uint32_t last = buckets - first < span ? buckets : first + span;
  for (uint32_t i = threadIdx.x; i <= limit; i += blockDim.x) own[i] = 0;
  __syncthreads();
  for (uint32_t bucket = first + threadIdx.x; bucket < last; bucket += blockDim.x) {
    const uint32_t size = starts[bucket + 1] - starts[bucket];
    if (size <= limit) atomicAdd(&own[size], 1u);
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i <= limit; i += blockDim.x) {
    places[i] = own[i] ? atomicAdd(&cursors[i], own[i]) : 0;
  }
  __syncthreads();
  for (uint32_t bucket = first + threadIdx.x; bucket < last; bucket += blockDim.x) {
    const uint32_t size = starts[bucket + 1] - starts[bucket];
    if (size <= limit) order[atomicAdd(&places[size], 1u)] = bucket;
  }
}
