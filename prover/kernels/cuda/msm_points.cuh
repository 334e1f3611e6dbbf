// Multi-scalar multiplication, second half: sums of points, for F = Fq (G1) and F = Fq2 (G2).
//
//   accumulate     every bucket = the sum of its entries; pieces of large buckets become partial sums
//   join_pieces    large buckets = the sums of their pieces
//   line_sums      a bucket set as a square: the sums of its rows and of its columns
//   bit_sums       for every bit of a bucket's weight, the sum of the buckets whose weight has that bit
//   set_sums       the sum over the bits of 2^bit times that: the sum of |digit| * bucket
//   finish         the sum over the bucket sets of 2^(c set) times that
//
// The weight of bucket b is b + 1. With b = hi * columns + lo the sum of (b + 1) B_b is columns * sum of hi * row_hi,
// plus the sum of (lo + 1) * column_lo: two additions a bucket as with running sums, but no chain is longer than a few
// dozen additions, whatever the number of buckets.
#pragma once
#include "curve.cuh"

constexpr uint32_t NEGATIVE = 0x80000000u;

// Ask for the line that a later load will want; it costs no register.
INLINE void prefetch(const void* address) {
#ifdef __CUDA_ARCH__
  asm volatile("prefetch.global.L1 [%0];" ::"l"(address));
#endif
}

template <class F>
INLINE void prefetch_base(const void* table, uint32_t entry) {
  const size_t bytes = sizeof(Affine<F>);
  const char* base = (const char*)table + (entry & ~NEGATIVE) * bytes;
  for (size_t at = 0; at < bytes; at += 64) prefetch(base + at);
}

// The additions and doublings outside of accumulate, as functions: inlined, they would make up most of the code and of
// the time it takes to compile. Passing points through local memory costs a hundredth of an addition.
template <class F>
NOINLINE void add_to(Xyzz<F>* acc, const Xyzz<F>* other) {
  *acc = add(*acc, *other);
}

template <class F>
NOINLINE void double_in_place(Xyzz<F>* acc) {
  *acc = double_point(*acc);
}

// acc += the point in place `index` of an array
template <class F>
INLINE void add_from(Xyzz<F>* acc, const void* points, size_t index) {
  const Xyzz<F> other = load<Xyzz<F>>(points, index);
  add_to(acc, &other);
}

// acc + the bases of the entries first .. last-1
template <class F>
INLINE Xyzz<F> sum_entries(Xyzz<F> acc, const void* table, const uint32_t* sorted, uint32_t first, uint32_t last) {
  // An index is read two turns ahead, so that its base can be asked for one turn ahead.
  uint32_t next = first < last ? sorted[first] : 0;
  uint32_t after_next = first + 1 < last ? sorted[first + 1] : 0;
#pragma unroll 1
  for (uint32_t at = first; at < last; at++) {
    const uint32_t entry = next;
    next = after_next;
    if (at + 2 < last) after_next = sorted[at + 2];
    if (at + 1 < last) prefetch_base<F>(table, next);
    Affine<F> base = load<Affine<F>>(table, entry & ~NEGATIVE);
    if (entry & NEGATIVE) base = negate(base);
    acc = add_mixed(acc, base);
  }
  return acc;
}

// The last i with pieces[i] <= piece, among `count` rising numbers that start with 0.
INLINE uint32_t find_piece(const uint32_t* pieces, uint32_t count, uint32_t piece) {
  uint32_t low = 0, high = count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (pieces[middle] <= piece) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

INLINE uint32_t pieces_of(uint32_t size, uint32_t limit) { return (size + limit - 1) / limit; }

// One thread a piece of a large bucket, then one thread a bucket in falling order of size: longest first. With `keep`
// the buckets hold sums already, of bases that came before, and are added to.
template <class F>
INLINE void accumulate(const void* table, const uint32_t* sorted, const uint32_t* starts, uint32_t buckets,
                       uint32_t limit, const uint32_t* order, uint64_t large_total, const uint32_t* large_buckets,
                       const uint32_t* large_pieces, uint32_t keep, void* sums, void* partial_sums) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t large = (uint32_t)(large_total >> 32), pieces = (uint32_t)large_total;
  uint32_t first, last;
  size_t place;
  void* target;
  Xyzz<F> acc = Xyzz<F>::infinity();
  if (thread < pieces) {
    const uint32_t found = find_piece(large_pieces, large, thread);
    const uint32_t bucket = large_buckets[found], piece = thread - large_pieces[found];
    const uint32_t start = starts[bucket], size = starts[bucket + 1] - start;
    const uint32_t parts = pieces_of(size, limit);
    first = start + (uint32_t)((uint64_t)size * piece / parts);
    last = start + (uint32_t)((uint64_t)size * (piece + 1) / parts);
    target = partial_sums;
    place = thread;
  } else {
    if (thread - pieces >= buckets - large) return;
    place = order[thread - pieces];
    first = starts[place];
    last = starts[place + 1];
    target = sums;
    if (keep) {
      if (first == last) return;
      acc = load<Xyzz<F>>(sums, place);
    }
  }
  store(target, place, sum_entries(acc, table, sorted, first, last));
}

// The sum over each aligned group of `width` threads of a block, a power of two, in the group's first thread. `shared`
// has room for a point a thread; all threads of the block come here together.
template <class F>
INLINE Xyzz<F> sum_group(Xyzz<F> value, Xyzz<F>* shared, uint32_t width) {
  const uint32_t lane = threadIdx.x & (width - 1);
#pragma unroll 1
  for (uint32_t step = width / 2; step; step /= 2) {
    if (lane >= step && lane < 2 * step) shared[threadIdx.x] = value;
    __syncthreads();
    if (lane < step) add_to(&value, &shared[threadIdx.x + step]);
    __syncthreads();
  }
  return value;
}

template <class F>
INLINE void join_pieces(const uint32_t* starts, uint32_t limit, uint64_t large_total, const uint32_t* large_buckets,
                        const uint32_t* large_pieces, uint32_t keep, const void* partial_sums, void* sums,
                        Xyzz<F>* shared) {
  for (uint32_t i = blockIdx.x; i < (uint32_t)(large_total >> 32); i += gridDim.x) {
    const uint32_t bucket = large_buckets[i], first = large_pieces[i];
    const uint32_t last = first + pieces_of(starts[bucket + 1] - starts[bucket], limit);
    Xyzz<F> acc = keep && threadIdx.x == 0 ? load<Xyzz<F>>(sums, bucket) : Xyzz<F>::infinity();
#pragma unroll 1
    for (uint32_t piece = first + threadIdx.x; piece < last; piece += blockDim.x) {
      add_from(&acc, partial_sums, piece);
    }
    acc = sum_group(acc, shared, blockDim.x);
    if (threadIdx.x == 0) store(sums, bucket, acc);
  }
}

// lines[set * (rows + columns) + i] = the sum of row i, then of column i - rows, of the set's 2^row_bits rows of
// 2^column_bits buckets. `width` threads a line.
template <class F>
INLINE void line_sums(const void* sums, uint32_t sets, uint32_t row_bits, uint32_t column_bits, uint32_t width,
                      void* lines, Xyzz<F>* shared) {
  const uint32_t rows = 1u << row_bits, columns = 1u << column_bits;
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t line = thread / width, set = line / (rows + columns), i = line % (rows + columns);
  Xyzz<F> acc = Xyzz<F>::infinity();
  if (set < sets) {
    const size_t base = (size_t)set << (row_bits + column_bits);
    const bool is_row = i < rows;
    const size_t first = base + (is_row ? (size_t)i << column_bits : i - rows);
    const uint32_t length = is_row ? columns : rows;
#pragma unroll 1
    for (uint32_t at = thread % width; at < length; at += width) {
      add_from(&acc, sums, first + (is_row ? at : (size_t)at << column_bits));
    }
  }
  acc = sum_group(acc, shared, width);
  if (set < sets && thread % width == 0) store(lines, line, acc);
}

// The j-th number that has the bit.
INLINE uint32_t with_bit(uint32_t j, uint32_t bit) {
  return (j >> bit) << (bit + 1) | 1u << bit | (j & ((1u << bit) - 1));
}

// One block a set and a bit of the weights; bits[set * window_bits + bit] = the sum of the lines whose weight has it: hi
// * columns for row hi, lo + 1 for column lo.
template <class F>
INLINE void bit_sums(const void* lines, uint32_t row_bits, uint32_t column_bits, uint32_t window_bits, void* bits,
                     Xyzz<F>* shared) {
  const uint32_t rows = 1u << row_bits, columns = 1u << column_bits;
  const uint32_t set = blockIdx.x / window_bits, bit = blockIdx.x % window_bits;
  const size_t base = (size_t)set * (rows + columns);
  Xyzz<F> acc = Xyzz<F>::infinity();
  if (bit <= column_bits) {
    // Of the weights 1 .. columns, only the last has bit column_bits.
    const uint32_t count = bit == column_bits ? 1 : columns / 2;
#pragma unroll 1
    for (uint32_t j = threadIdx.x; j < count; j += blockDim.x) {
      add_from(&acc, lines, base + rows + with_bit(j, bit) - 1);
    }
  }
  if (bit >= column_bits && bit - column_bits < row_bits) {
#pragma unroll 1
    for (uint32_t j = threadIdx.x; j < rows / 2; j += blockDim.x) {
      add_from(&acc, lines, base + with_bit(j, bit - column_bits));
    }
  }
  acc = sum_group(acc, shared, blockDim.x);
  if (threadIdx.x == 0) store(bits, blockIdx.x, acc);
}

// One warp a set: sums[set] = the sum over its window_bits bits of 2^bit * bits[..]. A lane doubles on its own.
template <class F>
INLINE void set_sums(const void* bits, uint32_t sets, uint32_t window_bits, void* sums, Xyzz<F>* shared) {
  const uint32_t set = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, bit = threadIdx.x % WARP;
  Xyzz<F> acc = Xyzz<F>::infinity();
  if (set < sets && bit < window_bits) {
    acc = load<Xyzz<F>>(bits, (size_t)set * window_bits + bit);
#pragma unroll 1
    for (uint32_t i = 0; i < bit; i++) double_in_place(&acc);
  }
  acc = sum_group(acc, shared, WARP);
  if (set < sets && bit == 0) store(sums, set, acc);
}

// One thread a proof: results[proof] from the sums of its sets, lowest first; affine, or in XYZZ coordinates.
template <class F>
INLINE void finish(const void* set_sums, uint32_t proofs, uint32_t sets, uint32_t window_bits, uint32_t affine,
                   void* results) {
  const uint32_t proof = blockIdx.x * blockDim.x + threadIdx.x;
  if (proof >= proofs) return;
  Xyzz<F> acc = load<Xyzz<F>>(set_sums, (size_t)proof * sets + sets - 1);
#pragma unroll 1
  for (uint32_t set = sets - 1; set-- > 0;) {
#pragma unroll 1
    for (uint32_t i = 0; i < window_bits; i++) double_in_place(&acc);
    add_from(&acc, set_sums, (size_t)proof * sets + set);
  }
  if (affine) {
    store(results, proof, to_affine(acc));
  } else {
    store(results, proof, acc);
  }
}

// to[i] = 2^doublings * from[i] for `count` affine points, infinity included; `scratch` has room for an XYZZ point each.
// A thread shares one inversion among its points (Montgomery's trick): on the way there, the products of all ZZZ before
// a point wait in its x.
template <class F>
INLINE void next_table(const void* from, void* to, uint32_t count, uint32_t doublings, void* scratch) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
  if (thread >= count) return;
  F product = F::one();
  uint32_t last = thread;
#pragma unroll 1
  for (uint32_t i = thread; i < count; i += threads) {
    Xyzz<F> p = to_xyzz(load<Affine<F>>(from, i));
#pragma unroll 1
    for (uint32_t k = 0; k < doublings; k++) double_in_place(&p);
    store(scratch, i, p);
    store(to, 2 * (size_t)i, product);
    if (!is_infinity(p)) product = mul(product, p.zzz);
    last = i;
    if (count - i <= threads) break;
  }
  F inverse_product = inverse(product);
#pragma unroll 1
  for (uint32_t i = last;; i -= threads) {
    const Xyzz<F> p = load<Xyzz<F>>(scratch, i);
    if (is_infinity(p)) {
      store(to, i, Affine<F>::infinity());
    } else {
      const F before = load<F>(to, 2 * (size_t)i);
      store(to, i, to_affine(p, mul(inverse_product, before)));
      inverse_product = mul(inverse_product, p.zzz);
    }
    if (i == thread) break;
  }
}
